"""Background work: kept alive until it ends, its unexpected failures logged, cancelled together.

Periodic work (`every`) goes on after a failure.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CANCEL_AGAIN_S, CANCELLATIONS = 10.0, 3
"""Seconds that a cancelled task may clean up before it is cancelled again, and the number of cancellations."""
REMIND_S = 60.0
"""Seconds after which a continuing failure is logged again."""
log = logging.getLogger(__name__)


class Background:
    """The tasks that one owner has started."""

    def __init__(self, *expected: type[Exception]) -> None:
        """`expected`: failures that are part of the work and are not logged."""
        self._expected = expected
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Starts the work; the task may be awaited or forgotten."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancels every task and waits for its end. A library may swallow one cancellation, so a task that goes on gets more."""
        pending = set(self._tasks)
        for _ in range(CANCELLATIONS):
            for task in pending:
                task.cancel()
            if pending:
                _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        if pending:
            log.error("%d background tasks do not end and are left: %s", len(pending), pending)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, self._expected):
            log.error("background work failed", exc_info=error)


async def every(interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does the work now and after each interval, forever. A failure is logged once as long as it stays the same."""
    last = ""
    while True:
        try:
            await work()
            last = ""
        except Exception as error:
            if repr(error) != last:
                log.exception("the work of every %g s failed and will be tried again", interval_s)
            last = repr(error)
        await asyncio.sleep(interval_s)


class Outage:
    """Logs a failure when it begins, once a minute while it goes on, and when it is over."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._began: float | None = None
        self._said = 0.0

    def failed(self, sentence: str) -> None:
        """Records a failure, the first or a further one."""
        now = self._clock()
        if self._began is None:
            self._began = self._said = now
            self._log.warning("%s", sentence)
        elif now - self._said >= REMIND_S:
            self._said = now
            self._log.warning("for %.0f s now: %s", now - self._began, sentence)

    def worked(self, sentence: str) -> None:
        """Records a success."""
        if self._began is not None:
            self._log.info("%s, after %.1f s", sentence, self._clock() - self._began)
        self._began = None
