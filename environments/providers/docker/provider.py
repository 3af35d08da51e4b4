"""Places that are containers, one or several for each episode, with spares ready."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Event
from typing import Self

import docker
from docker.errors import DockerException
from docker.models.networks import Network

from environments.base import Place
from environments.providers.docker.containers import (
    ContainerSpec,
    Launch,
    Running,
    give_back,
    remove_all,
    rename,
    start_all,
)
from environments.providers.docker.engine import connect
from environments.providers.docker.naming import waiting
from environments.providers.docker.networks import Networks
from environments.providers.docker.ports import Ports
from environments.providers.docker.sweep import sweep
from environments.providers.owners import Owner
from environments.providers.spares import Spares

STARTS_AT_ONCE = max(4, os.cpu_count() or 1)
"""Episodes whose containers start at the same time, in threads of their own: a start may take minutes, and the threads
of the event loop are for others too."""


@dataclass(frozen=True)
class _Group:
    running: Running
    network: Network
    episode: str


class Containers:
    """Containers of their own for each episode. Implements `environments.base.Provider`; the handle is `Running`.

    Example: `Containers(read_compose(Path("compose.yaml")), spares=1)`
    """

    def __init__(
        self, specs: Sequence[ContainerSpec], *, spares: int = 0, least_free_mb: int = 2_048, engine: str | None = None
    ) -> None:
        """`spares`: groups that are started ahead. `engine`: address of the Docker engine; None: that of DOCKER_HOST.

        Raises ValueError unless a container has a port: the first one with a port is what the browser opens.
        """
        self._specs = tuple(specs)
        self._first = next((spec.name for spec in specs if spec.port), None)
        if self._first is None:
            raise ValueError("expected a container with a port that the browser opens")
        self._url = engine
        self._owner = Owner.of_this_process()
        self._engine: docker.DockerClient | None = None
        self._networks: Networks | None = None
        self._ports = Ports()
        self._starts = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="containers")
        self._spares = Spares(
            self._start, self._remove, count=spares, least_free_mb=least_free_mb, is_sound=_is_running
        )

    async def __aenter__(self) -> Self:
        """Connects and removes what killed owners left. Raises `EnvironmentBroken` without an engine."""
        self._engine = await asyncio.to_thread(connect, self._url)
        await asyncio.to_thread(sweep, self._engine)
        self._networks = Networks(self._engine, self._owner)
        self._spares.refill()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._spares.close()
        if self._networks is not None and self._engine is not None:
            await asyncio.to_thread(self._networks.close)
            await asyncio.to_thread(self._engine.close)
        self._starts.shutdown(wait=False)
        self._engine = self._networks = None

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[Running]]:
        """Fresh containers. Raises `EnvironmentBroken`."""
        group = await self._spares.take(lambda: self._start(trajectory_id))
        sites = tuple(f"127.0.0.1:{port}" for port in group.running.ports.values())
        try:
            if group.episode != trajectory_id:
                await asyncio.to_thread(rename, group.running, trajectory_id)
            yield Place(
                url=f"http://127.0.0.1:{group.running.ports[self._first or '']}/", sites=sites, handle=group.running
            )
        finally:
            await asyncio.shield(self._remove(group))

    async def _start(self, episode: str = "") -> _Group:
        engine, networks = self._engine, self._networks
        if engine is None or networks is None:
            raise RuntimeError("the containers' provider is not running; enter it with `async with` first")
        cancelled, name = Event(), episode or waiting()

        def start() -> _Group:
            network = networks.take()
            try:
                launch = Launch(engine, self._owner, network, self._ports, name, cancelled)
                return _Group(start_all(launch, self._specs), network, name)
            except BaseException:
                networks.give_back(network)
                raise

        future = self._starts.submit(start)
        starting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread can't be cancelled: it is told, and what it started nevertheless is removed.
            cancelled.set()
            if not future.cancel() and not isinstance(
                group := (await asyncio.gather(starting, return_exceptions=True))[0], BaseException
            ):
                await self._remove(group)
            raise

    async def _remove(self, group: _Group) -> None:
        await asyncio.to_thread(remove_all, group.running.containers.values())
        give_back(self._ports, self._specs, group.running.ports)
        if self._networks is not None:
            self._networks.give_back(group.network)


def _is_running(group: _Group) -> bool:
    try:
        for container in group.running.containers.values():
            container.reload()
        return all(container.status == "running" for container in group.running.containers.values())
    except DockerException:
        return False
