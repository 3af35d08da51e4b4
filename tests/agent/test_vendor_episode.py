"""A vendor's model plays real episodes: real Chromium, a MiniWoB++ page, the real SDK, the vendor on loopback."""

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio
from vendor_server import Answer as Reply
from vendor_server import Json, Vendor, running_vendor

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, play
from agent.episodes.safety import Confirm
from agent.model_config import OpenAIComputer
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from agent.types import StopReason, Task, Trajectory
from browser_service.client import BrowserPool
from browser_service.models import Viewport, VisitPage
from browser_service.servers.instance import create_app
from browser_service.settings import Settings
from browser_service.tiers.service import running_service
from environments.miniwob import MiniWob
from environments.web import serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
VIEWPORT = Viewport(width=160, height=210)
CHECK = {"id": "sc_1", "code": "malicious_instructions", "message": "Really click?"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncGenerator[tuple[MiniWob, BrowserPool]]:
    settings = Settings(slots=1, egress_sites=("127.0.0.1:*",))
    async with (
        MiniWob() as environment,
        running_service(settings) as service,
        serving(create_app(settings, service)) as url,
        BrowserPool(url) as pool,
    ):
        yield environment, pool


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Generator[Vendor]:
    monkeypatch.setenv("TEST_MODEL_KEY", "sk-secret")
    with running_vendor() as server:
        yield server


async def button(stage: tuple[MiniWob, BrowserPool], task: Task) -> tuple[float, float]:
    """Where the task's only button is."""
    environment, pool = stage
    async with (
        environment.serve(task, trajectory_id="look") as site,
        pool.lease(owner="look", viewport=VIEWPORT) as eye,
    ):
        seen = (await eye.step(VisitPage(url=site.start_url))).observation
        (box,) = [mark.box for mark in seen.marks if mark.role == "button"]
        return box.x + box.width / 2, box.y + box.height / 2


async def episode(
    stage: tuple[MiniWob, BrowserPool], vendor: Vendor, calls: list[Json], confirm: Confirm | None = None
) -> Played:
    environment, pool = stage
    task = environment.task("click-test", 3, "train")
    x, y = await button(stage, task)
    vendor.answers = [
        Reply({"id": f"r{n}", "output": [_filled(call, x, y)], "status": "completed"}) for n, call in enumerate(calls)
    ]
    model = OpenAIComputer(model="m", base_url=vendor.url, api_key_env="TEST_MODEL_KEY")
    config = AgentConfig(model=model, interaction_mode="coordinates")
    served = Served(model="none", tag=None, version=None)
    async with open_model(config, served=served, uds=None, solve=None) as policy:
        return await play(
            EpisodeKey(task, "e1", group="g", member=0, iteration=1),
            EpisodeSetup(
                policy=policy,
                pool=pool,
                serve=environment.serve,
                viewport=VIEWPORT,
                config=config,
                confirm=confirm,
            ),
        )


def _filled(call: Json, x: float, y: float) -> Json:
    actions = [{**action, "x": int(x), "y": int(y)} if "button" in action else action for action in call["actions"]]
    return {**call, "type": "computer_call", "actions": actions}


MOVE = {"call_id": "c1", "actions": [{"type": "screenshot"}, {"type": "move", "x": 1, "y": 1}]}
CLICK = {"call_id": "c2", "actions": [{"type": "click", "button": "left"}]}
RISKY = {**CLICK, "pending_safety_checks": [CHECK]}


async def test_it_solves_a_page_by_pointing(stage: tuple[MiniWob, BrowserPool], vendor: Vendor) -> None:
    played = (await episode(stage, vendor, [MOVE, CLICK])).trajectory
    assert (played.stop, played.failure) == (StopReason.DONE, None)
    assert [step.action.kind for step in played.steps if step.action] == ["observe", "hover_coords", "click_coords"]
    assert (await stage[0].check(played, played.final_state)).reward == 1
    assert played.steps[0].effect == "nothing on the page changed"
    again = Trajectory.model_validate_json(played.model_dump_json())
    assert again == played  # the vendor's answers are part of the record
    assert "sk-secret" not in played.model_dump_json()


async def test_a_confirmation_that_nobody_gives_ends_the_episode(
    stage: tuple[MiniWob, BrowserPool], vendor: Vendor
) -> None:
    played = (await episode(stage, vendor, [RISKY])).trajectory
    assert (played.stop, played.failure) == (StopReason.SAFETY, None)
    (step,) = played.steps
    assert step.action is None and step.safety is not None
    assert (step.safety.asked, step.safety.decision) == ("Really click?", "unanswered")
    assert (await stage[0].check(played, played.final_state)).reward != 1


async def test_a_confirmation_that_a_person_gives_is_passed_on(
    stage: tuple[MiniWob, BrowserPool], vendor: Vendor
) -> None:
    async def confirm(asked: str, action: object) -> bool:
        return asked == "Really click?"

    played = (await episode(stage, vendor, [RISKY], confirm)).trajectory
    assert played.stop is StopReason.DONE
    assert played.steps[0].safety is not None and played.steps[0].safety.decision == "allowed"
