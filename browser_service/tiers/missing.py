"""Tracks leases whose instance is silent, until they are known to be lost.

instance silent ─┬─ reports again, same process   it still holds them, or reports how they ended
                 ├─ reports again, new process    lost
                 └─ silent for `lost_after_s`     counted as lost
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from browser_service.leasing.leases import Clock, HeldLease, KnownInstance


@dataclass(frozen=True)
class _Missing:
    lease: HeldLease
    boot: str
    since: float


class Missing:
    """Leases that the store has dropped and that may still be live."""

    def __init__(self, clock: Clock, lost_after_s: float) -> None:
        self._clock = clock
        self._lost_after_s = lost_after_s
        self._boots: dict[str, str] = {}
        """The newest process of each instance."""
        self._missing: list[_Missing] = []

    def add(self, leases: Sequence[HeldLease]) -> None:
        """Adds leases that the store has dropped. A grant that was never admitted had no browser: it is not tracked."""
        now = self._clock()
        self._missing += [
            _Missing(lease, self._boots.get(lease.instance, ""), now) for lease in leases if lease.state == "active"
        ]

    def settle(self, instances: Mapping[str, KnownInstance]) -> list[HeldLease]:
        """Takes the instances that report now; returns the lost leases. The others are still missing, or are back."""
        now, lost, left = self._clock(), list[HeldLease](), list[_Missing]()
        for one in self._missing:
            back = instances.get(one.lease.instance)
            if back is None and now - one.since < self._lost_after_s:
                left.append(one)
            elif back is None or back.boot != one.boot:
                lost.append(one.lease)
        self._missing = left
        self._boots |= {address: instance.boot for address, instance in instances.items()}
        return lost
