"""From the recorded end of an episode to a verdict, without any server or browser.

The reward is the page's own and raw one (-1 to 1, partial credit included), never the one that MiniWoB++ lets decay with
time. MiniWoB++ pages judge themselves in the browser: what the page says is the ground truth of this benchmark.
"""

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.types import Trajectory, Verdict

JUDGE = "miniwob"


class FinalState(BaseModel):
    """What `Episode.final_state` recorded. Example: `{"done": true, "raw_reward": -1.0, "utterance": "Click on Tab #2."}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    done: bool
    raw_reward: float | None = Field(ge=-1, le=1)
    utterance: str

    @model_validator(mode="after")
    def _end_has_a_reward(self) -> "FinalState":
        if self.done and self.raw_reward is None:
            raise ValueError("the episode is over, but has no reward")
        return self


def check(trajectory: Trajectory) -> Verdict:
    """Reward 0 for an episode that the policy did not finish; None when infrastructure or the site broke, or nothing is recorded."""
    failure = trajectory.failure
    if failure is not None and failure.side != "policy":
        return unjudged(trajectory, f"{failure.side} failed: {failure.message}")
    try:
        state = FinalState.model_validate(trajectory.final_state)
    except ValidationError:
        return unjudged(trajectory, f"Expected a recorded end of the episode, found {trajectory.final_state!r}."[:500])
    reward = max(0.0, state.raw_reward) if state.done and state.raw_reward is not None else 0.0
    evidence = (
        f"The page's raw reward is {state.raw_reward:g}."
        if state.raw_reward is not None
        else "The task was not finished."
    )
    return Verdict(
        trajectory_id=trajectory.id, reward=reward, criteria={"done": state.done}, evidence=evidence, judge=JUDGE
    )


def unjudged(trajectory: Trajectory, why: str) -> Verdict:
    """The verdict that says nothing about the policy."""
    return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why, judge=JUDGE)
