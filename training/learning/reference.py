"""The reference policy of the KL term. It is scored and freed before the policy is loaded: memory for one model, not two."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.checkpointing.checkpoints import checkpoint_path, read_checkpoint
from training.config import UpdateConfig
from training.errors import BadInput, CheckpointError
from training.learning.models import load_policy, pick_device
from training.learning.token_scores import stored_scores
from training.sampling.pictures import Pictures
from training.sampling.samples import Sample

ByStep = dict[tuple[str, int], NDArray[np.float32]]
"""Log-probabilities (T,) by trajectory and step."""


def first_policy_scores(
    policies: Path, samples: list[Sample], pictures: Pictures, config: UpdateConfig, *, fit: Any
) -> ByStep:
    """Scores the samples under version 0 of the run, whose checkpoint is never pruned: one forward pass.

    Needs as much memory as the policy's own pass, and at another time; what stays is 4 bytes per sampled token. `fit`
    takes the loaded reference and the samples, and returns those that its processor can take. Raises BadInput when
    there is no sound version 0.
    """
    try:
        first = read_checkpoint(checkpoint_path(policies, 0))
    except CheckpointError as error:
        raise BadInput(
            f"update.kl_coefficient needs the run's first policy as reference: {error}; set update.kl_reference to parent"
        ) from error
    reference = load_policy(
        first.path, dtype=config.dtype, device=pick_device(config.device), sharded=config.sharding == "fsdp2"
    )
    samples = fit(reference, samples)
    scores = stored_scores(reference, samples, pictures.image, config)
    found = {(one.trajectory_id, one.step): row for one, row in zip(samples, scores, strict=True)}
    del reference
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found
