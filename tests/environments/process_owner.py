"""An owner that is killed by a test: holds places until then.

Arguments: `process`; `docker` and the engine's address; `metabase`, the engine's address and the section as JSON.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from environments.applications.metabase.config import MetabaseConfig
from environments.applications.metabase.pairs import Pairs
from environments.providers.docker.containers import ContainerSpec
from environments.providers.docker.provider import Containers
from environments.providers.process.provider import ServerPerEpisode
from environments.providers.process.server import ServerCommand

SERVER = Path(__file__).with_name("counter_server.py")
HTTPD = ContainerSpec(
    name="web",
    image="rl-loop-test:busybox",
    command=["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"],
    port=80,
    health="/",
    memory_mb=32,
)


def provider() -> Any:
    if sys.argv[1] == "docker":
        return Containers([HTTPD], spares=1, engine=sys.argv[2], least_free_mb=0)
    if sys.argv[1] == "metabase":
        return Pairs(MetabaseConfig.model_validate_json(sys.argv[3]), engine=sys.argv[2])
    return ServerPerEpisode(ServerCommand([sys.executable, str(SERVER), "{port}", "--child"]), spares=2)


async def main() -> None:
    if sys.argv[1] == "metabase":  # entering takes seconds, in which it may be killed, too
        sys.stdout.write("begun\n")
        sys.stdout.flush()
    async with provider() as places, AsyncExitStack() as stack:
        sys.stdout.write("entered\n")
        sys.stdout.flush()
        for number in range(3):
            await stack.enter_async_context(places.fresh(f"t{number}"))
        sys.stdout.write("holding\n")
        sys.stdout.flush()
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main())
