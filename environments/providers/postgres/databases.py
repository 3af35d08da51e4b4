"""Databases of episodes: clones of a template, made ahead, dropped when the episode ends."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol, Self

from environments.base import EnvironmentBroken
from environments.providers.postgres.cluster import Cluster
from environments.providers.spares import Spares

CLONE_DEADLINE_S = 30.0
CLONES_AT_ONCE = 2
"""Databases that are cloned at the same time; more are slower together than one after the other."""


class Beside(Protocol):
    """State of an episode beside its database, such as files: it is made and dropped with it."""

    async def make(self, name: str) -> None:
        """Makes the state of the database with this name. Raises `EnvironmentBroken`."""
        ...

    async def drop(self, name: str) -> None:
        """Removes it, also when only a part of it was made."""
        ...


class Databases:
    """Clones of a template database. Enter it while its cluster runs.

    Example:
        async with Cluster(golden) as cluster, Databases(cluster, "golden", spares=4) as databases:
            async with databases.fresh() as name: ...  # "e5b2c1f0a97d31c4"
    """

    def __init__(
        self,
        cluster: Cluster,
        template: str,
        *,
        spares: int = 0,
        least_free_mb: int = 512,
        beside: Beside | None = None,
    ) -> None:
        """`template`: a database that nobody is connected to. `spares`: clones that are made ahead. `beside`: state that
        is made and dropped with each."""
        self._cluster, self._template, self._beside = cluster, template, beside
        self._room = asyncio.Semaphore(CLONES_AT_ONCE)
        self._spares = Spares(self._clone, self._drop, count=spares, least_free_mb=least_free_mb)

    async def __aenter__(self) -> Self:
        """Starts making spares in the background."""
        self._spares.refill()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._spares.close()

    @property
    def ready(self) -> int:
        """Number of ready spares."""
        return self._spares.ready

    @asynccontextmanager
    async def fresh(self) -> AsyncGenerator[str]:
        """Name of a fresh database until the context is left. Raises `EnvironmentBroken`."""
        name = await self._spares.take()
        try:
            yield name
        finally:
            await asyncio.shield(self._drop(name))

    async def _clone(self) -> str:
        name = f"e{secrets.token_hex(8)}"
        making = asyncio.create_task(self._make(name))
        try:
            await asyncio.shield(making)
        except BaseException:
            # The server finishes a clone whose client has gone: it is awaited, then dropped.
            await asyncio.gather(making, return_exceptions=True)
            await self._drop(name)
            raise
        return name

    async def _make(self, name: str) -> None:
        async with self._turn(f"cloning {self._template!r}"):
            await self._cluster.clone(self._template, name)
        if self._beside is not None:
            await self._beside.make(name)

    async def _drop(self, name: str) -> None:
        if self._beside is not None:
            await self._beside.drop(name)
        if self._cluster.is_alive:
            async with self._turn(f"dropping {name!r}"):
                await self._cluster.drop(name)

    @asynccontextmanager
    async def _turn(self, what: str) -> AsyncGenerator[None]:
        try:
            async with self._room, asyncio.timeout(CLONE_DEADLINE_S):
                yield
        except TimeoutError:
            raise EnvironmentBroken(f"{what} takes longer than {CLONE_DEADLINE_S:g} s on the Postgres server") from None
