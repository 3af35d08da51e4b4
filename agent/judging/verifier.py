"""Judging by the environment's own record of the end: exact, free, and repeatable from the stored trajectory alone."""

from collections.abc import Callable

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
        return self._check(trajectory)
