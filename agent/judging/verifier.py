"""Judges by the environment's own record of the end: exact, free, and repeatable from the stored trajectory alone."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from agent.types import Trajectory
from agent.verdict import Verdict

logger = logging.getLogger(__name__)

Check = Callable[[Trajectory, dict[str, Any]], Awaitable[Verdict]]
"""`environments.base.Environment.check` fits."""


class Verifier:
    """A judge that asks an environment's `check`. A broken episode stays unjudged, whatever the record says."""

    name = "verifier"

    def __init__(self, check: Check) -> None:
        self._check = check

    async def judge(self, trajectory: Trajectory) -> Verdict:
        """The environment's verdict; unjudged when anything but the policy broke the episode, and when the check itself fails.

        A reward that is not a number from 0 to 1 is a fault of the check: it is reported and never clamped.
        """
        failure = trajectory.failure
        if failure is not None and failure.side != "policy":
            evidence = f"not judged: {failure.side} failure {failure.code}"
            return _unjudged(trajectory, evidence)
        return await verdict_of(self._check, trajectory)


async def verdict_of(check: Check, trajectory: Trajectory) -> Verdict:
    """The verdict of a check; unjudged when the check fails, or returns an invalid reward.

    An invalid reward, NaN or outside 0 to 1, is a fault of the check and says nothing about the policy.
    """
    try:
        # Validated again: an environment's code may have bypassed the type.
        return Verdict.model_validate((await check(trajectory, trajectory.final_state)).model_dump())
    except ValidationError as error:
        if error.title != Verdict.__name__:
            return _failed(trajectory, error)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _unjudged(
            trajectory, f"not judged: the environment's check gave {where} {first['input']!r}: {first['msg']}"
        )
    except (
        Exception
    ) as error:  # an environment's own code may raise anything: the trajectory stays unjudged, the stage goes on
        return _failed(trajectory, error)


def _failed(trajectory: Trajectory, error: Exception) -> Verdict:
    logger.error("the check of %s failed", trajectory.id, exc_info=error)
    problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return _unjudged(trajectory, f"not judged: the environment's check failed: {problem}")


def _unjudged(trajectory: Trajectory, why: str) -> Verdict:
    return Verdict(trajectory_id=trajectory.id, reward=None, evidence=why[:500], judge=Verifier.name)
