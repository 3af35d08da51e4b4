"""Estimates the disk space of a new version before it is trained, so that a full disk costs no hours of training."""

import shutil
from pathlib import Path

from training.checkpointing.tensor_files import entries
from training.config import UpdateConfig
from training.errors import BadInput

BYTES = {"float32": 4, "bfloat16": 2}
OPTIMIZER_BYTES = 4
"""Bytes of each number of the optimiser's state, whatever the dtype of the weights."""
ADAPTER_SHARE = 0.02
"""Weights of an adapter of rank 16 to 32 by those of its model, at most; a larger one is known after the first version."""
MARGIN = 1.05
SPARE_BYTES = 64 << 20
"""Reserve for reports, logs and other processes that write meanwhile."""


def needed_bytes(parent: Path, config: UpdateConfig) -> int:
    """Bytes of the version that is trained from `parent`: weights, Adam's moments if they are carried, all other files."""
    values = sum(entry.values for path in parent.glob("*.safetensors") for entry in entries(path))
    others = sum(path.stat().st_size for path in parent.iterdir() if path.is_file() and path.suffix != ".safetensors")
    if config.lora:  # the merged weights; the adapter and its moments are small, at most as the adapter of the parent
        adapter = sum(path.stat().st_size for path in parent.glob("*/*") if path.is_file())
        return values * BYTES[config.dtype] + max(adapter, int(values * ADAPTER_SHARE) * 3 * OPTIMIZER_BYTES) + others
    # Two moments, and a full-precision copy of weights that the checkpoint rounds.
    state = (2 + (config.dtype != "float32")) * OPTIMIZER_BYTES if config.carry_optimizer else 0
    return values * (BYTES[config.dtype] + state) + others


def require_space(parent: Path, policies: Path, config: UpdateConfig) -> None:
    """Raises BadInput when the disk lacks the space for a new version."""
    wanted = int(needed_bytes(parent, config) * MARGIN) + SPARE_BYTES
    free = shutil.disk_usage(policies).free
    if free < wanted:
        raise BadInput(
            f"the new version needs {_gigabytes(wanted)} in {policies}, where {_gigabytes(free)} are free; free some (old "
            "versions can be deleted, update.keep_last keeps fewer) and resume"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
