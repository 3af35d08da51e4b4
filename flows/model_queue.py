"""Whether more turns wait in the model server than `rollout.model_queue` allows: asked now and then while a stage is played."""

import asyncio
from collections.abc import Awaitable, Callable

from flows.monitor_services import Model

ASK_EVERY_S = 2.0


class ModelQueue:
    """The server's queue against a limit. A server that does not answer has none."""

    def __init__(self, most: int | None, ask: Callable[[], Awaitable[Model | None]]) -> None:
        """`most`: turns that may wait; None: any number, and nobody is asked."""
        self.is_long = False
        """Whether more wait than may."""
        self._most, self._ask = most, ask

    async def watch(self, shortened: Callable[[], None]) -> None:
        """Asks until it is cancelled; calls `shortened` when the queue is no longer too long."""
        while self._most is not None:
            model = await self._ask()
            was_long, self.is_long = self.is_long, model is not None and model.waiting > self._most
            if was_long and not self.is_long:
                shortened()
            await asyncio.sleep(ASK_EVERY_S)
