"""FSDP2: the weights, gradients and Adam's moments of an update in slices, one per process (torch's `fully_shard`).

transformers does it while it loads: each process reads its slice of every tensor from the files, so that no process ever holds the
whole model. A layer's tensors are gathered while it computes and freed after it. Each tensor is cut along its first dimension, as
`torch.chunk` cuts. Considered: accelerate's plugin for FSDP2, which refuses CPUs and needs the whole model in one process first.
"""

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from training.errors import ModelError
from training.learning.processes.ranks import gathered
from training.settings import world_size

_MALLOC_MAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of malloc.h: blocks of this size get pages of their own. Set, it no longer grows by itself."""
_LARGE_BYTES = 1 << 18


def loading_options(directory: Path, device: torch.device) -> dict[str, Any]:
    """Arguments of `from_pretrained` that shard a model over all processes.

    Raises ModelError for tied weights that cannot be cut evenly, and on a machine with a GPU that is not to be used: transformers
    would put the slices there.
    """
    from transformers import AutoConfig
    from transformers.distributed import DistributedConfig

    if device.type == "cpu" and torch.cuda.is_available():
        raise ModelError(
            "update.sharding with update.device: cpu would still use this machine's GPUs; set CUDA_VISIBLE_DEVICES="
        )
    if device.type == "cpu":
        _give_freed_memory_back()
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    _require_even_ties(config)
    if hasattr(config, "vision_config"):
        # Without a plan the whole vision tower would be gathered for the length of a pass.
        config.vision_config.base_model_fsdp_plan = {"blocks.*": "free_full_weight"}
    return {"config": config, "distributed_config": DistributedConfig(fsdp_size=world_size())}


def _require_even_ties(config: Any) -> None:
    """Raises ModelError for an embedding that is the head too and whose rows are not a multiple of the processes.

    With torch 2.13 the forward pass would see the other processes' rows of the embedding as they were loaded (docs/facts.md).
    """
    text, processes = config.get_text_config(), world_size()
    if text.tie_word_embeddings and text.vocab_size % processes:
        raise ModelError(
            f"update.sharding: the {text.vocab_size} rows of an embedding that is the head too can't be cut into {processes} equal "
            "slices; set update.processes to a number that divides them, or update.sharding: none"
        )


def _give_freed_memory_back() -> None:
    """Has glibc return large freed blocks to the system: it would keep every gathered layer, as much as the whole model."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries do so anyway
        mallopt(_MALLOC_MAP_THRESHOLD, _LARGE_BYTES)


def is_sharded(model: Any) -> bool:
    """True for a model whose weights are slices."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def reshard(model: Any) -> None:
    """Frees what a forward pass without a backward pass has left gathered; parameters are slices again. Does nothing to a whole model."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def local(tensor: Tensor) -> Tensor:
    """This process's slice of a tensor, which shares its memory; the tensor itself where it is whole."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor, gathered from all processes; they must all call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def rows_of(tensor: Tensor) -> slice:
    """The rows of the first dimension that are this process's; all where the tensor is whole."""
    if not isinstance(tensor, DTensor):
        return slice(None)
    (placement,) = tensor.placements
    assert placement.is_shard(0), "fully_shard cuts along the first dimension"
    rank, processes = tensor.device_mesh.get_local_rank(), tensor.device_mesh.size()
    first = min(tensor.shape[0], rank * -(-tensor.shape[0] // processes))
    return slice(first, first + tensor.to_local().shape[0])


def like(part: Tensor, tensor: Tensor) -> Tensor:
    """A tensor made of this process's `part`, cut as `tensor` is."""
    if not isinstance(tensor, DTensor):
        return part
    return DTensor.from_local(
        part, tensor.device_mesh, tensor.placements, run_check=False, shape=tensor.shape, stride=tensor.stride()
    )


def largest_gradient(parameters: Sequence[Tensor]) -> float:
    """The largest absolute value of the gradients, over the slices of all processes; 0 without a gradient, and NaN with one.

    Where gradients are slices, all processes must call this.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    sizes = [local(one).abs().max() for one in gradients if local(one).numel()]
    largest = torch.stack(sizes).max() if sizes else torch.zeros((), device=gradients[0].device if gradients else None)
    if any(isinstance(one, DTensor) for one in parameters):
        found = gathered(float(largest))
        # The largest of a NaN and a number would depend on their order.
        return math.nan if any(math.isnan(one) for one in found) else max(found)
    return float(largest)
