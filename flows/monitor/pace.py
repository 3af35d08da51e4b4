"""The pace of a stage, from the end times of its episodes, so that it does not depend on when the watching began."""

from collections.abc import Collection
from typing import NamedTuple

from flows.monitor.files import Ended

PACE_OVER_S = 300.0
"""Seconds over which the pace is measured."""
PACE_AFTER_S = 5.0
"""Seconds after the start of a stage before which no pace is reported."""


class Pace(NamedTuple):
    """Episode and step rates; None when not known: the stage is stalled, or has just begun."""

    episodes_per_min: float | None = None
    steps_per_s: float | None = None
    eta_s: float | None = None
    """Estimated seconds until the last episode is over, at this pace."""


def pace_now(ended: Collection[Ended], *, now: float, began: float, left: int, steps_in_flight: int) -> Pace:
    """The pace of the last minutes of a running stage. `left`: episodes that are not over."""
    window = min(PACE_OVER_S, now - began)
    if window < PACE_AFTER_S:
        return Pace()
    recent = [one for one in ended if one.at is not None and one.at >= now - window]
    steps = sum(one.steps or 0 for one in recent)
    if window < PACE_OVER_S:
        # Later, the steps in flight now roughly equal those in flight at the window's start, so neither is counted.
        steps += steps_in_flight
    per_s = len(recent) / window
    return Pace(60 * per_s, steps / window, left / per_s if per_s else None)


def pace_of_all(*, episodes: int, steps: int, seconds: float | None) -> Pace:
    """The pace of a finished stage."""
    return Pace(60 * episodes / seconds, steps / seconds) if seconds else Pace()
