"""Sends weights from GPU to GPU with vLLM's own senders: all of them (`nccl`), or patches (`sparse_nccl`).

Never run so far: docs/gpu.md. Sender and server need a GPU each, for NCCL joins no two ranks on one.
"""

import socket
from collections.abc import Iterator

import torch
from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo, NCCLTrainerWeightTransferEngine
from vllm.distributed.weight_transfer.sparse_nccl_engine import (
    SparseNCCLTrainerInitInfo,
    SparseNCCLTrainerWeightTransferEngine,
    SparseWeightPatch,
)

from training.publishing.transfer.control import Control
from training.publishing.transfer.patches import Patch


class Tensors(WeightSource):
    """Whole tensors, in the order in which they are sent."""

    def __init__(self, patches: list[tuple[str, Patch]]) -> None:
        self._patches = patches

    def metadata(self) -> list[ParamMeta]:
        """Name, type and shape of each tensor."""
        return [ParamMeta(name, patch.values.dtype, patch.shape) for name, patch in self._patches]

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, patch in self._patches:
            yield name, patch.values.cuda()


def send_whole(control: Control, patches: list[tuple[str, Patch]], address: str) -> None:
    """Sends all tensors to a server with the backend `nccl`."""
    info = NCCLTrainerInitInfo(address, _free_port(address), control.world_size() + 1, rank=0)
    sender = NCCLTrainerWeightTransferEngine.trainer_init(info, client=control, source=Tensors(patches))
    sender.send_weights()
    sender.shutdown()


def send_patches(control: Control, patches: list[tuple[str, Patch]], address: str) -> None:
    """Sends what changed to a server with the backend `sparse_nccl`, which patches its weights in place."""
    info = SparseNCCLTrainerInitInfo(address, _free_port(address), control.world_size() + 1, rank=0)
    sender = SparseNCCLTrainerWeightTransferEngine.trainer_init(info, client=control)
    sender.send_weights([_on_gpu(name, patch) for name, patch in patches])
    sender.shutdown()


def _on_gpu(name: str, patch: Patch) -> SparseWeightPatch:
    values = patch.values.view(-1)
    indices = torch.arange(values.numel(), dtype=torch.int32) if patch.indices is None else patch.indices
    return SparseWeightPatch(name, indices.cuda(), values.cuda(), patch.shape)


def _free_port(address: str) -> int:
    with socket.socket() as listening:
        listening.bind((address, 0))
        return listening.getsockname()[1]
