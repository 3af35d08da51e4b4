"""Scores under other policies than the trained one, such as the reference of the KL term.

Each is loaded, scored and freed before the policy is loaded: memory for one model, not two.
"""

import gc
from pathlib import Path
from typing import Any

import torch

from training.checkpointing.checkpoints import checkpoint_path, read_checkpoint
from training.config import UpdateConfig
from training.errors import BadInput, CheckpointError
from training.learning.models import load_policy, pick_device
from training.learning.scoring.gap import ByStep
from training.learning.scoring.token_scores import stored_scores
from training.sampling.pictures import Pictures
from training.sampling.samples import Sample


def first_policy_scores(
    policies: Path, samples: list[Sample], pictures: Pictures, config: UpdateConfig, *, fit: Any
) -> ByStep:
    """Scores the samples under version 0 of the run, whose checkpoint is never pruned. Raises BadInput when there is none."""
    try:
        first = read_checkpoint(checkpoint_path(policies, 0))
    except CheckpointError as error:
        raise BadInput(
            f"update.kl_coefficient needs the run's first policy as reference: {error}; set update.kl_reference to parent"
        ) from error
    return scores_under(first.path, samples, pictures, config, fit=fit)


def scores_under(policy: Path, samples: list[Sample], pictures: Pictures, config: UpdateConfig, *, fit: Any) -> ByStep:
    """Scores the samples under the policy in a directory by one forward pass.

    Needs as much memory as the trained policy's own pass, and at another time; what stays is 4 bytes per sampled token.
    `fit` takes the loaded policy and the samples, and returns those that its processor can take.
    """
    loaded = load_policy(
        policy, dtype=config.dtype, device=pick_device(config.device), sharded=config.sharding == "fsdp2"
    )
    samples = fit(loaded, samples)
    scores = stored_scores(loaded, samples, pictures.image, config)
    found = {(one.trajectory_id, one.step): row for one, row in zip(samples, scores, strict=True)}
    del loaded
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found
