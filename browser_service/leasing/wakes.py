"""Signals for waiting tickets, so that a free slot is claimed at once and without polling."""

import asyncio


class Wakes:
    """One signal for each ticket of this process that is in the queue."""

    def __init__(self) -> None:
        self._signals: dict[str, asyncio.Event] = {}

    def expect(self, ticket_id: str) -> None:
        """Announces a wait for this ticket; a signal from now on is not lost."""
        self._signals.setdefault(ticket_id, asyncio.Event())

    def wake(self, ticket_id: str) -> None:
        """Signals that it is the ticket's turn. Tickets of other processes are ignored."""
        if signal := self._signals.get(ticket_id):
            signal.set()

    def forget(self, ticket_id: str) -> None:
        """Removes the ticket's signal."""
        self._signals.pop(ticket_id, None)

    async def wait(self, ticket_id: str, timeout_s: float) -> None:
        """Waits until the ticket is signalled, at most `timeout_s`."""
        self.expect(ticket_id)
        signal = self._signals[ticket_id]
        try:
            async with asyncio.timeout(timeout_s):
                await signal.wait()
        except TimeoutError:
            return
        signal.clear()
