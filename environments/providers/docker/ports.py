"""Ports of 127.0.0.1 that containers are published on, counted from a first one: the lowest free port is the next."""

import socket
from collections.abc import Collection
from threading import Lock

from environments.base import EnvironmentBroken

HOST = "127.0.0.1"
MOST_PORTS = 1_000
"""Ports from the first one that are tried."""


class Ports:
    """The ports of one owner. Blocking, safe for threads."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._lock = Lock()

    def take(self, first: int, refused: Collection[int] = ()) -> int:
        """The lowest free port from `first` on, without `refused`: ports that the engine could not publish.

        Raises `EnvironmentBroken` when all are taken.
        """
        last = min(first + MOST_PORTS, 65_536) - 1
        with self._lock:
            for port in range(first, last + 1):
                if port not in self._taken and port not in refused and _is_free(port):
                    self._taken.add(port)
                    return port
        raise EnvironmentBroken(
            f"all ports from {first} to {last} are taken; stop what listens there, or choose another first port"
        )

    def give_back(self, port: int) -> None:
        """Takes back a port that no container is published on any more."""
        with self._lock:
            self._taken.discard(port)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server's own: a connection that ended a moment ago does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
