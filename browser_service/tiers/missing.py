"""Leases whose place says nothing: lost for certain, or only out of sight?

place silent ─┬─ back, the same process   it still holds them, or tells itself how they ended
              ├─ back, a new process      lost
              └─ silent for `lost_after_s` counted as lost
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from browser_service.leasing.leases import Clock, HeldLease, HeldPlace


@dataclass(frozen=True)
class _Missing:
    lease: HeldLease
    boot: str
    since: float


class Missing:
    """What the store has forgotten, until it is known what became of it."""

    def __init__(self, clock: Clock, lost_after_s: float) -> None:
        self._clock = clock
        self._lost_after_s = lost_after_s
        self._boots: dict[str, str] = {}
        """The newest process of each place."""
        self._missing: list[_Missing] = []

    def add(self, leases: Sequence[HeldLease]) -> None:
        """Takes leases that were forgotten. A grant that nobody took up never had a browser, and is not missed."""
        now = self._clock()
        self._missing += [
            _Missing(lease, self._boots.get(lease.place, ""), now) for lease in leases if lease.state == "active"
        ]

    def settle(self, places: Mapping[str, HeldPlace]) -> list[HeldLease]:
        """Given the places that report now: those leases that are lost. The others are missed on, or are there again."""
        now, lost, left = self._clock(), list[HeldLease](), list[_Missing]()
        for one in self._missing:
            back = places.get(one.lease.place)
            if back is None and now - one.since < self._lost_after_s:
                left.append(one)
            elif back is None or back.boot != one.boot:
                lost.append(one.lease)
        self._missing = left
        self._boots |= {address: place.boot for address, place in places.items()}
        return lost
