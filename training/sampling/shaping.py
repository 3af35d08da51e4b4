"""Shaping: penalties of a trajectory for outputs that can't be parsed and for repeated actions, and steps without effect."""

from agent.types import Observation, Step, Trajectory


def shaping_penalty(*, format_errors: int, repeats: int, format_penalty: float, repetition_penalty: float) -> float:
    """Returns the penalty for a trajectory's format errors and repeated actions, in [0, 1].

    One unparsed output at 0.05 and two repeats at 0.05 each: 0.05 + 0.10 = 0.15.
    """
    return min(1.0, format_penalty * format_errors + repetition_penalty * repeats)


def format_errors(trajectory: Trajectory) -> int:
    """Counts the outputs of the model that could not be parsed into an action."""
    return sum(unparsable(step) for step in trajectory.steps)


def repeats(trajectory: Trajectory) -> int:
    """Counts the steps that repeat the previous step's action on an identical screenshot."""
    pairs = zip(trajectory.steps, trajectory.steps[1:], strict=False)
    return sum(
        same_picture(before.observation, now.observation) and now.action is not None and now.action == before.action
        for before, now in pairs
    )


def unchanged(trajectory: Trajectory) -> list[bool]:
    """For each step, True if the screenshot after it is the same, byte for byte; False where there is none."""
    after = [*(step.observation for step in trajectory.steps[1:]), trajectory.final_observation]
    return [same_picture(step.observation, later) for step, later in zip(trajectory.steps, after, strict=False)]


def unparsable(step: Step) -> bool:
    """True if the model's output could not be parsed into an action."""
    return step.completion is not None and step.action is None


def same_picture(one: Observation, other: Observation | None) -> bool:
    """True if both have a screenshot and they are identical."""
    if other is None or one.screenshot is None or other.screenshot is None:
        return False
    return one.screenshot.sha256 == other.screenshot.sha256
