"""The package `browsergym-core` reads our observations, its actions are understood, and its task is played here.

It needs an environment of its own: it pins an old Playwright.
"""

import ast
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from agent.gym.browsergym import BrowserGymEnv
from agent.gym.browsergym_actions import SIGNATURES
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.foreign import End, ForeignEnvironment, browsergym_task
from environments.web import serving
from flows.gym_env import make_env

pytestmark = [pytest.mark.chaos, pytest.mark.browser, pytest.mark.filterwarnings("default")]
pytest.importorskip("browsergym.core", reason="the package browsergym-core is not installed here")
CONFIG = Path(__file__).parents[2] / "configs" / "minimal.yaml"


@asynccontextmanager
async def service() -> AsyncGenerator[str]:
    settings = Settings(slots=1, warm=1)
    async with running_service(settings) as service, serving(create_app(settings, service)) as url:
        yield url


@pytest.fixture(scope="module")
def browsers() -> Generator[str]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(service()) as url:
        yield url


def test_its_flattened_tree_names_what_can_be_clicked(browsers: str) -> None:
    from browsergym.utils.obs import flatten_axtree_to_str, overlay_som

    with BrowserGymEnv(make_env(CONFIG, browsers=browsers)) as env:
        seen, _ = env.reset(options={"task": "click-button.7"})
        properties = seen["extra_element_properties"]
        text = flatten_axtree_to_str(seen["axtree_object"], properties, with_clickable=True, filter_visible_only=True)
        name = seen["goal"].split('"')[1]
        line = next(line for line in text.splitlines() if f"button {name!r}" in line)
        assert line.strip().startswith("[") and "clickable" in line
        assert overlay_som(seen["screenshot"], properties).shape == seen["screenshot"].shape
        _, reward, terminated, _, _ = env.step(f"click('{line.strip()[1:].split(']')[0]}')")
        assert (reward, terminated) == (1.0, True)


def test_its_actions_are_understood() -> None:
    from browsergym.core.action.highlevel import HighLevelActionSet

    theirs = HighLevelActionSet(subsets=["chat", "infeas", "bid", "coord", "nav", "tab"])
    without_equal = {"press", "focus", "upload_file", "mouse_upload_file"}
    assert theirs.action_set.keys() - SIGNATURES.keys() == without_equal
    for name, action in theirs.action_set.items():
        if name not in without_equal:
            function = ast.parse(f"def {action.signature}: ...").body[0]
            assert isinstance(function, ast.FunctionDef)
            names = tuple(argument.arg for argument in function.args.args if argument.arg != "modifiers")
            assert SIGNATURES[name] == names[: len(SIGNATURES[name])], name


def test_its_task_is_a_foreign_task() -> None:
    from browsergym.core.task import OpenEndedTask

    make = browsergym_task(OpenEndedTask, start_url="https://a.example/", goal="Look around.")
    world = ForeignEnvironment("open", {"openended": make})
    task = world.task_from_id("openended.7")
    assert (task.start_url, task.goal) == ("https://a.example/", "Look around.")
    assert make(7).check(End("https://a.example/", "A", "done", "Look around.")) == 0.0
