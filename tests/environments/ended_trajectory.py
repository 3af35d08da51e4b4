"""A trajectory that ended with an answer, as a verifier gets it."""

from agent.types import StopReason, Task, Trajectory


def ended(task: Task, answer: str | None = None) -> Trajectory:
    """The trajectory of an episode without steps. `answer`: its final answer."""
    return Trajectory(
        id="t",
        task=task,
        goal=task.goal,
        group="g",
        member=0,
        iteration=0,
        steps=(),
        stop=StopReason.ANSWERED,
        answer=answer,
    )
