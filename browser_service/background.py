"""Work that nobody waits for: kept alive until it ends, its unexpected failures logged, cancelled together.

What is to be done for ever (`every`) is not ended by a failure either.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Background:
    """The tasks that one owner has started."""

    def __init__(self, *expected: type[Exception]) -> None:
        """`expected`: failures that are part of the work and not worth a line in the log."""
        self._expected = expected
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs the work; the task may be awaited or forgotten."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Ends everything and waits for the end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, self._expected):
            log.error("background work failed", exc_info=error)


async def every(interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does the work now and after each interval, for ever. A failure is logged, once as long as it stays the same."""
    last = ""
    while True:
        try:
            await work()
            last = ""
        except Exception as error:
            if repr(error) != last:
                log.exception("what is done every %g s failed, and is tried again", interval_s)
            last = repr(error)
        await asyncio.sleep(interval_s)
