"""Removes containers, networks and volumes of owners that were killed. Two sweeps at once do no harm."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import docker
from docker.errors import APIError

from environments.providers.docker.engine import engine_errors
from environments.providers.owners import LABEL, is_orphan

ROUNDS = 20
PAUSE_S = 0.5
"""The engine may still be carrying out a killed owner's last request: a network in use can be removed a moment later."""


def sweep(engine: docker.DockerClient) -> int:
    """Removes what belongs to owners that have ended; returns how many there were. Raises `EnvironmentBroken`."""
    found = 0
    for _ in range(ROUNDS):
        removed, refused = _once(engine)
        found += removed
        if not refused:
            break
        time.sleep(PAUSE_S)
    return found


def _once(engine: docker.DockerClient) -> tuple[int, int]:
    """Numbers of removed and of refused things."""
    wanted = {"label": LABEL}
    with engine_errors("what killed owners left behind can't be listed"):
        containers = engine.containers.list(all=True, filters=wanted, ignore_removed=True)
        networks = engine.networks.list(filters=wanted)
        volumes = engine.volumes.list(filters=wanted)
    counts = [
        _remove(containers, lambda one: one.remove(force=True, v=True)),
        _remove(networks, lambda one: one.remove()),
        _remove(volumes, lambda one: one.remove(force=True)),
    ]
    return sum(removed for removed, _ in counts), sum(refused for _, refused in counts)


def _remove(things: Iterable[Any], remove: Callable[[Any], object]) -> tuple[int, int]:
    removed = refused = 0
    for thing in things:
        if not is_orphan(labels(thing).get(LABEL)):
            continue
        try:
            remove(thing)
            removed += 1
        except APIError as error:
            if error.status_code not in (403, 404, 409):
                raise
            refused += error.status_code != 404  # 404: another sweep was faster
    return removed, refused


def labels(thing: Any) -> dict[str, str]:
    """Labels of a container, a network or a volume."""
    return thing.attrs.get("Labels") or thing.attrs.get("Config", {}).get("Labels") or {}
