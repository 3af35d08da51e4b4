"""Time to serve an episode: static with 32 and 1,000 at once, a process per episode with warm spares.

python -m benchmarks.environments
"""

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from environments.applications.shop.shop import shop
from environments.bundled import static_environment
from environments.providers.process.provider import ServerPerEpisode
from environments.providers.process.server import ServerCommand


async def static(at_once: int, rounds: int) -> list[float]:
    """Seconds until each of `at_once` episodes is served, all begun at the same time and held until the last is."""
    environment = static_environment(shop())
    seconds: list[float] = []
    async with environment:
        for number in range(rounds):
            tasks = [environment.task("add-address", number * at_once + each, "train") for each in range(at_once)]
            async with AsyncExitStack() as stack:

                async def serve(task: Any, stack: AsyncExitStack) -> None:
                    began = time.perf_counter()
                    await stack.enter_async_context(environment.serve(task, trajectory_id=task.id))
                    seconds.append(time.perf_counter() - began)

                for task in tasks:
                    await serve(task, stack)
    return seconds


async def process(episodes: int, spares: int, pause_s: float) -> list[float]:
    """Seconds until each of `episodes` servers is there, one after another, each held for `pause_s` seconds."""
    seconds: list[float] = []
    with TemporaryDirectory() as folder:
        await asyncio.to_thread(Path(folder, "index.html").write_text, "hello")
        command = ServerCommand([sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1", "-d", folder])
        async with ServerPerEpisode(command, spares=spares) as places:
            await asyncio.sleep(pause_s)
            for number in range(episodes):
                began = time.perf_counter()
                async with places.fresh(f"t{number}"):
                    seconds.append(time.perf_counter() - began)
                    await asyncio.sleep(pause_s)
    return seconds


def row(name: str, seconds: list[float]) -> str:
    """One row of the table, in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return f"| {name} | {len(seconds)} | {cuts[49] * 1_000:.1f} | {cuts[98] * 1_000:.1f} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=40, help="server processes")
    parser.add_argument("--pause-s", type=float, default=2.0, help="seconds that each of them is used")
    given = parser.parse_args()
    print("| serve | episodes | p50 ms | p99 ms |\n|---|---|---|---|")
    print(row("static, 32 held at once", asyncio.run(static(32, rounds=10))))
    print(row("static, 1,000 held at once", asyncio.run(static(1_000, rounds=2))))
    print(row("process, 2 spares", asyncio.run(process(given.episodes, 2, given.pause_s))))
    print(row("process, no spares", asyncio.run(process(10, 0, 0.0))))


if __name__ == "__main__":
    main()
