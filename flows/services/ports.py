"""Ports of the services that are started here, and the process that holds one that is in use."""

import socket

import psutil

from flows.services.specs import HOST, PORT_KEYS, names_here, place_of
from flows.settings.parts import Only
from flows.settings.services_config import LOCAL, ServicesConfig
from storage.errors import ServicesError


def choose_ports(config: ServicesConfig, only: Only | None = None) -> dict[str, int]:
    """A port for each service (of the part `only`) that is started here.

    Raises `ServicesError` naming the process that holds a configured one.
    """
    ports: dict[str, int] = {}
    for name, key in PORT_KEYS.items():
        if name not in names_here(config, only) or (not only and place_of(config, name) != LOCAL):
            continue
        wanted: int = getattr(config, key)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.listen if only else HOST, wanted))
            except OSError:
                raise ServicesError(
                    f"port {wanted} is in use by {_holder(wanted)}; stop it or set services.{key}=... (0 picks a free port)"
                ) from None
            ports[name] = probe.getsockname()[1]
    return ports


def _holder(port: int) -> str:
    """The process that listens on a port, as far as this user may see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"
