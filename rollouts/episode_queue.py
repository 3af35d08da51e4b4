"""The waiting episodes of a rank, in order; those of a paused host let the others go first."""

from collections import Counter, deque
from collections.abc import Iterable

from agent.episodes.episode import EpisodeKey
from environments.pauses import HostPauses
from environments.taskfiles.table import host_of


class EpisodeQueue:
    """Example: `queue.extend(slots)`, then `queue.take()` whenever a slot is free."""

    def __init__(self, pauses: HostPauses) -> None:
        self._pauses = pauses
        self._slots: deque[EpisodeKey] = deque()
        self._hosts: Counter[str] = Counter()
        """Waiting episodes by host: a stage has thousands of episodes, and few hosts."""

    def __len__(self) -> int:
        return len(self._slots)

    def extend(self, slots: Iterable[EpisodeKey]) -> None:
        """Adds episodes at the end."""
        for slot in slots:
            self._slots.append(slot)
            self._hosts[_host_of(slot)] += 1

    def clear(self) -> None:
        """Removes all episodes."""
        self._slots.clear()
        self._hosts.clear()

    def take(self) -> EpisodeKey | None:
        """Removes the first episode that may begin now and returns it; None if there is none."""
        for place, slot in enumerate(self._slots):
            host = _host_of(slot)
            if self._pauses.may_begin(host):
                del self._slots[place]
                self._forget(host)
                self._pauses.begin(host, slot.trajectory_id)
                return slot
        return None

    def take_given_up(self) -> list[EpisodeKey]:
        """Removes the episodes whose host is given up, and returns them."""
        lost = {host for host in self._hosts if self._pauses.is_given_up(host)}
        if not lost:
            return []
        given_up = [slot for slot in self._slots if _host_of(slot) in lost]
        self._slots = deque(slot for slot in self._slots if _host_of(slot) not in lost)
        for host in lost:
            del self._hosts[host]
        return given_up

    def _forget(self, host: str) -> None:
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]


def _host_of(slot: EpisodeKey) -> str:
    return host_of(slot.task.start_url)
