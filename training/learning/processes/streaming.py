"""Writes the tensors of a sharded model as whole ones: each is gathered, and appended to its file by the first process.

All processes call these functions, and only the first gets a folder: gathering needs everyone. Besides the slices there is memory for
one whole tensor at a time.
"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.checkpointing.tensor_writer import Described, TensorWriter, order
from training.errors import ModelError
from training.learning.processes.sharded import whole

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
MOST_BYTES = 50_000_000_000
"""Largest file of weights, as `save_pretrained` splits them."""
WEIGHTS = "model{suffix}.safetensors"
INDEX = "model.safetensors.index.json"


def write_weights(model: Any, folder: Path | None) -> None:
    """Writes the weights to the files that `save_pretrained` would write, with the same names in them.

    Raises ModelError for a model whose files hold other tensors than it has in memory.
    """
    from huggingface_hub import split_torch_state_dict_into_shards

    tensors = _by_file_name(model)
    shapes = {name: torch.empty(one.shape, dtype=one.dtype, device="meta") for name, one in tensors.items()}
    split: Any = split_torch_state_dict_into_shards(shapes, filename_pattern=WEIGHTS, max_shard_size=MOST_BYTES)
    for file, names in split.filename_to_tensors.items():
        write_tensors({name: tensors[name] for name in names}, folder and folder / file, {"format": "pt"})
    if split.is_sharded and folder is not None:
        index = {
            "metadata": {"total_parameters": model.num_parameters(), **split.metadata},
            "weight_map": split.tensor_to_filename,
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def write_tensors(tensors: Mapping[str, Tensor], path: Path | None, metadata: Mapping[str, str] | None = None) -> None:
    """Writes one safetensors file. The processes without a `path` only help to gather."""
    described = {name: Described(_DTYPES[one.dtype], tuple(one.shape)) for name, one in tensors.items()}
    with ExitStack() as stack:
        file = stack.enter_context(TensorWriter(path, described, metadata)) if path is not None else None
        for name in order(described):
            gathered = whole(tensors[name].detach())
            if file is not None:
                file.write(name, _bytes_of(gathered))


def _by_file_name(model: Any) -> dict[str, Tensor]:
    """The model's tensors, tied ones once, by their names in files.

    transformers may rename tensors while it loads and writes. It is asked on tensors without memory, and must return the same ones.
    """
    from transformers.core_model_loading import revert_weight_conversion

    once = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    held = {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if name in once}
    empty = {name: torch.empty(one.shape, dtype=one.dtype, device="meta") for name, one in held.items()}
    original = {id(one): name for name, one in empty.items()}
    written = revert_weight_conversion(model, dict(empty))
    if odd := sorted(name for name, one in written.items() if id(one) not in original):
        raise ModelError(
            f"update.sharding can't write {type(model).__name__}, whose files hold {odd[0]} in another form than its memory; set "
            "update.sharding: none"
        )
    return {name: held[original[id(one)]] for name, one in written.items()}


def _bytes_of(tensor: Tensor) -> memoryview:
    return memoryview(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
