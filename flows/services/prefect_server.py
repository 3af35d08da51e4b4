"""`python -m flows.services.prefect_server server start ...`: Prefect's command line, with two faults of its server on SQLite mended.

Prefect 3.7 begins SQLite transactions as deferred. When two of them read and then write, one cannot continue, and
SQLite answers "database is locked" without waiting; the API turns that into a 503, and the client retries two seconds
later. A subflow in a task meets it almost every time (the server is still storing the task). Begun as immediate, the
second one waits for some milliseconds. Measured here: 2.5 s for each stage before, 0.2 s after.

After an automation is stored, Prefect 3.7 stops its event loop until another thread has loaded it under a lock. Where the
loop's own reconciling of automations has that lock, neither goes on, and the server never answers again. Loaded in a
task of the loop, it waits for its turn.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager

from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.events.models import automations
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


def begin_immediately() -> None:
    """Make every transaction of the server wait for its turn as a writer when it begins."""
    begin = AioSqliteConfiguration.begin_transaction

    @asynccontextmanager
    async def begin_transaction(
        self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        async with begin(self, session, with_for_update=True) as transaction:
            yield transaction

    AioSqliteConfiguration.begin_transaction = begin_transaction


_loading: set[asyncio.Task[None]] = set()
"""References to running tasks; the loop itself has only weak ones."""


def load_automations_in_the_loop() -> None:
    """Make the server load a changed automation in a task of its event loop, which goes on meanwhile."""

    def start(loading: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(loading)
        _loading.add(task)
        task.add_done_callback(_loading.discard)

    automations.run_coro_as_sync = start  # ty: ignore[invalid-assignment]


if __name__ == "__main__":
    from prefect.cli import app

    begin_immediately()
    load_automations_in_the_loop()
    app()
