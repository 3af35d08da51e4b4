"""Networks of episodes, used again: the engine's address pool has about 31, and each takes 0.1 s to make."""

import uuid
from threading import Lock

import docker
from docker.models.networks import Network

from environments.base import EnvironmentBroken
from environments.providers.docker.engine import engine_errors
from environments.providers.owners import LABEL, Owner

MOST_NETWORKS = 24
NO_WAY_OUT = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
"""Without address translation no answer from outside comes back: published ports work, the internet does not."""


class Networks:
    """Networks of one owner. Blocking, safe for threads."""

    def __init__(self, engine: docker.DockerClient, owner: Owner) -> None:
        self._engine, self._owner = engine, owner
        self._free: list[Network] = []
        self._made = 0
        self._lock = Lock()

    def take(self) -> Network:
        """A network without containers. Raises `EnvironmentBroken` when all are in use."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._made >= MOST_NETWORKS:
                raise EnvironmentBroken(f"all {MOST_NETWORKS} networks are in use; play fewer episodes at once")
            self._made += 1
        try:
            with engine_errors("a network can't be made"):
                return self._engine.networks.create(
                    f"rl-loop-{uuid.uuid4().hex[:12]}",
                    driver="bridge",
                    options=NO_WAY_OUT,
                    labels={LABEL: str(self._owner)},
                )
        except BaseException:
            with self._lock:
                self._made -= 1
            raise

    def give_back(self, network: Network) -> None:
        """Takes back a network whose containers are removed."""
        with self._lock:
            self._free.append(network)

    def close(self) -> None:
        """Removes the free networks. Raises `EnvironmentBroken`."""
        with self._lock:
            free, self._free = self._free, []
        for network in free:
            with engine_errors("a network can't be removed"):
                network.remove()
