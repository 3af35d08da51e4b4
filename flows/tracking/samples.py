"""Choice of the trajectories that are shown in MLflow."""

from collections.abc import Mapping

from agent.types import Trajectory
from agent.verdict import Verdict
from storage.store import TrajectoryStore


def choose_samples(store: TrajectoryStore, verdicts: Mapping[str, Verdict], count: int) -> list[Trajectory]:
    """Up to `count` trajectories: failures first, as they show more, but with one success if there is any."""
    lost = [trajectory_id for trajectory_id in store.ids() if not _won(verdicts.get(trajectory_id))]
    won = [trajectory_id for trajectory_id in store.ids() if _won(verdicts.get(trajectory_id))]
    chosen = lost[: count - bool(won)]
    chosen += won[: count - len(chosen)]
    return [store.read(trajectory_id) for trajectory_id in chosen]


def _won(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.reward is not None and verdict.reward >= 1
