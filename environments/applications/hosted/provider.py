"""Places of an installed application: one server for all episodes, and for each a database under a host name of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

from browser_service.models import Cookie, LoginState
from environments.applications.hosted.files import Files, Folders
from environments.applications.hosted.install import check_installed
from environments.applications.hosted.recipe import GOLDEN, Installation, Recipe, filled
from environments.base import EnvironmentBroken, Place
from environments.providers.owners import Owner
from environments.providers.postgres.cluster import Cluster
from environments.providers.postgres.databases import Databases
from environments.providers.postgres.state import Ignored, Snapshot, rows_after, snapshot
from environments.providers.process.orphans import sweep
from environments.providers.process.provider import check_alive
from environments.providers.process.server import Server, ServerCommand, start_server

START_DEADLINE_S = 120.0


@dataclass
class HostedEpisode:
    """Handle of an episode: its database, which the browser can't reach."""

    database: str
    cluster: Cluster
    server: Server
    start: Snapshot
    folders: Folders | None = None
    """Folders of the episodes; None for an application without files beside its database."""
    is_untouched: bool = True
    """True until the first look at the state: nobody has had the address yet, so it is the template's."""


class HostedProvider:
    """Implements `environments.base.Provider`. The host name of an episode says which database the server takes."""

    def __init__(
        self,
        recipe: Recipe,
        place: Installation,
        *,
        ignored: Ignored,
        cookies: dict[str, str],
        spares: int = 4,
        files: Files | None = None,
    ) -> None:
        """`ignored`: what changes without anybody's doing. `cookies`: session in the template that is signed in.
        `files`: state that is kept beside the database."""
        self._recipe, self._place, self._ignored, self._cookies = recipe, place, ignored, cookies
        self._count, self._owner = spares, Owner.of_this_process()
        self._running = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._cluster: Cluster | None = None
        self._folders = Folders(files, place.files / GOLDEN) if files is not None else None
        self._databases: Databases | None = None
        self._start: Snapshot | None = None
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        """Starts Postgres and the application. Raises `EnvironmentBroken`, also when it is not installed."""
        await asyncio.to_thread(check_installed, self._recipe, self._place)
        await asyncio.to_thread(sweep)
        try:
            cluster = self._cluster = await self._running.enter_async_context(Cluster(self._place.data))
            self._start = await snapshot(cluster, GOLDEN, self._ignored)
            if self._folders is not None:
                await self._running.enter_async_context(self._folders)
            databases = Databases(cluster, GOLDEN, spares=self._count, beside=self._folders)
            self._databases = await self._running.enter_async_context(databases)
            await self._serving()
        except BaseException:
            await asyncio.shield(self.__aexit__())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self._running.aclose()

    @property
    def ready(self) -> int:
        """Number of spare databases."""
        return self._databases.ready if self._databases is not None else 0

    @property
    def server(self) -> Server | None:
        """The application's server, for measurements."""
        return self._server

    @property
    def database_pid(self) -> int:
        """Process id of the database server, for measurements. Raises `EnvironmentBroken` while it does not run."""
        if self._cluster is None:
            raise EnvironmentBroken("the Postgres server does not run")
        return self._cluster.pid

    @asynccontextmanager
    async def fresh(self, trajectory_id: str) -> AsyncGenerator[Place[HostedEpisode]]:
        """A fresh database, and the address that leads to it. Raises `EnvironmentBroken`."""
        if self._cluster is None or self._databases is None or self._start is None:
            raise RuntimeError(f"{self._recipe.name} is not running; enter it with `async with` before serving")
        server = await self._serving()
        async with self._databases.fresh() as name:
            host = f"{name}.localhost"
            site = f"{host}:{server.port}"
            yield Place(
                url=f"http://{site}{self._recipe.first_page}",
                sites=(site,),
                handle=HostedEpisode(name, self._cluster, server, self._start, self._folders),
                login=LoginState(
                    cookies=[
                        Cookie(name=key, value=value, domain=host, path="/", sameSite="Lax")
                        for key, value in self._cookies.items()
                    ]
                ),
            )

    async def _serving(self) -> Server:
        """The server; one that has died is started again."""
        async with self._starting:
            if self._server is not None and not self._server.is_alive:
                dead, self._server = self._server, None
                await dead.stop()
            if self._server is None:
                self._server = await start_server(self._command(), self._owner)
            return self._server

    def _command(self) -> ServerCommand:
        if self._cluster is None:
            raise EnvironmentBroken("the Postgres server does not run")
        given = self._place.placeholders(self._recipe)
        parts = [filled(part, given) for part in self._recipe.serve]
        variables = {name: filled(value, given) for name, value in self._recipe.variables.items()} | {
            "RL_LOOP_POSTGRES": str(self._cluster.folder),
            "RL_LOOP_FOLDER": "{folder}",
            "PYTHONPATH": given["modules"],
        }
        if self._folders is not None:
            variables["RL_LOOP_FILES"] = str(self._folders.folder)
        return ServerCommand(parts, health=self._recipe.health, variables=variables, start_deadline_s=START_DEADLINE_S)


async def read_rows(episode: HostedEpisode) -> dict[str, object]:
    """The rows of an episode's database, and those of its files. Raises `EnvironmentBroken`."""
    check_alive(episode.server)
    folders = episode.folders
    if episode.is_untouched:
        episode.is_untouched = False
        return dict(episode.start.rows) | dict(folders.start if folders else {})
    files = await folders.rows(episode.database) if folders else {}
    return dict(await rows_after(episode.cluster, episode.database, episode.start)) | dict(files)
