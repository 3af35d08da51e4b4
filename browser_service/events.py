"""Events of this process and their listeners: metrics at once, live pages by a queue of their own.

    leases, browsers, proxy ── emit ──> listeners (at once)      metrics.py
                                   └──> subscriptions (queued)   live.py

Emitting never waits and never fails the caller. All of it runs in the service's event loop.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

# A subscriber that falls behind by this many events loses the oldest, and gets their number.
BACKLOG = 1_000


@dataclass(frozen=True)
class Event:
    """One event. Example: `Event("lease_ended", {"lease_id": "...", "how": "expired"})`."""

    kind: str
    fields: dict[str, Any]
    at: float = field(default_factory=time.time)
    """Seconds since 1970, for people; no decision depends on it."""


Listener = Callable[[Event], None]


class Events:
    """The event bus of a process."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Sends an event to all; `fields` are JSON values, and never secrets: tokens, typed text, page content."""
        event = Event(kind, fields)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # a failing listener must not break the lease that the event is about
                log.exception("a listener failed on event %s", kind)

    def listen(self, listener: Listener) -> None:
        """Calls `listener` with every event from now on, inside `emit`: it must be fast."""
        self._listeners.append(listener)

    @contextmanager
    def subscribe(self) -> Generator["Subscription", None, None]:
        """`with events.subscribe() as happenings: async for event in happenings: ...`, from now on and without end."""
        subscription = Subscription()
        self._listeners.append(subscription.put)
        try:
            yield subscription
        finally:
            self._listeners.remove(subscription.put)


class Subscription(AsyncIterator[Event]):
    """The events of one reader, in order."""

    def __init__(self) -> None:
        self.missed = 0
        """Events that were dropped because the reader was too slow."""
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Adds an event; called by `Events`."""
        if len(self._events) >= BACKLOG:
            self._events.popleft()
            self.missed += 1
        self._events.append(event)
        self._arrived.set()

    async def __anext__(self) -> Event:
        while not self._events:
            self._arrived = asyncio.Event()
            await self._arrived.wait()
        return self._events.popleft()
