"""Episodes driven from outside: BrowserGym's interface, several at once, vectorised, and tasks of other projects."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from agent.failures import EpisodeFailure
from agent.gym.browsergym import BrowserGymEnv
from agent.gym.browsergym_actions import browsergym_turn
from agent.gym.hosted import EpisodeHost
from agent.gym.moments import elements_of
from agent.gym.vector import ParallelVectorEnv
from agent.types import Task
from browser_service.client import BrowserPool
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.base import UnknownTask, Unsolvable
from environments.foreign import End, ForeignEnvironment, browsergym_task
from environments.foreign.browsergym import NeedsPage
from environments.web import serving
from flows.ecosystem.hosting import make_host
from flows.gym_env import make_env
from flows.settings.loop_config import ConfigError

pytestmark = pytest.mark.browser
CONFIG = Path(__file__).parents[2] / "configs" / "minimal.yaml"
TASK = "click-button.7"


async def page(request: Request) -> Response:
    return HTMLResponse(f"<title>price {request.path_params['name']}</title><a href='/next'>next</a>")


@asynccontextmanager
async def service() -> AsyncGenerator[tuple[str, str]]:
    settings = Settings(slots=3, warm=1)
    pages = FastAPI(routes=[Route("/{name}", page)])
    async with (
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        serving(pages) as at,
    ):
        yield url, at


@pytest.fixture(scope="module")
def stack() -> Generator[tuple[str, str]]:
    """Addresses of a service with three browsers, and of a site."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(service()) as addresses:
        yield addresses


@pytest.fixture
def browsers(stack: tuple[str, str]) -> str:
    return stack[0]


def wanted(goal: str, page: Any) -> str:
    """The id of the element that click-button's goal names."""
    name = goal.split('"')[1]
    return next(str(mark.id) for mark in page.marks if mark.name == name)


def test_an_agent_of_browsergym_plays(browsers: str) -> None:
    with BrowserGymEnv(make_env(CONFIG, browsers=browsers)) as env:
        seen, info = env.reset(options={"task": TASK})
        assert env.observation_space.contains(seen)
        assert seen["chat_messages"][0]["message"] == seen["goal"] and seen["open_pages_urls"] == (seen["url"],)
        _, _, done, _, info = env.step("click('x')")
        assert not done and "expected the id of an element" in info["task_info"]["feedback"]
        bid = wanted(seen["goal"], info["task_info"]["observation"])
        node = next(node for node in seen["axtree_object"]["nodes"] if node.get("browsergym_id") == bid)
        assert node["name"]["value"] in seen["goal"] and seen["extra_element_properties"][bid]["bbox"][2] > 0
        seen, reward, terminated, truncated, _ = env.step(f"click('{bid}')")
        assert (reward, terminated, truncated, seen["last_action"]) == (1.0, True, False, f"click('{bid}')")


@pytest.mark.chaos
def test_steps_of_several_environments_run_at_once(browsers: str) -> None:
    with pytest.raises(ValueError, match="expected at least one environment"):
        ParallelVectorEnv([])
    env = ParallelVectorEnv(
        [lambda: make_env(CONFIG, browsers=browsers, overrides=["environment.domains=[click-button]"])] * 2
    )
    try:
        seen, infos = env.reset(seed=3)
        assert seen["screenshot"].shape[0] == 2 and seen["goal"][0] != seen["goal"][1]
        clicks = [json.dumps({"kind": "click_id", "id": int(wanted_of(seen, infos, place))}) for place in range(2)]
        seen, rewards, ended, _, _ = env.step(clicks)
        assert list(rewards) == [1.0, 1.0] and all(ended)
        seen, rewards, ended, cut, _ = env.step(['{"kind": "observe"}'] * 2)
        assert not ended.any() and not cut.any() and list(rewards) == [0.0, 0.0]
    finally:
        env.close()


def wanted_of(seen: dict[str, Any], infos: dict[str, Any], place: int) -> str:
    return wanted(seen["goal"][place], infos["observation"][place])


