"""Numbers are finite wherever they enter from a file or another process, and a reward is one from 0 to 1."""

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from agent.config import AgentConfig
from agent.judging.verifier import Verifier
from agent.types import Completion, Step, StopReason, Task, Trajectory
from agent.verdict import Verdict
from browser_service.models import Box, LeaseRequest, Observation, Viewport
from browser_service.tabs.marks import read_look
from environments.hosts import BlockingConfig
from environments.miniwob.verifier import check
from flows.settings.loop_config import ConfigError, LoopConfig, load_config
from storage.stages import StageReport
from training.checkpointing.canary import Canary
from training.checkpointing.checkpoints import Checkpoint
from training.config import UpdateConfig
from training.learning.report import UpdateReport

ROOT = Path(__file__).parent.parent
ROOMS = (
    "agent",
    "browser_service",
    "dashboard",
    "environments",
    "flows",
    "rollouts",
    "storage",
    "telemetry",
    "training",
)
WORDS = ("NaN", "Infinity", "-Infinity")
PAGE = Observation(url="http://localhost/", title="", viewport=Viewport())


def models(room: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """The classes of a room that are pydantic's directly, with the place of each."""
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "BaseModel" for base in node.bases):
                yield f"{path.relative_to(ROOT)}: {node.name}", node


@pytest.mark.parametrize("room", ROOMS)
def test_every_model_with_a_configuration_of_its_own_refuses_what_is_not_finite(room: str) -> None:
    open_doors = []
    for place, node in models(room):
        configured = [one for one in node.body if ast.unparse(one).startswith("model_config =")]
        has_floats = any(isinstance(one, ast.AnnAssign) and "float" in ast.unparse(one.annotation) for one in node.body)
        if (configured or has_floats) and not any("allow_inf_nan=False" in ast.unparse(one) for one in configured):
            open_doors.append(place)
    assert not open_doors, "add allow_inf_nan=False to the model_config of these"


@pytest.mark.parametrize("number", WORDS)
@pytest.mark.parametrize(
    ("model", "document"),
    [
        (Verdict, '{"trajectory_id": "t", "judge": "j", "reward": %s}'),
        (Completion, '{"text": "", "logprobs": [%s]}'),
        (Completion, '{"text": "", "temperature": %s}'),
        (Step, '{"index": 0, "observation": %s, "completion": null, "action": null, "seconds": {"think": PAGE}}'),
        (UpdateConfig, '{"learning_rate": %s}'),
        (UpdateConfig, '{"max_gap_fraction": %s}'),
        (AgentConfig, '{"temperature": %s}'),
        (BlockingConfig, '{"expires_h": %s}'),
        (LeaseRequest, '{"ttl_s": %s}'),
        (Box, '{"x": %s, "y": 0, "width": 1, "height": 1}'),
        (StageReport, '{"stage": "judge", "iteration": 1, "seconds": 1, "metrics": {"loss": %s}}'),
        (UpdateReport, '{"version": 1, "parent": 0, "metrics": {"loss": %s}}'),
        (Canary, '{"version": 1, "temperature": %s, "completions": []}'),
        (
            Checkpoint,
            '{"version": 1, "path": "v1", "parent": 0, "step": 1, "sha256": {}, "sizes": {}, "created": %s}',
        ),
    ],
)
def test_json_that_says_nan_is_refused(model: type[BaseModel], document: str, number: str) -> None:
    if "PAGE" in document:
        document = document.replace("%s", PAGE.model_dump_json()).replace("PAGE", "%s")
    model.model_validate_json(document % "0.5")
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(document % number)
    assert "finite number" in str(refused.value)


@pytest.mark.parametrize("reward", [-0.1, 1.0000001, 2, math.nan, math.inf])
def test_a_reward_is_a_number_from_0_to_1(reward: float) -> None:
    with pytest.raises(ValidationError):
        Verdict(trajectory_id="t", reward=reward, judge="test")


@pytest.mark.parametrize("key", ["update.learning_rate", "serving.canary_tolerance", "services.heal_s"])
def test_a_configuration_refuses_nan_in_a_sentence(tmp_path: Path, key: str) -> None:
    path = tmp_path / "loop.yaml"
    path.write_text("policy: {model: m}\nenvironment: {name: miniwob, domains: [click-test]}\n")
    assert isinstance(load_config(path), LoopConfig)
    with pytest.raises(ConfigError, match=f"{key}: input should be a finite number"):
        load_config(path, [f"{key}=.nan"])


def trajectory(**final_state: Any) -> Trajectory:
    task = Task(id="t", environment="miniwob")
    return Trajectory(
        id="t",
        task=task,
        goal="",
        group="g",
        member=0,
        iteration=1,
        steps=(),
        stop=StopReason.DONE,
        final_state=final_state,
    )


@pytest.mark.parametrize("given", [math.nan, -1.0, 3.5])
async def test_a_check_that_gives_no_reward_leaves_the_episode_unjudged(given: float) -> None:
    async def check(one: Trajectory, _: dict[str, Any]) -> Verdict:
        return Verdict(trajectory_id=one.id, reward=given, judge="game")

    verdict = await Verifier(check).judge(trajectory())
    assert verdict.reward is None
    assert f"the environment's check gave reward {given!r}" in verdict.evidence


async def test_a_check_with_another_error_leaves_the_episode_unjudged_and_says_why() -> None:
    async def check(one: Trajectory, _: dict[str, Any]) -> Verdict:
        Task(id="", environment="")
        raise AssertionError

    verdict = await Verifier(check).judge(trajectory())
    assert verdict.reward is None and "the environment's check failed: ValidationError" in verdict.evidence


@pytest.mark.parametrize(
    ("state", "reward"),
    [
        ({"done": True, "raw_reward": 0.25}, 0.25),
        ({"done": True, "raw_reward": -1.0}, 0.0),
        ({"done": False, "raw_reward": None}, 0.0),
        ({"done": True, "raw_reward": None}, None),
        ({"done": True, "raw_reward": 1.5}, None),
    ],
)
async def test_miniwob_gives_the_page_s_reward_or_none(state: dict[str, Any], reward: float | None) -> None:
    ended = trajectory(utterance="x", **state)
    assert (await check(ended, ended.final_state)).reward == reward


def test_a_recorded_end_is_finite() -> None:
    with pytest.raises(ValidationError, match="expected finite numbers, found nan"):
        trajectory(done=True, scores=[1.0, {"raw_reward": math.nan}])


def look(*sides: float) -> dict[str, Any]:
    marks = [
        {
            "tag": "a",
            "mark": {"id": number, "role": "link", "name": "", "box": {"x": 0, "y": 0, "width": side, "height": 1}},
        }
        for number, side in enumerate(sides, start=1)
    ]
    return {"url": "u", "title": "", "text": None, "partial": False, "marks": marks}


def test_an_element_without_a_finite_box_is_no_mark() -> None:
    seen = read_look(look(5.0, math.inf, math.nan, 7.0))
    assert [mark.id for mark in seen.marks] == [1, 4]
    assert set(seen.tags) == {1, 4}
