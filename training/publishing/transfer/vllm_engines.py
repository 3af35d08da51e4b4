"""vLLM's weight transfer over gloo: a backend that vLLM takes as a plugin, beside its own `nccl` and `sparse_nccl`.

vLLM has the interface (docs.vllm.ai, "weight transfer") and the HTTP routes, and implementations for GPUs only; this one needs
none. The received weights are loaded layer by layer as in a reload from disk, patches too: the matrices that vLLM computes
with on a CPU are packed, and can't be patched in place. It is found by `training/vllm_site`, which is on the server's path.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from vllm.distributed.weight_transfer import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

from training.publishing.transfer.gloo import Receiver
from training.serving_config import GLOO_BACKEND


@dataclass
class GlooInitInfo(WeightTransferInitInfo):
    """A worker's way into the group of one transfer: arguments of `Receiver.join`."""

    address: str
    port: int
    world_size: int
    timeout_s: float
    base: str


@dataclass
class GlooUpdateInfo(WeightTransferUpdateInfo):
    """The patches of one update, in the order in which they are broadcast: arguments of `Receiver.receive`."""

    names: list[str]
    dtypes: list[str]
    shapes: list[list[int]]
    counts: list[int]
    version: str
    """Name under which the weights that they make are kept; empty: they are not."""


class GlooEngine(WeightTransferEngine[GlooInitInfo, GlooUpdateInfo]):
    """The worker's side, as vLLM calls it."""

    init_info_cls = GlooInitInfo
    update_info_cls = GlooUpdateInfo
    supports_draft_weight_update = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._receiver = Receiver()

    def init_transfer_engine(self, init_info: GlooInitInfo) -> None:
        """Joins the group of one transfer. Raises as `Receiver.join`."""
        parallel, info = self.parallel_config, init_info
        rank = 1 + parallel.data_parallel_index * parallel.world_size + parallel.rank
        self._receiver.join(
            info.address, info.port, rank, world_size=info.world_size, timeout_s=info.timeout_s, base=info.base
        )

    def start_weight_update(self) -> None:
        """Prepares the model to be loaded layer by layer."""
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """As vLLM's, without waiting for a GPU's stream where there is none."""
        self.receive_weights(self.parse_update_info(update_info))
        if self.device.type != "cpu":
            torch.accelerator.synchronize()

    def receive_weights(self, update_info: GlooUpdateInfo) -> None:
        """Receives the patches, and loads all tensors. Raises as `Receiver.receive`."""
        info = update_info
        weights = self._receiver.receive(info.names, info.dtypes, info.shapes, info.counts)
        load: Callable[[Iterator[tuple[str, torch.Tensor]]], object] = getattr(self.model, "load_weights")  # noqa: B009
        load((name, tensor.to(self.device)) for name, tensor in weights.items())
        self._receiver.keep(weights, info.version)

    def finish_weight_update(self) -> None:
        """Brings the loaded weights into the layout that the server computes with."""
        finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Leaves the group."""
        self._receiver.leave()


def register() -> None:
    """vLLM calls this in each of its processes (entry point `vllm.general_plugins`); repeated calls do nothing."""
    with suppress(ValueError):  # registered in this process before
        WeightTransferEngineFactory.register_engine(GLOO_BACKEND, GlooEngine)
