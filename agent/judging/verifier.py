"""Judging by the environment's own record of the end: exact, free, and repeatable from the stored trajectory alone."""

from collections.abc import Callable

from pydantic import ValidationError

from agent.types import Trajectory, Verdict

Check = Callable[[Trajectory], Verdict]
"""`environments.base.Environment.check` fits."""


class Verifier:
    """A judge that asks an environment's `check`. A broken episode is left unjudged, whatever the record says."""

    name = "verifier"

    def __init__(self, check: Check) -> None:
        self._check = check

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The environment's verdict; unjudged when anything but the policy broke the episode."""
        failure = trajectory.failure
        if failure is not None and failure.side != "policy":
            evidence = f"not judged: {failure.side} failure {failure.code}"
            return Verdict(trajectory_id=trajectory.id, reward=None, evidence=evidence, judge=self.name)
        return verdict_of(self._check, trajectory)


def verdict_of(check: Check, trajectory: Trajectory) -> Verdict:
    """The verdict that a check gives; unjudged when it gives a reward that is none.

    Such a reward, NaN or outside 0 to 1, says something about the check and nothing about the policy.
    """
    try:
        return check(trajectory)
    except ValidationError as error:
        if error.title != Verdict.__name__:
            raise
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        evidence = f"not judged: the environment's check gave {where} {first['input']!r}: {first['msg']}"[:500]
        return Verdict(trajectory_id=trajectory.id, reward=None, evidence=evidence, judge=Verifier.name)
