"""The model servers of a configuration: each has a name and a UNIX socket on this machine, wherever the server itself is.

services.models: local                           vllm     STATE/vllm.sock      vLLM
services.models: http://a:8200,http://b:8200     vllm     STATE/vllm.sock      a door to a (`door.py`)
                                                 vllm-2   STATE/vllm-2.sock    a door to b
"""

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from flows.settings.services_config import ServicesConfig
from storage.errors import ServicesError

VLLM = "vllm"
MAX_SOCKET_PATH = 100
"""Bytes; the kernel allows 107 in the address of a UNIX socket."""


class ModelServer(NamedTuple):
    """A model server. Example: `ModelServer("vllm-2", "http://b:8200", Path(".rl-loop/vllm-2.sock"))`."""

    name: str
    """Name of the service."""
    place: str
    """`local`, or the address of its door."""
    socket: Path


def model_servers(config: ServicesConfig) -> tuple[ModelServer, ...]:
    """The servers of the trained policy, in the order of `services.models`. Raises `ServicesError` as `socket_path`."""
    return tuple(
        ModelServer(name, place, socket_path(config.state_dir, name))
        for name, place in zip(model_names(config), config.model_places, strict=True)
    )


def model_names(config: ServicesConfig) -> tuple[str, ...]:
    """Names of the services: `vllm`, `vllm-2`, .."""
    return (VLLM, *(f"{VLLM}-{number}" for number in range(2, len(config.model_places) + 1)))


def socket_path(state_dir: Path, name: str = VLLM) -> Path:
    """The path of a model server's socket: in the state directory, or in a short temporary one if that path is too long.

    Raises `ServicesError` if the temporary one belongs to another user.
    """
    inside = state_dir / f"{name}.sock"
    if len(os.fsencode(inside)) < MAX_SOCKET_PATH:
        return inside
    short = Path(tempfile.gettempdir()) / f"rl-loop-{sha256(os.fsencode(state_dir)).hexdigest()[:12]}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise ServicesError(f"{short} belongs to another user; choose a shorter services.state_dir")
    return short / f"{name}.sock"
