"""Judging by the environment's own record of the end: exact, free, and repeatable from the stored trajectory alone."""

import logging
import math
from collections.abc import Callable

from agent.types import Trajectory, Verdict

logger = logging.getLogger(__name__)

Check = Callable[[Trajectory], Verdict]
"""`environments.base.Environment.check` fits."""


class Verifier:
    """A judge that asks an environment's `check`. A broken episode is left unjudged, whatever the record says."""

    name = "verifier"

    def __init__(self, check: Check) -> None:
        self._check = check

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The environment's verdict; unjudged when anything but the policy broke the episode, and when the check itself fails.

        A reward that is no number from 0 to 1 is a fault of the check: it is named and never bent into the range.
        """
        failure = trajectory.failure
        if failure is not None and failure.side != "policy":
            return self._unjudged(trajectory, f"not judged: {failure.side} failure {failure.code}")
        try:
            verdict = self._check(trajectory)
        except Exception as error:
            logger.exception("the check of %s failed", trajectory.id)
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return self._unjudged(trajectory, f"not judged: the environment's check failed: {problem}")
        if verdict.reward is not None and not (math.isfinite(verdict.reward) and 0 <= verdict.reward <= 1):
            return self._unjudged(
                trajectory,
                f"not judged: the environment's check gave the reward {verdict.reward!r}, which is not from 0 to 1",
            )
        return verdict

    def _unjudged(self, trajectory: Trajectory, why: str) -> Verdict:
        return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why, judge=self.name)
