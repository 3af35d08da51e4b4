"""Runs several nodes and a master on one machine; larger deployments run them on many machines.

deploy ── master (port 7000)
       ├─ node (8080) ── instances (9000, 9001, ...)
       └─ node (8081) ── instances (9100, 9101, ...)
"""

import asyncio
import logging
import signal
from collections.abc import Sequence

from browser_service.egress.policy import control_ports
from browser_service.leasing.tokens import TierKey
from browser_service.servers.supervise import STOP_DEADLINE_S, Program, Supervisor
from browser_service.settings import Settings

log = logging.getLogger(__name__)

SLOTS_PER_INSTANCE = 8
"""Sessions that share one driver and one process by default."""
PORTS_PER_NODE = 100


def shares(total: int, parts: int) -> list[int]:
    """Splits `total` slots into `parts` shares, as evenly as possible. Raises ValueError if a share would be 0."""
    if parts < 1 or total < parts:
        raise ValueError(f"{total} slots can't be spread over {parts} processes: each needs at least one")
    return [total // parts + (1 if index < total % parts else 0) for index in range(parts)]


def instances_for(slots: int) -> int:
    """Default number of instances of a node: at most eight slots each, and two at least, for one may fail."""
    return max(min(2, slots), -(-slots // SLOTS_PER_INSTANCE))


def programs(
    settings: Settings,
    slots_per_node: Sequence[int],
    *,
    instances: int | None,
    node_port: int,
    instance_port: int,
    log_level: str,
) -> list[Program]:
    """The master and its nodes. They share a generated key, unless one is set.

    Raises `SettingsError` if the clients could not be given an address.
    """
    settings.require_address()
    key = settings.tier_key.get_secret_value() if settings.tier_key else TierKey.random().value
    several = [min(slots, instances or instances_for(slots)) for slots in slots_per_node]
    ports = control_ports(settings)  # no page of one instance may reach any other part
    for index, count in enumerate(several):
        first = instance_port + PORTS_PER_NODE * index
        ports |= {node_port + index, *range(first, first + count)}
    shared = {
        "BROWSER_SERVICE_TIER_KEY": key,
        "BROWSER_SERVICE_HOST": settings.host,
        "BROWSER_SERVICE_CONTROL_PORTS": ",".join(map(str, sorted(ports))),
    }
    redis = {"BROWSER_SERVICE_REDIS_URL": settings.redis_url.get_secret_value()} if settings.redis_url else {}
    logged = ["--log-level", log_level]
    master = Program("master", ["master", *logged], {**shared, **redis, "BROWSER_SERVICE_PORT": str(settings.port)})
    nodes = [
        Program(
            f"node {node_port + index}",
            [
                "node",
                "--instance-port",
                str(instance_port + PORTS_PER_NODE * index),
                "--instances",
                str(several[index]),
                *logged,
            ],
            {
                **shared,
                "BROWSER_SERVICE_PORT": str(node_port + index),
                "BROWSER_SERVICE_SLOTS": str(slots),
                "BROWSER_SERVICE_MASTER_URL": settings.url,
            },
        )
        for index, slots in enumerate(slots_per_node)
    ]
    return [master, *nodes]


async def keep_running(settings: Settings, programs: Sequence[Program]) -> None:
    """Runs the programs until SIGTERM or SIGINT, then stops them in order."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    stop_s = 2 * STOP_DEADLINE_S + settings.drain_deadline_s
    async with Supervisor(programs, stop_deadline_s=stop_s):
        log.info("starting %s; the service is at %s", ", ".join(p.name for p in programs), settings.url)
        await told_to_stop.wait()
