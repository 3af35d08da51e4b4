"""Works on many items at the same time and gives the results in the items' order, with a bounded number in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_once: int
) -> AsyncGenerator[tuple[T, R], None]:
    """Yields each item with its result. At most `at_once` items are read and not yet yielded.

    An error of one ends the iteration, and cancels the others.
    """
    running: deque[tuple[T, asyncio.Future[R]]] = deque()
    try:
        for item in items:
            running.append((item, asyncio.ensure_future(work(item))))
            if len(running) >= at_once:
                first, result = running.popleft()
                yield first, await result
        while running:
            first, result = running.popleft()
            yield first, await result
    finally:
        for _, result in running:
            result.cancel()
        await asyncio.gather(*(result for _, result in running), return_exceptions=True)
