"""Wakes whoever waits for a ticket, so that a free slot is claimed at once and nobody has to ask often."""

import asyncio


class Wakes:
    """One signal for each ticket of this process that is still in line."""

    def __init__(self) -> None:
        self._signals: dict[str, asyncio.Event] = {}

    def expect(self, ticket_id: str) -> None:
        """Somebody is going to wait for this ticket; a signal from now on is not lost."""
        self._signals.setdefault(ticket_id, asyncio.Event())

    def wake(self, ticket_id: str) -> None:
        """It is the ticket's turn. One of another process is none of ours."""
        if signal := self._signals.get(ticket_id):
            signal.set()

    def forget(self, ticket_id: str) -> None:
        """Nobody waits for it any more."""
        self._signals.pop(ticket_id, None)

    async def wait(self, ticket_id: str, timeout_s: float) -> None:
        """Until the ticket is called, at most `timeout_s`."""
        self.expect(ticket_id)
        signal = self._signals[ticket_id]
        try:
            async with asyncio.timeout(timeout_s):
                await signal.wait()
        except TimeoutError:
            return
        signal.clear()
