"""A trained model -> the files of a checkpoint: new weights, all other files from its parent."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from training import failpoints
from training.checkpointing.manifest import ABOUT_ITS_MAKING
from training.learning.optimizer_state import save_optimizer
from training.learning.processes.sharded import is_sharded
from training.learning.processes.streaming import write_weights

_MADE_ANEW = {*ABOUT_ITS_MAKING, "model.safetensors.index.json"}


def write_policy(model: Any, parent: Path, folder: Path | None, *, optimizer: torch.optim.Optimizer | None) -> None:
    """Writes weights, configuration, tokenizer and processor files, and the optimiser's state if there is one.

    Files about the model are the parent's, byte for byte, because TRL changes configurations in memory; only the
    weights and the `dtype` that describes them are new. Processes that share the weights all call this; those without a
    folder only help to gather them.
    """
    if is_sharded(model):
        write_weights(model, folder)
    elif folder is not None:
        model.save_pretrained(folder)
    failpoints.reach("checkpoint.half_file")
    if folder is not None:
        _write_other_files(model, parent, folder)
    if optimizer is not None:
        save_optimizer(optimizer, model, folder)


def _write_other_files(model: Any, parent: Path, folder: Path) -> None:
    for path in sorted(parent.iterdir()):
        if path.is_file() and path.suffix != ".safetensors" and path.name not in _MADE_ANEW:
            shutil.copyfile(path, folder / path.name)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(
        json.dumps(_with_dtype(config, str(model.dtype).removeprefix("torch.")), indent=2)
    )


def _with_dtype(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """The configuration with the dtype of the weights in every dtype field."""
    return {
        key: dtype
        if key in ("dtype", "torch_dtype")
        else _with_dtype(value, dtype)
        if isinstance(value, dict)
        else value
        for key, value in config.items()
    }
