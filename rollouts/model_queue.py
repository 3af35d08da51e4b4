"""Polls the model server while a stage is played: true when more turns wait there than `rollout.model_queue` allows."""

import asyncio
from collections.abc import Awaitable, Callable

ASK_EVERY_S = 2.0


class ModelQueue:
    """The server's queue length against a limit. A server that does not answer counts as having no queue."""

    def __init__(self, most: int | None, ask: Callable[[], Awaitable[int | None]]) -> None:
        """`most`: turns that may wait; None: any number, and the server is not polled. `ask`: the turns that wait now."""
        self.is_long = False
        """True if more turns wait than allowed."""
        self._most, self._ask = most, ask

    async def watch(self, shortened: Callable[[], None]) -> None:
        """Polls until it is cancelled; calls `shortened` when the queue falls back to the limit."""
        while self._most is not None:
            waiting = await self._ask()
            # A server that does not answer must not hold episodes back: the stage notices a lost server and heals it.
            was_long, self.is_long = self.is_long, waiting is not None and waiting > self._most
            # Ranks refill slots only when an episode ends; without this call refused slots would stay empty until then.
            if was_long and not self.is_long:
                shortened()
            await asyncio.sleep(ASK_EVERY_S)
