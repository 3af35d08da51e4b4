"""The processes of one update: `torchrun` starts them, all read the input, the first writes.

Imports torch only where there are several.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from training import settings
from training.dying import die_with

T = TypeVar("T")
WAIT = timedelta(hours=2)
"""The longest that processes wait for one another: the first writes and checks the version of a large model alone."""


def is_first() -> bool:
    """True in the process that writes the version and the report; also where there is only one."""
    return settings.rank() == 0


def join(device: str) -> None:
    """Joins the group of processes, if there are several: gloo on CPUs, NCCL on GPUs. `device` is `update.device`.

    Raises ModelError for `cuda` without a GPU.
    """
    if settings.world_size() == 1:
        return
    die_with(os.getppid())
    from accelerate import PartialState

    from training.learning.models import pick_device

    on_cpu = pick_device(device).type == "cpu"
    PartialState(cpu=on_cpu, timeout=WAIT, **({"backend": "gloo"} if on_cpu else {}))


def decided_by_first(decide: Callable[[], T]) -> T:
    """The result of `decide` in the first process, for all processes. An error there ends the others with it."""
    if settings.world_size() == 1:
        return decide()
    import torch

    held: list[Any] = [decide() if is_first() else None]
    torch.distributed.broadcast_object_list(held)
    return held[0]


def gathered(mine: T) -> Sequence[T]:
    """The objects of all processes, by rank, in all processes."""
    if settings.world_size() == 1:
        return [mine]
    import torch

    everyone: list[Any] = [None] * settings.world_size()
    torch.distributed.all_gather_object(everyone, mine)
    return everyone
