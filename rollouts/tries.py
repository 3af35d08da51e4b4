"""The number of attempts at a broken episode, and the backoff between them."""

import random

from agent.types import Failure
from rollouts.board import tries_of
from rollouts.config import RolloutConfig

NO_ROOM = frozenset({"NO_CAPACITY", "RATE_LIMITED"})
"""Failure codes for a lack of free browsers: nothing has been played, so no attempt is used up."""
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Seconds before the second attempt, doubled for each further one, and their maximum."""


class Tries:
    """The attempts at one episode, which its failures use up."""

    def __init__(self, config: RolloutConfig, *, patience_s: float) -> None:
        """`patience_s`: duration for which a lack of browsers uses up no attempt."""
        self._config, self._patience_s = config, patience_s
        self._used = 0
        self._refused_since: float | None = None

    def another_after(self, failure: Failure, *, now: float) -> bool:
        """True if the episode should be tried again after a failure at `now`, in seconds on any clock."""
        if failure.code in NO_ROOM and self._is_patient(now):
            return True
        if failure.code not in NO_ROOM:
            self._refused_since = None
        self._used += 1
        return self._used < tries_of(failure, self._config)

    def pause_s(self) -> float:
        """Seconds until the next attempt, with jitter, so that episodes that broke together do not retry together."""
        return min(LONGEST_PAUSE_S, PAUSE_S * 2 ** max(0, self._used - 1) * random.uniform(0.5, 1.5))

    def _is_patient(self, now: float) -> bool:
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since < self._patience_s
