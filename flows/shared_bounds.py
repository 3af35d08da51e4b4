"""What bounds the ranks of a run together, in one process: calls by kind, pictures in memory, the model server's queue.

A rank that had no room is asked again when an episode of any of them ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from agent.limits import Gates
from agent.store import Recording
from flows.model_queue import ModelQueue
from flows.rollout_config import RolloutConfig
from flows.usage import ServerMeter


class SharedBounds:
    """Bounds that hold for all ranks that are given the same object. Belongs to an event loop."""

    def __init__(self, config: RolloutConfig, shard: int, queue: ModelQueue | None = None) -> None:
        """`shard`: one of those that are played in this process."""
        self.gates = Gates(config.limits_of(shard))
        self.server = ServerMeter()
        self.running: set[str] = set()
        """Ids of the episodes that have a slot."""
        self.recordings: dict[str, Recording] = {}
        """Of those that are being played, by id; the others have not begun yet, or wait for their next try."""
        self._in_flight_mb = config.in_flight_mb_of(shard)
        self._queue = queue
        self._fills: list[Callable[[], None]] = []
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def playing(self, fill: Callable[[], None]) -> AsyncGenerator[None]:
        """A rank plays a stage; `fill` begins as many of its episodes as there is room for."""
        if not self._fills and self._queue is not None:
            self._watching = asyncio.create_task(self._queue.watch(self.fill), name="model queue")
        self._fills.append(fill)
        try:
            with self.server.playing():
                yield
        finally:
            self._fills.remove(fill)
            if not self._fills and self._watching is not None:
                self._watching.cancel()

    def has_room(self) -> bool:
        """Whether another episode may begin. The first always may, so that nobody waits for what does not come."""
        if not self.running:
            return True
        return not (self._queue and self._queue.is_long) and self._has_memory()

    def fill(self) -> None:
        """There may be room now: each rank that plays begins what it can, another one first each time."""
        if self._fills:
            self._fills.append(self._fills.pop(0))
        for fill in tuple(self._fills):
            fill()

    def _has_memory(self) -> bool:
        if self._in_flight_mb is None:
            return True
        return sum(recording.bytes for recording in self.recordings.values()) < self._in_flight_mb * 1e6
