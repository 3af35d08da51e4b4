"""Tear-down that always happens: shielded from cancellation, with a deadline, and never the failure of an episode."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

logger = logging.getLogger(__name__)

TEARDOWN_DEADLINE_S = 30.0
T = TypeVar("T")


class Teardowns:
    """The places that are being removed. `finish` waits for all of them."""

    def __init__(self, deadline_s: float = TEARDOWN_DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._running: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def removing(self, place: AbstractAsyncContextManager[T], what: str) -> AsyncGenerator[T]:
        """Enters `place`. Its exit runs to its end whatever happens to the caller; an error there is only logged."""
        entered = await place.__aenter__()
        try:
            yield entered
        finally:
            task = asyncio.create_task(self._remove(place, what), name=f"tear-down of {what}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.shield(task)

    async def finish(self) -> None:
        """Waits until everything is removed."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=self._deadline_s)

    async def _remove(self, place: AbstractAsyncContextManager[T], what: str) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await place.__aexit__(None, None, None)
        except Exception as error:  # whatever is left is removed by the sweep of the next start
            logger.warning("the tear-down of %s failed: %s: %s", what, type(error).__name__, error)
