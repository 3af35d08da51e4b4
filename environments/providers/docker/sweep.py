"""Removes containers, networks and volumes of owners that were killed. Two sweeps at once do no harm."""

from collections.abc import Iterable
from typing import Any

import docker
from docker.errors import APIError

from environments.providers.docker.engine import told
from environments.providers.owners import LABEL, is_orphan


def sweep(engine: docker.DockerClient) -> int:
    """Removes what belongs to owners that have ended; returns how many there were. Raises `EnvironmentBroken`."""
    wanted = {"label": LABEL}
    with told("what killed owners left behind can't be listed"):
        containers = engine.containers.list(all=True, filters=wanted, ignore_removed=True)
        networks = engine.networks.list(filters=wanted)
        volumes = engine.volumes.list(filters=wanted)
    found = _remove(containers, lambda one: one.remove(force=True, v=True))
    found += _remove(networks, lambda one: one.remove())
    return found + _remove(volumes, lambda one: one.remove(force=True))


def _remove(things: Iterable[Any], remove: Any) -> int:
    found = 0
    for thing in things:
        if not is_orphan(labels(thing).get(LABEL)):
            continue
        try:
            remove(thing)
            found += 1
        except APIError as error:
            if error.status_code not in (404, 409):  # gone, or being removed by another sweep
                raise
    return found


def labels(thing: Any) -> dict[str, str]:
    """Labels of a container, a network or a volume."""
    return thing.attrs.get("Labels") or thing.attrs.get("Config", {}).get("Labels") or {}
