"""Patches sent over gloo: the group of one transfer, its sender, and the receiver of each worker.

sender, rank 0  ── POST /init_weight_transfer_engine, /update_weights ──> server ──> `Receiver` of each worker, rank 1 and up
                ══ broadcast: tensors in the checkpoint's format ═══════════════════>
"""

import socket
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch.distributed import ProcessGroup, ProcessGroupGloo, TCPStore

from training import failpoints
from training.publishing.transfer.control import Control
from training.publishing.transfer.patches import Patch

T = TypeVar("T")

SENDER = 0
"""Rank of the sender in the group; the workers of the server follow."""


def joined(
    address: str, port: int, rank: int, *, world_size: int, timeout_s: float, listening: socket.socket | None = None
) -> ProcessGroup:
    """Joins a group; every member calls this. The sender passes the socket on which it listens at `address` and `port`.

    Raises RuntimeError when the others do not come within `timeout_s` seconds.
    """
    timeout = timedelta(seconds=timeout_s)
    store = TCPStore(
        address,
        port,
        world_size,
        is_master=rank == SENDER,
        timeout=timeout,
        wait_for_workers=False,
        # The store owns the socket then.
        master_listen_fd=listening.detach() if listening else None,
    )
    return cast(ProcessGroup, ProcessGroupGloo(store, rank, world_size, timeout))  # torch's stubs lack the base class


def broadcast(group: ProcessGroup, tensor: torch.Tensor | None) -> None:
    """Sends a tensor from the sender to all, or receives it. Raises RuntimeError when a member is gone."""
    if tensor is None or not tensor.numel():
        return
    options = torch.distributed.BroadcastOptions()
    options.rootRank = SENDER
    # As bytes: gloo knows neither float8 nor integers of 16 bits.
    group.broadcast([tensor.view(-1).view(torch.uint8)], options).wait()


class Receiver:
    """A worker's side. It keeps the last weights that it was sent, in main memory, so that a later transfer can be a patch of them."""

    def __init__(self) -> None:
        self._group: ProcessGroup | None = None
        self._held: dict[str, torch.Tensor] = {}
        self._version = ""
        """Name of the weights in `_held`; empty: none are held."""
        self._base = ""
        """Name of the weights that this transfer patches; empty: it sends whole tensors."""

    def join(self, address: str, port: int, rank: int, *, world_size: int, timeout_s: float, base: str) -> None:
        """Joins the group of one transfer. Raises ValueError if the worker does not hold the weights that will be patched."""
        self._group = joined(address, port, rank, world_size=world_size, timeout_s=timeout_s)
        self._base = base
        if not base:
            self._held, self._version = {}, ""  # before the new weights come: there is room for one copy
        if base not in ("", self._version):  # after joining, or the sender would wait for this worker
            raise ValueError(f"this server does not hold the weights {base} that the patches belong to")

    def receive(
        self, names: list[str], dtypes: list[str], shapes: list[list[int]], counts: list[int]
    ) -> dict[str, torch.Tensor]:
        """Receives a patch for each name, in their order; returns all weights. `counts`: elements that are sent for a tensor, -1
        for all. It holds nothing until `keep`.

        Raises RuntimeError when the sender is gone, ValueError when the lists do not fit together.
        """
        if self._group is None:
            raise RuntimeError("the weight transfer was not initialised")
        held, self._held, self._version = self._held, {}, ""
        for name, dtype, shape, count in zip(names, dtypes, shapes, counts, strict=True):
            is_whole = count < 0
            values = torch.empty(shape if is_whole else count, dtype=getattr(torch, dtype))
            indices = None if is_whole else torch.empty(count, dtype=torch.int32)
            for tensor in (indices, values):
                broadcast(self._group, tensor)
            held[name] = Patch(values, indices, tuple(shape)).onto(held.get(name))
        return held

    def keep(self, weights: dict[str, torch.Tensor], version: str) -> None:
        """Keeps received weights, which are whole, under this name; nothing if it is empty."""
        self._held, self._version = (weights if version else {}), version

    def leave(self) -> None:
        """Leaves the group; what is held stays for the next patch."""
        self._group = None


class GlooSender:
    """The sender's side, which also makes the calls to the server."""

    def __init__(self, control: Control, address: str, *, base: str, timeout_s: float) -> None:
        """Opens the group together with the workers, at any free port of `address`.

        `base`: name of the weights that the server must hold for the patches; empty: all weights are sent. Raises
        `TransferError` if it holds others.
        """
        self._control = control
        world_size = control.world_size() + 1
        with socket.socket() as listening:
            listening.bind((address, 0))
            listening.listen()
            port = listening.getsockname()[1]
            joining = {"address": address, "port": port, "world_size": world_size, "timeout_s": timeout_s, "base": base}
            _, self._group = _both(
                lambda: control.init_weight_transfer_engine(joining),
                lambda: joined(address, port, SENDER, world_size=world_size, timeout_s=timeout_s, listening=listening),
            )

    def send(self, patches: list[tuple[str, Patch]], *, version: str) -> None:
        """One update, which makes the weights `version`. After an error its threads may wait for the server until the deadline.

        Raises `TransferError` when the server refuses it, RuntimeError when a member of the group is gone.
        """
        update: dict[str, Any] = {
            "names": [name for name, _ in patches],
            "dtypes": [str(patch.values.dtype).removeprefix("torch.") for _, patch in patches],
            "shapes": [list(patch.shape) for _, patch in patches],
            "counts": [-1 if patch.indices is None else patch.indices.numel() for _, patch in patches],
            "version": version,
        }
        self._control.start_weight_update()
        _both(lambda: self._control.update_weights(update), lambda: self._broadcast(patches))
        self._control.finish_weight_update()

    def _broadcast(self, patches: list[tuple[str, Patch]]) -> None:
        for number, (_, patch) in enumerate(patches):
            for tensor in (patch.indices, patch.values):
                broadcast(self._group, tensor)
            if not number:
                failpoints.reach("transfer.first_tensor")


def _both(call: Callable[[], object], work: Callable[[], T]) -> tuple[object, T]:
    """Calls the server and does this side's part at the same time. The first error of the two is raised at once: a server that refuses
    does not do its part, for which the other would wait until the deadline."""
    threads = ThreadPoolExecutor(2)
    called, done = threads.submit(call), threads.submit(work)
    both: list[Future[Any]] = [called, done]
    wait(both, return_when=FIRST_EXCEPTION)
    threads.shutdown(wait=False, cancel_futures=True)
    for one in both:
        if one.done():
            one.result()
    return called.result(), done.result()
