"""Environment variables of this package; only this module reads or sets them."""

import os
from collections.abc import Mapping


def failpoint() -> str:
    """Place and kind of the failure in `RL_LOOP_FAILPOINT`, for crash tests; empty in ordinary runs."""
    return os.environ.get("RL_LOOP_FAILPOINT", "")


def caller() -> tuple[str, str]:
    """The caller's span (`TRACEPARENT`) and ids (`BAGGAGE`), in the formats of W3C; each is empty if there is none."""
    return os.environ.get("TRACEPARENT", ""), os.environ.get("BAGGAGE", "")


def set_caller(variables: Mapping[str, str]) -> None:
    """Replaces what `caller` returns: a process that is kept between updates has another caller for each."""
    for name in ("TRACEPARENT", "BAGGAGE"):
        os.environ.pop(name, None)
        if value := variables.get(name):
            os.environ[name] = value


def let_idle_threads_sleep() -> None:
    """Sets `OMP_WAIT_POLICY` to PASSIVE unless the user has set it. Call before torch is imported.

    OpenMP's threads wait for each other by spinning. Where other processes need the same cores, spinning takes CPU time
    from the slower thread that is waited for: on two busy cores an update took over five times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def look_for_gpus_without_starting_them() -> None:
    """Sets `PYTORCH_NVML_BASED_CUDA_CHECK`: a process in which CUDA was started can't be forked."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")


def rank() -> int:
    """Number of this process among those of an update, from 0; `torchrun` sets it."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Number of this process among those of its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world_size() -> int:
    """Number of processes of an update."""
    return int(os.environ.get("WORLD_SIZE", "1"))
