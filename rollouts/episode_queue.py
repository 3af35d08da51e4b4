"""The waiting episodes of a rank, in order; those of a paused host let the others go first."""

from collections import deque
from collections.abc import Iterable

from agent.episodes.episode import EpisodeKey
from environments.pauses import HostPauses
from environments.taskfiles.table import host_of


class EpisodeQueue:
    """Example: `queue.extend(slots)`, then `queue.take()` whenever a slot is free."""

    def __init__(self, pauses: HostPauses) -> None:
        self._pauses = pauses
        self._slots: deque[EpisodeKey] = deque()

    def __len__(self) -> int:
        return len(self._slots)

    def extend(self, slots: Iterable[EpisodeKey]) -> None:
        """Adds episodes at the end."""
        self._slots.extend(slots)

    def clear(self) -> None:
        """Removes all episodes."""
        self._slots.clear()

    def take(self) -> EpisodeKey | None:
        """Removes the first episode that may begin now and returns it; None if there is none."""
        for place, slot in enumerate(self._slots):
            host = host_of(slot.task.start_url)
            if self._pauses.may_begin(host):
                del self._slots[place]
                self._pauses.begin(host, slot.trajectory_id)
                return slot
        return None

    def take_given_up(self) -> list[EpisodeKey]:
        """Removes the episodes whose host is given up, and returns them."""
        given_up = [slot for slot in self._slots if self._pauses.is_given_up(host_of(slot.task.start_url))]
        if given_up:
            self._slots = deque(slot for slot in self._slots if slot not in given_up)
        return given_up
