"""Scores of old samples under the version that sampled them, where the parent itself sampled none.

With `rollout.overlap` every token of an update may be of an older policy. Its log-probabilities then differ from the
parent's for a good reason, and a server that holds other weights or sees other pictures would go unnoticed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.checkpointing.checkpoints import checkpoint_path, read_checkpoint
from training.config import UpdateConfig
from training.errors import CheckpointError
from training.learning.scoring.gap import ByStep
from training.sampling.pictures import Pictures
from training.sampling.samples import Sample

TRAJECTORIES = 32
"""As many trajectories are scored, one step of each: a server that is wrong is wrong everywhere."""


def own_scores(
    policies: Path, samples: Sequence[Sample], pictures: Pictures, config: UpdateConfig, *, parent: int, fit: Any
) -> ByStep | None:
    """Scores a step of some trajectories of the newest older version whose weights are still there.

    None if the parent sampled some tokens itself, or no such version is left. Loads that version and frees it, as
    `reference` does; `fit` is as there.
    """
    if any(sample.policy_version == parent for sample in samples):
        return None
    for version in sorted({sample.policy_version for sample in samples}, reverse=True):
        try:
            checkpoint = read_checkpoint(checkpoint_path(policies, version))
        except CheckpointError:  # pruned, or damaged: the next older one does as well
            continue
        from training.learning.scoring.reference import scores_under

        return scores_under(checkpoint.path, _spot_check(samples, version), pictures, config, fit=fit)
    return None


def _spot_check(samples: Sequence[Sample], version: int) -> list[Sample]:
    """The first step of each of the first trajectories that the version sampled."""
    first: dict[str, Sample] = {}
    for sample in samples:
        if sample.policy_version == version and len(first) < TRAJECTORIES:
            first.setdefault(sample.trajectory_id, sample)
    return list(first.values())
