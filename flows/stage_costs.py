"""What a stage's trajectories cost: work that was thrown away, and room on the disk."""

from collections.abc import Iterable
from pathlib import Path

from agent.episode_facts import EpisodeFacts
from flows.failures import FAILURES, read_failures


def wasted(directory: Path, episodes: Iterable[EpisodeFacts]) -> dict[str, float]:
    """Steps and seconds of attempts that broke and were played again or given up, and their share of all playing."""
    thrown_away = read_failures(directory / FAILURES)
    wasted_s = sum(attempt.seconds for attempt in thrown_away)
    kept_s = sum(one.seconds for one in episodes if one.failed_on is None)
    metrics: dict[str, float] = {
        "wasted_attempts": len(thrown_away),
        "wasted_steps": sum(attempt.steps for attempt in thrown_away),
        "wasted_s": wasted_s,
    }
    if wasted_s + kept_s:
        metrics["wasted_share"] = wasted_s / (wasted_s + kept_s)
    return metrics


def written(directory: Path, *, steps: int) -> dict[str, float]:
    """Bytes in a stage folder, and per step that was kept."""
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return {"bytes": float(size)} | ({"bytes_per_step": size / steps} if steps else {})