async def test_a_host_plays_many_at_once_and_gives_every_browser_back(browsers: str) -> None:
    host = make_host(CONFIG, browsers=browsers)
    async with host, BrowserPool(browsers) as operator:
        episodes = await asyncio.gather(*(host.begin(task=f"click-button.{seed}") for seed in range(3)))
        for episode in episodes:
            now = episode.now
            assert elements_of(now.observation).startswith("[1] ") and not now.is_over and now.reward == 0
            turn = browsergym_turn(f"click('{wanted(now.goal, now.observation)}')", now.observation)
            now = await episode.step(turn)
            assert now.is_over and now.reward == 1.0 and now.trajectory is not None and not now.is_truncated
            with pytest.raises(ValueError, match="is over; begin another one"):
                await episode.step(turn)
        one, other = await host.begin(seed=5), await host.begin(seed=5)
        assert one.task == other.task
        await one.close()
        with pytest.raises(UnknownTask):
            await host.begin(task="no-such-family.7")
    async with BrowserPool(browsers) as operator:
        assert await operator.sessions() == []


def test_an_environment_without_rewards_cannot_be_hosted(tmp_path: Path) -> None:
    path = tmp_path / "live.yaml"
    path.write_text("policy: {model: x}\nenvironment: {name: live, tasks: {train: a.jsonl, heldout: b.jsonl}}\n")
    with pytest.raises(ConfigError, match="has no verifier to give rewards"):
        make_host(path, browsers="http://127.0.0.1:1")


class Priced:
    """A task as other projects have them."""

    def __init__(self, seed: int, site: str) -> None:
        self.start_url, self.goal, self._wanted = f"{site}/a", "Open the next page, and say its title.", "price next"

    def check(self, end: End) -> float:
        return math.nan if end.answer == "broken" else float(end.answer == end.title == self._wanted)


class OfBrowserGym:
    """A task with the interface of `browsergym.core.task.AbstractBrowserTask`."""

    def __init__(self, seed: int, site: str, needs: str = "") -> None:
        self._site, self._needs = site, needs

    def setup(self, page: Any) -> tuple[Any, dict[str, Any]]:
        page.goto(f"{self._site}/a", timeout=10_000)
        if self._needs:
            getattr(page, self._needs)("1 + 1")
        return ({"type": "text", "text": "Say the title of the next page."},), {}

    def validate(self, page: Any, chat_messages: list[dict[str, Any]]) -> tuple[float, bool, str, dict[str, Any]]:
        last = chat_messages[-1]
        is_right = last["role"] == "assistant" and last["message"] == "price next" and page.url.endswith("/next")
        return float(is_right), True, "", {}


class Source:
    def __init__(self, world: ForeignEnvironment) -> None:
        self._world = world

    def draw(self, rng: np.random.Generator) -> Task:
        return self._world.task(self._world.domains("train")[0], int(rng.integers(100)), "train")

    def find(self, task_id: str) -> Task:
        return self._world.task_from_id(task_id)


@pytest.mark.chaos
async def test_tasks_of_other_projects_are_played_and_judged_by_their_own_check(stack: tuple[str, str]) -> None:
    url, site = stack
    families = {"priced": lambda seed: Priced(seed, site), "asked": browsergym_task(OfBrowserGym, site=site)}
    world = ForeignEnvironment("theirs", families, heldout=["asked"], private_sites=[site.removeprefix("http://")])
    assert (world.domains("train"), world.domains("heldout")) == (["priced"], ["asked"])
    rewards = []
    async with EpisodeHost(world, tasks=Source(world), browsers=url) as host:
        for task in ("priced.7", "asked.1000003"):
            for answer in ("price next", "another"):
                episode = await host.begin(task=task)
                now = await episode.step(browsergym_turn("click('1')", episode.now.observation))
                now = await episode.step(browsergym_turn(f"send_msg_to_user('{answer}')", now.observation))
                rewards.append(now.reward)
        episode = await host.begin(task="priced.7")
        with pytest.raises(EpisodeFailure, match="its own check gave nan, expected 0 to 1"):
            await episode.step(browsergym_turn("send_msg_to_user('broken')", episode.now.observation))
    assert rewards == [1.0, 0.0, 1.0, 0.0]
    for bad in ("asked.7", "priced", "priced.9999999", "other.7"):
        with pytest.raises(UnknownTask):
            world.task_from_id(bad)
    with pytest.raises(Unsolvable):
        world.solve(world.task_from_id("priced.7"), "", episode.now.observation, step=0)


def test_a_task_that_needs_more_than_an_address_is_refused_by_name() -> None:
    with pytest.raises(NeedsPage, match="found one that needs evaluate"):
        browsergym_task(OfBrowserGym, site="http://a", needs="evaluate")(1)
    with pytest.raises(ValueError, match="held-out family b is none of a"):
        ForeignEnvironment("x", {"a": lambda seed: Priced(seed, "http://a")}, heldout=["b"])
