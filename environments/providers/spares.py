"""Warm spares: places that are made ahead of need, bounded in number and by the machine's free memory."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Spares(Generic[T]):
    """Makes things ahead. `take` gives a ready one at once, or makes one.

    A failure to make a spare is not raised: the next `take` tries itself and gets the reason.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        remove: Callable[[T], Awaitable[None]],
        *,
        count: int,
        least_free_mb: int = 1_024,
        is_sound: Callable[[T], bool] = lambda _: True,
    ) -> None:
        """`least_free_mb`: no spare is made with less free memory. `is_sound`: False for a spare that died meanwhile."""
        self._make, self._remove, self._is_sound = make, remove, is_sound
        self._count, self._least_free_mb = count, least_free_mb
        self._ready: list[T] = []
        self._making: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def ready(self) -> int:
        """Number of ready spares."""
        return len(self._ready)

    async def take(self, make: Callable[[], Awaitable[T]] | None = None) -> T:
        """A spare, or a new one, which `make` makes in place of the usual function. Raises what that raises."""
        try:
            while self._ready:
                if self._is_sound(spare := self._ready.pop(0)):
                    return spare
                await self._remove(spare)
            return await (make or self._make)()
        finally:
            self.refill()

    def refill(self) -> None:
        """Starts making spares in the background, one after another, up to the count."""
        if not self._is_closed and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._refill(), name="environment spares")

    async def close(self) -> None:
        """Removes all spares."""
        self._is_closed = True
        if self._making:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        ready, self._ready = self._ready, []
        await asyncio.gather(*(self._remove(spare) for spare in ready), return_exceptions=True)

    async def _refill(self) -> None:
        while len(self._ready) < self._count and free_mb() >= self._least_free_mb:
            try:
                self._ready.append(await self._make())
            except Exception as error:  # reported by the next `take`, which tries again
                logger.warning("a spare environment could not be made: %s", error)
                return


def free_mb() -> int:
    """Memory that is available without swapping, in MB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1_024
    return 0
