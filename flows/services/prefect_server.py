"""`python -m flows.services.prefect_server server start ...`: Prefect's command line, with a database that waits instead of failing.

Prefect 3.7 begins SQLite transactions as deferred. When two of them read and then write, one cannot continue, and
SQLite answers "database is locked" without waiting; the API turns that into a 503, and the client retries two seconds
later. A subflow in a task meets it almost every time (the server is still storing the task). Begun as immediate, the
second one waits for some milliseconds. Measured here: 2.5 s for each stage before, 0.2 s after.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import AioSqliteConfiguration
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


if __name__ == "__main__":
    from prefect.cli import app

    begin_immediately()
    app()
