"""Task ids, splits, and the verdict from a recorded end; no server, no browser."""

from typing import Any

import pytest

from agent.types import Failure, Side, StopReason, Trajectory
from agent.verdict import Verdict
from environments.base import UnknownTask
from environments.miniwob import MiniWob
from environments.miniwob.families import FAMILIES
from environments.miniwob.pages import html_folder

MINIWOB = MiniWob()


@pytest.mark.parametrize(
    ("seed", "split"), [(0, "train"), (999_999, "train"), (1_000_000, "heldout"), (1_999_999, "heldout")]
)
def test_an_id_leads_back_to_its_task(seed: int, split: Any) -> None:
    task = MINIWOB.task("click-button", seed, split)
    assert task.id == f"click-button.{seed}"
    assert MINIWOB.task_from_id(task.id) == task


@pytest.mark.parametrize(
    ("seed", "split"), [(-1, "train"), (1_000_000, "train"), (999_999, "heldout"), (2_000_000, "heldout")]
)
def test_a_seed_of_the_other_split_is_refused(seed: int, split: Any) -> None:
    with pytest.raises(ValueError, match=f"Seeds of the {split} split are .*, found {seed}"):
        MINIWOB.task("click-button", seed, split)


def test_an_unknown_family_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownTask, match="did you mean click-checkboxes"):
        MINIWOB.task("click-checkbox", 1, "train")


@pytest.mark.parametrize("wrong", ["click-button", "click-button.", "click-button.-1", "click-button.01", "click-button.2000000",
                                   "../click-button.1", "click-button.1.html", "clik-button.1", ""])  # fmt: skip
def test_other_ids_are_refused(wrong: str) -> None:
    with pytest.raises(UnknownTask):
        MINIWOB.task_from_id(wrong)


def test_every_family_has_a_page() -> None:
    pages = {path.stem for path in (html_folder() / "miniwob").glob("*.html")}
    assert set(MINIWOB.domains()) <= pages
    assert MINIWOB.domains() == sorted(FAMILIES)


def ended(final_state: dict[str, Any], side: Side | None = None) -> Trajectory:
    failure = Failure(side=side, code="X", message="it broke", retryable=False) if side else None
    return Trajectory(
        id="t1", task=MINIWOB.task("click-button", 1, "train"), goal="Click.", group="g", member=0, iteration=1, steps=(),
        stop=StopReason.FAILED if side else StopReason.DONE, final_state=final_state, failure=failure,
    )  # fmt: skip


def state(done: bool, raw_reward: float | None) -> dict[str, Any]:
    return {"done": done, "raw_reward": raw_reward, "utterance": "Click."}


async def judged(trajectory: Trajectory) -> Verdict:
    return await MINIWOB.check(trajectory, trajectory.final_state)


@pytest.mark.parametrize(
    ("final_state", "reward"),
    [
        (state(True, 1), 1.0),
        (state(True, 0.1), 0.1),
        (state(True, 0), 0.0),
        (state(True, -1), 0.0),
        (state(False, None), 0.0),
    ],
)
async def test_the_reward_is_the_raw_one_and_never_negative(final_state: dict[str, Any], reward: float) -> None:
    verdict = await judged(ended(final_state))
    assert verdict.reward == reward
    assert verdict.trajectory_id == "t1"
    assert verdict.judge == "miniwob"
    assert verdict.criteria == {"done": final_state["done"]}


@pytest.mark.parametrize("side", ["infra", "site", "judge"])
async def test_what_others_broke_is_unjudged_and_never_0(side: Side) -> None:
    verdict = await judged(ended(state(False, None), side))
    assert verdict.reward is None
    assert "it broke" in verdict.evidence


async def test_what_the_policy_broke_is_0() -> None:
    assert (await judged(ended(state(False, None), "policy"))).reward == 0.0


@pytest.mark.parametrize("wrong", [{}, {"done": True}, {**state(True, 1), "extra": 1}, state(True, 7)])
async def test_an_end_that_was_not_recorded_is_unjudged(wrong: dict[str, Any]) -> None:
    assert (await judged(ended(wrong))).reward is None
