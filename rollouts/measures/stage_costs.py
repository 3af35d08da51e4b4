"""Costs of a stage's trajectories: wasted work, and disk space."""

from collections.abc import Iterable
from pathlib import Path

from agent.episode_facts import EpisodeFacts
from storage.failed_attempts import FAILURES, read_failures
from storage.pauses import read_pauses


def wasted(directory: Path, episodes: Iterable[EpisodeFacts]) -> dict[str, float]:
    """Steps and seconds of broken attempts that were retried or given up, and their share of all playing time; the pauses of
    hosts that blocked visits or could not be reached, if there were any."""
    thrown_away = read_failures(directory / FAILURES)
    wasted_s = sum(attempt.seconds for attempt in thrown_away)
    kept_s = sum(one.seconds for one in episodes if one.failed_on is None)
    metrics: dict[str, float] = {
        "wasted_attempts": len(thrown_away),
        "wasted_steps": sum(attempt.steps for attempt in thrown_away),
        "wasted_s": wasted_s,
    }
    if pauses := read_pauses(directory):
        metrics["host_pauses"] = len(pauses)
    if wasted_s + kept_s:
        metrics["wasted_share"] = wasted_s / (wasted_s + kept_s)
    return metrics


def written(directory: Path, *, steps: int) -> dict[str, float]:
    """Bytes in a stage folder, and per kept step."""
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return {"bytes": float(size)} | ({"bytes_per_step": size / steps} if steps else {})
