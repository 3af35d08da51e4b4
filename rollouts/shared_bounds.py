"""Limits shared by the ranks of a run in one process: calls, pictures in memory, the model server's queue, paused hosts.

A rank that was refused for lack of room is asked again when an episode of any rank ends.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from agent.episodes.episode import EpisodeKey
from agent.limits import Gates
from environments.hosts import BlockingConfig
from environments.pauses import HostPauses
from environments.taskfiles.table import host_of
from rollouts.config import RolloutConfig
from rollouts.measures.usage import ServerMeter
from rollouts.model_queue import ModelQueue
from storage.pauses import Pause
from storage.store import Recording


class SharedBounds:
    """Limits for all ranks that get the same object. Belongs to an event loop."""

    def __init__(
        self,
        config: RolloutConfig,
        shard: int,
        queue: ModelQueue | None = None,
        blocking: BlockingConfig = BlockingConfig(),  # noqa: B008
    ) -> None:
        """`shard`: any of the shards that are played in this process."""
        self._blocking = blocking
        self.pauses = HostPauses(blocking, lambda: asyncio.get_running_loop().time())
        self.gates = Gates(config.limits_of(shard))
        self.server = ServerMeter()
        self.running: set[str] = set()
        """Ids of the episodes that have a slot."""
        self.recordings: dict[str, Recording] = {}
        """Recordings of the running attempts, by trajectory id; episodes before or between attempts have none."""
        self._in_flight_mb = config.in_flight_mb_of(shard)
        self._queue = queue
        self._fills: list[Callable[[], None]] = []
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def playing(self, fill: Callable[[], None]) -> AsyncGenerator[None]:
        """Registers a rank that plays a stage; `fill` begins as many of its episodes as there is room for."""
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
        """True if another episode may begin. One may always run, or ranks could wait for ever."""
        if not self.running:
            return True
        return not (self._queue and self._queue.is_long) and self._has_memory()

    def fill(self) -> None:
        """Lets each playing rank begin episodes after room became free; the first rank to choose rotates."""
        if self._fills:
            self._fills.append(self._fills.pop(0))
        for fill in tuple(self._fills):
            fill()

    @property
    def blocked_pages(self) -> int:
        """Consecutive blocked pages that end an episode."""
        return self._blocking.pages

    def ended(self, slot: EpisodeKey, *, good: bool, bad: bool) -> Pause | None:
        """Records what an attempt at an episode tells of its host; returns the pause that begins."""
        host = host_of(slot.task.start_url)
        if not self.pauses.end(host, slot.trajectory_id, good=good, bad=bad):
            return None
        pause_s = self._blocking.pause_s
        asyncio.get_running_loop().call_later(pause_s, self.fill)
        return Pause(host=host, at=time.time(), until=time.time() + pause_s)

    def _has_memory(self) -> bool:
        if self._in_flight_mb is None:
            return True
        return sum(recording.bytes for recording in self.recordings.values()) < self._in_flight_mb * 1e6
