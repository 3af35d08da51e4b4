"""Intervals of episodes and of calls to judges, a line each, in the order of their ends; they show what overlaps.

iterations/0003/rollout/intervals.jsonl     the episodes that ended in this stage, whenever they began
iterations/0003/judge/overlap.jsonl         the trajectories that were judged while episodes went on
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.failed_attempts import append_line

EPISODES = "intervals.jsonl"
JUDGED = "overlap.jsonl"


class Interval(BaseModel):
    """The time in which a trajectory was played, or judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trajectory_id: str
    began: float
    """In seconds of the epoch."""
    ended: float


def add_interval(path: Path, interval: Interval) -> None:
    """Appends an interval to a file."""
    append_line(path, interval.model_dump_json())


def read_intervals(path: Path) -> list[Interval]:
    """The intervals of a file, in the order of their ends; a line that a crash truncated is skipped."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found: list[Interval] = []
    for line in lines:
        try:
            found.append(Interval.model_validate_json(line))
        except ValidationError:
            continue
    return found


def united(intervals: Iterable[Interval]) -> list[tuple[float, float]]:
    """The times in which at least one of the intervals lasts, in order. Example: 1-3, 2-5 and 8-9 give 1-5 and 8-9."""
    spans: list[tuple[float, float]] = []
    for began, ended in sorted((one.began, one.ended) for one in intervals):
        if spans and began <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], ended)
        else:
            spans.append((began, ended))
    return spans


def common_s(some: Iterable[tuple[float, float]], others: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie in a span of both. The spans of each must not overlap, as those of `united`."""
    others = list(others)
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in some for since, until in others)


def early_s(stage_dir: Path, began: float) -> float:
    """Seconds in which episodes of a rollout were played before its stage `began`, beside judging and updates."""
    return common_s(united(read_intervals(stage_dir / EPISODES)), [(0.0, began)])
