"""Places that are processes: a server for each episode, with spares ready; or one server with a tenant per episode."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from browser_service.models import LoginState
from environments.base import EnvironmentBroken, Place
from environments.providers.owners import Owner
from environments.providers.process.orphans import sweep
from environments.providers.process.server import Server, ServerCommand, start_server, tail
from environments.providers.spares import Spares


class ServerPerEpisode:
    """A server of its own for each episode. Implements `environments.base.Provider`; the handle is the server.

    Example: `ServerPerEpisode(ServerCommand([sys.executable, "serve.py", "{port}"]), spares=2)`
    """

    def __init__(
        self, command: ServerCommand, *, spares: int = 1, least_free_mb: int = 1_024, logs: Path | None = None
    ) -> None:
        """`spares`: servers that are started ahead, unless less than `least_free_mb` MB of memory are free. `logs`:
        folder that keeps the log of each episode's server as `<trajectory id>.log`."""
        self._owner = Owner.of_this_process()
        self._logs = logs
        self._spares = Spares(
            lambda: start_server(command, self._owner),
            Server.stop,
            count=spares,
            least_free_mb=least_free_mb,
            is_sound=lambda server: server.is_alive,
        )

    async def __aenter__(self) -> Self:
        """Removes what killed owners left, and starts the spares in the background."""
        await asyncio.to_thread(sweep)
        self._spares.refill()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._spares.close()

    @property
    def ready(self) -> int:
        """Number of ready spares."""
        return self._spares.ready

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[Server]]:
        """A fresh server. Raises `EnvironmentBroken`."""
        server = await self._spares.take()
        try:
            yield Place(url=f"{server.url}/", sites=(f"127.0.0.1:{server.port}",), handle=server)
        finally:
            if self._logs is not None:
                await asyncio.to_thread(_keep_log, server.log, self._logs / f"{trajectory_id}.log")
            await asyncio.shield(server.stop())


class Tenant(NamedTuple):
    """The part of a shared server that is one episode's. Example: `Tenant("e7.localhost", "e7")`."""

    host: str
    """Host name by which the server tells the tenants apart; `*.localhost` is always this machine in Chromium."""
    name: str
    """Name of its database or account."""
    path: str = "/"
    """Start path."""
    login: LoginState | None = None


class Tenants(Protocol):
    """Makes and removes the tenants of a shared server: databases from a template, accounts."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def fresh(self, trajectory_id: str) -> AbstractAsyncContextManager[Tenant]:
        """A fresh tenant until the context is left. Raises `EnvironmentBroken`."""
        ...


@dataclass(frozen=True)
class SharedPlace:
    """Handle of an episode on a shared server: the server, and the episode's tenant."""

    server: Server
    tenant: Tenant


class SharedServer:
    """One server for all episodes, with a tenant for each. Implements `environments.base.Provider`.

    A server that has died is started again by the next episode.
    """

    def __init__(self, command: ServerCommand, tenants: Tenants) -> None:
        self._command, self._tenants = command, tenants
        self._owner = Owner.of_this_process()
        self._server: Server | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Removes what killed owners left. Raises what the tenants raise."""
        await asyncio.to_thread(sweep)
        await self._tenants.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None
        await self._tenants.__aexit__(*exc)

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[SharedPlace]]:
        """A fresh tenant. Raises `EnvironmentBroken`."""
        server = await self._running()
        async with self._tenants.fresh(trajectory_id) as tenant:
            site = f"{tenant.host}:{server.port}"
            place = SharedPlace(server, tenant)
            yield Place(url=f"http://{site}{tenant.path}", sites=(site,), handle=place, login=tenant.login)

    async def _running(self) -> Server:
        async with self._starting:
            if self._server is not None and not self._server.is_alive:
                dead, self._server = self._server, None
                await dead.stop()
            if self._server is None:
                self._server = await start_server(self._command, self._owner)
            return self._server


def check_alive(server: Server) -> None:
    """For an application's `read`: raises `EnvironmentBroken` when the server has died during the episode."""
    if not server.is_alive:
        raise EnvironmentBroken(f"the server died during the episode: {tail(server.log)}")


def _keep_log(log: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        shutil.copyfile(log, kept)
