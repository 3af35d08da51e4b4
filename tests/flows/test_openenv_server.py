"""OpenEnv's own client plays our environment over its server: sessions at once, rewards, errors, and no web page.

Needs the package `openenv` in an environment of its own; see pyproject.toml.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal

from browser_service.client import BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.web import serving

pytestmark = [pytest.mark.chaos, pytest.mark.browser, pytest.mark.filterwarnings("default")]
pytest.importorskip("openenv.core", reason="the package openenv is not installed here")
CONFIG = Path(__file__).parents[2] / "configs" / "minimal.yaml"
START_S = 60.0


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    settings = Settings(slots=2, warm=1)
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(service()) as url:
        yield url


@contextmanager
def openenv(browsers: str) -> Generator[str]:
    """The address of a server in a thread of its own."""
    from flows.ecosystem.hosting import make_host
    from flows.ecosystem.openenv_server import openenv_app

    with openenv_app(make_host(CONFIG, browsers=browsers), sessions=2) as app:
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until = time.monotonic() + START_S
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        (port,) = {at.getsockname()[1] for one in server.servers for at in one.sockets}
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


async def emptied(operator: BrowserPool) -> bool:
    """True once no browser is leased; a session's end reaches the service a moment after the client's."""
    for _ in range(100):
        if not await operator.sessions():
            return True
        await asyncio.sleep(0.1)
    return False


def wanted(text: str, goal: str) -> str:
    """The id of the element that click-button's goal names."""
    name = goal.split('"')[1]
    return next(line[1:].split("]")[0] for line in text.splitlines() if line.endswith(f'"{name}"'))


async def test_openenvs_client_plays(browsers: str) -> None:
    from openenv.core import GenericEnvClient

    with openenv(browsers) as url:
        async with GenericEnvClient(base_url=url) as one, GenericEnvClient(base_url=url) as other:
            began = await asyncio.gather(*(env.reset(task=f"click-button.{n}") for n, env in enumerate((one, other))))
            assert all(not result.done and result.observation["goal"] for result in began)
            seen = began[0].observation
            assert len(seen["picture"]) > 1_000 and seen["screenshot"] is None
            bad = await one.step({"action_str": "press('1')"})
            assert bad.observation["last_action_error"] and "press is unknown" in bad.observation["error"]
            right = await one.step({"action_str": f"click('{wanted(seen['text'], seen['goal'])}')"})
            assert (right.done, right.reward) == (True, 1.0)
            state = await one.state()
            assert state["task_name"] == "click-button" and state["cum_reward"] == 1.0 and state["step_count"] == 2
            given_up = await other.step({"action_str": "report_infeasible('no')"})
            assert (given_up.done, given_up.reward) == (True, 0.0)
            with pytest.raises(Exception, match=r"There is no MiniWoB\+\+ family"):
                await one.reset(task="no-such.7")
            again = await one.reset(seed=3)
            assert not again.done and (await other.reset(seed=3)).observation["goal"] == again.observation["goal"]
        async with BrowserPool(browsers) as operator:
            assert await emptied(operator)


def test_a_web_page_is_refused(browsers: str) -> None:
    with openenv(browsers) as url:
        assert httpx.get(f"{url}/health").status_code == 200
        for headers in ({"origin": "http://evil.example"}, {"host": "evil.example:80"}):
            assert httpx.get(f"{url}/health", headers=headers).status_code == 403
            assert httpx.post(f"{url}/reset", json={}, headers=headers).status_code == 403
