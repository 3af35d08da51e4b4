"""Soundness of a policy: all numbers of weights, optimiser state and canary are finite, and nothing is missing.

A checkpoint can have all its files, with the right digests, and still hold a policy that diverged. Such a policy is
never trained on, never written, and never reused as the result of an earlier update.
"""

import json
import math
from pathlib import Path

from training.checkpointing.tensor_files import entries, first_not_finite
from training.errors import CheckpointError

OPTIMIZER = "optimizer"
"""Folder of Adam's state; see `training.learning.optimizer_state`."""
MOMENTS = ("exp_avg", "exp_avg_sq")


def why_unsound(folder: Path, *, optimizer: bool = True) -> str | None:
    """Describes the fault in a policy's tensors, as the end of a sentence; None when they are sound.

    Example: `"lm_head.weight in model.safetensors is not finite"`. Raises CheckpointError for a file that can't be read.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        return "it has no *.safetensors file with weights"
    state = folder / OPTIMIZER
    files = [*weights, *(sorted(state.glob("*.safetensors")) if optimizer else ())]
    for path in files:
        if (name := first_not_finite(path)) is not None:
            return f"{name} in {path.relative_to(folder)} is not finite"
    return _why_optimizer_unsound(state) if optimizer and state.is_dir() else None


def _why_optimizer_unsound(folder: Path) -> str | None:
    """Checks that each parameter with a step count has both moments, and that the counts are numbers."""
    try:
        steps = json.loads((folder / "adam.json").read_bytes())["steps"]
        counts = {str(name): float(count) for name, count in steps.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / 'adam.json'} can't be read as step counts ({error!r}); start from another version, or set "
            "update.carry_optimizer=false"
        ) from error
    path = folder / "adam.safetensors"
    held = {entry.name for entry in entries(path)}
    for name, count in counts.items():
        if not math.isfinite(count):
            return f"the step count of {name} in {OPTIMIZER}/adam.json is not finite"
        if missing := [moment for moment in MOMENTS if f"{name}/{moment}" not in held]:
            return f"{OPTIMIZER}/{path.name} lacks {missing[0]} of {name}"
    return None
