"""Checkpoints of two tensors, with canaries that agree with what `loopback_vllm` answers."""

import json
from pathlib import Path

import numpy as np
from loopback_vllm import Tensors, answer, read
from safetensors.numpy import save_file

from training.checkpointing.canary import Canary, ScoredCompletion
from training.checkpointing.checkpoints import checkpoint_path, write_checkpoint

TOKENS = tuple(range(40, 52))


def tensors(value: float) -> Tensors:
    return {"a": np.full((2, 3), value, dtype="float32"), "b": np.full((4,), value, dtype="float32")}


def write_model(folder: Path, weights: Tensors, **config: object) -> Path:
    """A model directory."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "small", "dtype": "float32"} | config))
    return folder


def scores(folder: Path) -> tuple[float, ...]:
    return tuple(answer(read(folder), token) for token in TOKENS)


def write_version(
    policies: Path,
    version: int,
    weights: Tensors,
    *,
    logprobs: tuple[float, ...] | None = None,
    temperature: float = 1.0,
    images: tuple[str, ...] = (),
    canary: bool = True,
    adapter: bool = False,
    **config: object,
) -> Path:
    """A checkpoint whose canary is right unless `logprobs` are given; its parent is the version before."""
    parent = checkpoint_path(policies, version - 1)
    with write_checkpoint(policies, version, parent=version - 1, step=version) as folder:
        write_model(folder, weights, **config)
        if adapter:
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_config.json").write_text("{}")
        if canary:
            scored = ScoredCompletion(
                trajectory_id="t",
                step=0,
                prompt_token_ids=(1, 2, 3),
                token_ids=TOKENS,
                images=images,
                logprobs=logprobs or scores(folder),
                sampled_logprobs=scores(folder),
                parent_logprobs=scores(parent) if parent.exists() else (),
            )
            written = Canary(version=version, temperature=temperature, completions=(scored,))
            (folder / "canary.json").write_text(written.model_dump_json())
    return checkpoint_path(policies, version)
