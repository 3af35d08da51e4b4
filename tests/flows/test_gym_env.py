"""The Gymnasium environment over a real browser service and real MiniWoB++ pages."""

import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

from agent.episodes.episode_lease import LEASE_TTL_S
from agent.failures import EpisodeFailure
from agent.gym.environment import WebEnv
from agent.gym.spaces import click, read_marks, say
from agent.types import Task, Trajectory
from agent.verdict import Verdict
from browser_service.client import SyncBrowserPool
from browser_service.models import Observe
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.base import UnknownTask
from environments.config import EnvironmentConfig, TasksConfig
from environments.horizons import HorizonConfig
from environments.miniwob import MiniWob
from environments.web import serving
from flows.gym_env import ConfiguredTasks, make_env
from flows.settings.loop_config import ConfigError
from storage.errors import ServicesError

pytestmark = pytest.mark.browser
CONFIG = Path(__file__).parents[2] / "configs" / "minimal.yaml"
SLOTS = 2
LOOK = say(Observe())


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    settings = Settings(slots=SLOTS, warm=1)
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    """The address of a service with two browsers, in a thread of its own."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(service()) as url:
        yield url


@pytest.fixture
def pool(browsers: str) -> Generator[SyncBrowserPool]:
    """The service as an operator sees it. Each test begins and ends without leases; what a failed one left expires."""
    with SyncBrowserPool(browsers) as pool:
        deadline = time.monotonic() + 2 * LEASE_TTL_S
        while pool.sessions() and time.monotonic() < deadline:
            time.sleep(0.2)
        yield pool
        assert pool.sessions() == []


@pytest.fixture
def env(browsers: str, pool: SyncBrowserPool) -> Generator[WebEnv]:
    with make_env(CONFIG, browsers=browsers) as env:
        yield env


def solve(env: WebEnv, task_id: str) -> list[tuple[float, bool, bool, dict[str, Any]]]:
    """Plays a task by its scripted solution; what came back of every step."""
    world = MiniWob()
    task, came = world.task_from_id(task_id), []
    observation, info = env.reset(options={"task": task_id})
    while not (came and (came[-1][1] or came[-1][2])):
        action = world.solve(task, observation["goal"], info["observation"], step=len(came))
        observation, reward, terminated, truncated, info = env.step(say(action))
        assert observation in env.observation_space
        came.append((reward, terminated, truncated, info))
    return came


def test_it_follows_gymnasiums_rules(browsers: str, pool: SyncBrowserPool) -> None:
    made = gymnasium.make(
        "flows.gym_env:rl_loop/Web-v0", config=str(CONFIG), browsers=browsers, render_mode="rgb_array"
    )
    with made:
        assert isinstance(made.unwrapped, WebEnv)
        check_env(made.unwrapped)
        assert [session.owner.startswith("gym-click-") for session in pool.sessions()] == [True]
    made.close()


def test_a_solved_task_is_worth_one(env: WebEnv, pool: SyncBrowserPool) -> None:
    came = solve(env, "enter-text.3")
    assert [(reward, terminated, truncated) for reward, terminated, truncated, _ in came] == [
        *[(0.0, False, False)] * (len(came) - 1),
        (1.0, True, False),
    ]
    first, last = came[0][3], came[-1][3]
    assert len(came) > 1 and first["effect"] and first["feedback"] == "" and first["seconds"]["act"] > 0
    assert (last["task"], last["stop"], last["verdict"].reward) == ("enter-text.3", "done", 1.0)
    assert isinstance(last["trajectory"], Trajectory) and len(last["trajectory"].steps) == len(came)
    assert pool.sessions() == []  # the browser is free as soon as the episode is over
    with pytest.raises(ResetNeeded):
        env.step(LOOK)


def test_what_is_seen_can_be_clicked(browsers: str, pool: SyncBrowserPool) -> None:
    with make_env(CONFIG, browsers=browsers, render_mode="rgb_array") as env:
        with pytest.raises(ResetNeeded):
            env.render()
        observation, info = env.reset(options={"task": "click-button.12"})
        picture = observation["screenshot"]
        assert picture.shape == (210, 160, 3) and picture.dtype == np.uint8 and len(np.unique(picture)) > 10
        rendered = env.render()
        assert rendered is not None and np.array_equal(rendered, picture)
        assert observation["goal"].startswith("Click on the ") and observation["url"] == info["observation"].url
        named = [mark for mark in read_marks(observation["marks"]) if f'"{mark.name}"' in observation["goal"]]
        assert named == [mark for mark in info["observation"].marks if f'"{mark.name}"' in observation["goal"]]
        box = named[0].box
        _, reward, terminated, _, _ = env.step(click(box.x + box.width / 2, box.y + box.height / 2))
        assert (reward, terminated) == (1.0, True)


def test_the_last_allowed_step_truncates(env: WebEnv) -> None:
    env.reset(options={"task": "click-test.3"})
    ends = [env.step(LOOK)[1:4] for _ in range(3)]
    assert ends == [(0.0, False, False), (0.0, False, False), (0.0, False, True)]
    _, info = env.reset()
    assert info["seconds"]["reset"] > 0


@pytest.mark.parametrize("nonsense", ["click(3)", "", '{"kind": "click_id"}', '{"kind": "fly"}', "[" * 50_000])
def test_text_that_is_no_action_gets_feedback(env: WebEnv, nonsense: str) -> None:
    observation, _ = env.reset(options={"task": "click-test.3"})
    after, reward, terminated, truncated, info = env.step(nonsense)
    assert info["feedback"].startswith("expected an action as JSON: ") and len(info["feedback"]) <= 300
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert np.array_equal(after["screenshot"], observation["screenshot"])


def test_too_much_nonsense_ends_the_episode(browsers: str, pool: SyncBrowserPool) -> None:
    with make_env(CONFIG, browsers=browsers, overrides=["agent.max_format_errors=2"]) as env:
        env.reset()
        env.step("first")
        _, reward, terminated, truncated, info = env.step("second")
        assert (reward, terminated, truncated, info["stop"]) == (0.0, True, False, "format")


def test_a_killed_lease_is_an_error_and_no_reward(env: WebEnv, pool: SyncBrowserPool) -> None:
    env.reset(options={"task": "click-test.3"})
    (session,) = pool.sessions()
    pool.end(session.instance_id)
    with pytest.raises(EpisodeFailure) as broken:
        env.step(LOOK)
    assert broken.value.failure.side == "infra" and broken.value.failure.retryable
    with pytest.raises(ResetNeeded):
        env.step(LOOK)
    assert solve(env, "click-test.3")[-1][0] == 1.0


def test_an_agent_that_thinks_too_long_gets_the_deadline_as_failure(browsers: str, pool: SyncBrowserPool) -> None:
    with make_env(CONFIG, browsers=browsers, overrides=["agent.episode_deadline_s=3"]) as env:
        with pytest.raises(EpisodeFailure) as broken:
            env.reset()
            time.sleep(3.5)
            env.step(LOOK)
        assert broken.value.failure.code == "EPISODE_DEADLINE"
        assert pool.sessions() == []


def test_without_a_free_browser_reset_says_so(browsers: str, pool: SyncBrowserPool) -> None:
    with make_env(CONFIG, browsers=browsers, overrides=["agent.lease_wait_s=0"]) as env, ExitStack() as taken:
        for _ in range(SLOTS):
            taken.enter_context(pool.lease(owner="somebody else"))
        with pytest.raises(EpisodeFailure) as broken:
            env.reset()
        assert (broken.value.failure.side, broken.value.failure.code) == ("infra", "NO_CAPACITY")


def test_what_nobody_can_judge_is_an_error_and_no_reward(browsers: str, pool: SyncBrowserPool) -> None:
    async def check(trajectory: Trajectory, _: dict[str, Any]) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=None, evidence="nobody knows", judge="test")

    with make_env(CONFIG, browsers=browsers, check=check) as env:
        env.reset()
        with pytest.raises(EpisodeFailure, match="nobody knows") as broken:
            env.step('{"kind": "answer", "text": "done"}')
        assert broken.value.failure.side == "judge"


def test_two_at_once_in_a_vector(browsers: str, pool: SyncBrowserPool) -> None:
    with closing(SyncVectorEnv([lambda: make_env(CONFIG, browsers=browsers)] * 2)) as envs:
        observations, infos = envs.reset(seed=1)
        assert observations["screenshot"].shape == (2, 210, 160, 3) and len(observations["goal"]) == 2
        assert infos["task"][0] != infos["task"][1] and len(pool.sessions()) == 2
        solved = tuple(
            _centre_of_button(marks, goal)
            for marks, goal in zip(observations["marks"], observations["goal"], strict=True)
        )
        _, rewards, terminations, truncations, _ = envs.step((solved[0], LOOK))
        assert rewards.tolist() == [1.0, 0.0] and terminations.tolist() == [True, False] and not truncations.any()
        again = envs.step((LOOK, solved[1]))  # the first one only begins its next episode
        assert again[1].tolist() == [0.0, 1.0] and again[2].tolist() == [False, True]
        assert again[4]["task"][0] != infos["task"][0]


def _centre_of_button(marks: str, goal: str) -> str:
    """A click on the button that the goal names, or on the only one."""
    buttons = [mark for mark in read_marks(marks) if mark.role == "button"]
    wanted = [mark for mark in buttons if f'"{mark.name}"' in goal] or buttons
    return click(wanted[0].box.x + wanted[0].box.width / 2, wanted[0].box.y + wanted[0].box.height / 2)


def test_a_seed_names_a_task(env: WebEnv) -> None:
    def task(seed: int | None) -> str:
        return env.reset(seed=seed)[1]["task"]

    drawn = [task(5), task(None), task(None)]
    assert [task(5), task(None), task(None)] == drawn and len(set(drawn)) == 3


def test_leaving_an_episode_gives_its_browser_back(env: WebEnv, pool: SyncBrowserPool) -> None:
    env.reset()
    env.reset()
    assert len(pool.sessions()) == 1
    env.close()
    assert pool.sessions() == []
    env.close()


def test_what_reset_cannot_do_is_refused(env: WebEnv) -> None:
    with pytest.raises(UnknownTask, match="click-buton"):
        env.reset(options={"task": "click-buton.3"})
    with pytest.raises(ValueError, match="found level"):
        env.reset(options={"level": 3})


def test_what_cannot_work_is_refused_before_anything_starts(tmp_path: Path) -> None:
    live = ["environment={name: live, tasks: {train: t.jsonl, heldout: t.jsonl}}"]
    with pytest.raises(ConfigError, match="pass check="):
        make_env(CONFIG, browsers="http://127.0.0.1:1", overrides=live)
    with pytest.raises(ServicesError, match="rl-loop up"):
        make_env(CONFIG, overrides=[f"services.state_dir={tmp_path}"])


def test_tasks_of_a_file_are_drawn_and_found(tmp_path: Path) -> None:
    tasks = [
        Task(id=f"t{number}", environment="live", goal="look", start_url="http://shop.test/", max_steps=7)
        for number in range(20)
    ]
    (tmp_path / "tasks.jsonl").write_text("".join(f"{task.model_dump_json()}\n" for task in tasks))
    source = str(tmp_path / "tasks.jsonl")
    config = EnvironmentConfig(
        name="live", tasks=TasksConfig(train=source, heldout=source), horizon=HorizonConfig(curriculum={1: 2, 9: 5})
    )
    found = ConfiguredTasks(config, "train")
    drawn = {found.draw(np.random.default_rng(seed)).id for seed in range(200)}
    assert drawn == {task.id for task in tasks}
    assert found.draw(np.random.default_rng(1)) == found.draw(np.random.default_rng(1))
    assert found.find("t7") == tasks[7].model_copy(update={"max_steps": 5})  # what training ends with
    with pytest.raises(UnknownTask, match="t99"):
        found.find("t99")
