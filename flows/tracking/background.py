"""Work beside the loop, asked for after each stage: the copies to MLflow and to a store, the run's summary in Prefect."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

logger = logging.getLogger(__name__)


class Background:
    """Calls an async function after each `wake`, one call at a time; one more call follows the wakes during a call.

    So a slow server costs the loop nothing, and the last call has seen everything. The function returns the seconds until it
    may be called again; short stages so share a call. An error of a call is logged.
    """

    def __init__(self, work: Callable[[], Awaitable[float]], *, name: str) -> None:
        self._work, self._name = work, name
        self._again = False
        self._task: asyncio.Task[None] | None = None
        self._finishing = asyncio.Event()

    def wake(self) -> None:
        """Requests a call. Returns at once."""
        self._again = True
        if self._task is None or self._task.done():
            self._finishing.clear()
            self._task = asyncio.create_task(self._called(), name=self._name)

    async def finish(self, *, drop: bool = False) -> None:
        """Waits until the requested calls have ended, without pauses; `drop`: only until the running one has.

        The caller sets the deadline. A call that was cancelled with the event loop's other tasks is not waited for.
        """
        self._again = self._again and not drop
        self._finishing.set()
        if self._task:
            await asyncio.wait([self._task])

    async def _called(self) -> None:
        while self._again:
            self._again = False
            pause_s = 0.0
            try:
                pause_s = await self._work()
            except Exception:
                logger.exception("%s: the work in the background failed", self._name)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), pause_s)
