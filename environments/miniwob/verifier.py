"""Verdict from the recorded end of an episode, without any server or browser.

The reward is the page's own raw reward (-1 to 1, partial credit included), never MiniWoB++'s reward that decays with
time. MiniWoB++ pages judge themselves in the browser: the page's result is the ground truth of this benchmark.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.types import Trajectory
from agent.verdict import Verdict

JUDGE = "miniwob"


class FinalState(BaseModel):
    """Record of the end. Example: `{"done": true, "raw_reward": -1.0, "utterance": "Click on Tab #2."}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    done: bool
    raw_reward: float | None = Field(ge=-1, le=1)
    utterance: str

    @model_validator(mode="after")
    def _end_has_a_reward(self) -> "FinalState":
        if self.done and self.raw_reward is None:
            raise ValueError("the episode is over, but has no reward")
        return self


async def check(trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
    """Judges an episode: 0 if the policy did not finish it; None if another side broke, or without a record."""
    failure = trajectory.failure
    if failure is not None and failure.side != "policy":
        return unjudged(trajectory, f"{failure.side} failed: {failure.message}")
    try:
        state = FinalState.model_validate(evidence)
    except ValidationError:
        return unjudged(trajectory, f"Expected a recorded end of the episode, found {evidence!r}."[:500])
    if trajectory.task.goal and trajectory.task.goal != state.utterance:
        return unjudged(trajectory, "The page judged its own goal, which is not the task's.")
    reward = max(0.0, state.raw_reward) if state.done and state.raw_reward is not None else 0.0
    reason = (
        f"The page's raw reward is {state.raw_reward:g}."
        if state.raw_reward is not None
        else "The task was not finished."
    )
    return Verdict(
        trajectory_id=trajectory.id, reward=reward, criteria={"done": state.done}, evidence=reason, judge=JUDGE
    )


def unjudged(trajectory: Trajectory, why: str) -> Verdict:
    """Returns a verdict without a reward."""
    return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why, judge=JUDGE)
