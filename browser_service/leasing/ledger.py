"""Instances, slots and leases in the memory of one process: the state of `InProcessStore`.

Instances are added and corrected by their reports; leases are given out here or added from a report. Times are
microseconds of the owner's clock.
"""

from collections import Counter
from dataclasses import dataclass, field

from browser_service.leasing.leases import CLAIM_GRACE_S, HeldLease, InstanceReport, KnownInstance, LiveLease, Ticket
from browser_service.models import LeaseRequest

_GRACE_US = int(CLAIM_GRACE_S * 1e6)


@dataclass(eq=False)
class BookedLease:
    """One lease."""

    lease_id: str
    instance: str
    slot: int
    generation: int
    request: LeaseRequest
    needs_token: bool
    until_us: int
    """Time at which an unclaimed grant expires, or at which its instance will end an active lease."""
    active: bool
    batch: str
    """The ticket that it was given to."""
    from_report: bool = False
    """True if the ledger knows it only from its instance's report."""
    ticket_id: str | None = None
    """The ticket that has yet to claim it."""

    def as_held(self, now: int) -> HeldLease:
        """The lease in its public form."""
        return HeldLease(
            lease_id=self.lease_id,
            slot=self.slot,
            generation=self.generation,
            owner=self.request.owner,
            share=self.request.share,
            idempotency_key=self.request.idempotency_key,
            batch=self.batch,
            needs_token=self.needs_token,
            expires_in_s=max(0, self.until_us - now) / 1e6,
            instance=self.instance,
            state="active" if self.active else "granted",
        )


@dataclass(eq=False)
class _Instance:
    report: InstanceReport
    gone_us: int
    slots: dict[int, BookedLease] = field(default_factory=dict)

    @property
    def capacity(self) -> int:
        """Number of slots that may be given out, free or not."""
        return self.report.capacity if self.report.healthy and not self.report.draining else 0

    @property
    def free(self) -> list[int]:
        return [slot for slot in range(self.capacity) if slot not in self.slots]


class Ledger:
    """Instances, their slots and the leases in them."""

    def __init__(self) -> None:
        self.leases: dict[str, BookedLease] = {}
        self.leases_by_share: Counter[str] = Counter()
        """Number of leases by share."""
        self._instances: dict[str, _Instance] = {}
        self._generations: Counter[str] = Counter()
        """The newest generation of each instance, also of lost ones that may come back."""
        self._by_key: dict[str, list[BookedLease]] = {}
        self._granted: dict[str, BookedLease] = {}
        """Leases that no instance has reported yet."""

    @property
    def capacity(self) -> int:
        """Number of slots of all open instances, free or not."""
        return sum(instance.capacity for instance in self._instances.values())

    @property
    def free(self) -> int:
        """Number of slots that can be given out now."""
        return sum(len(instance.free) for instance in self._instances.values())

    def with_key(self, idempotency_key: str | None) -> list[BookedLease]:
        """Leases with this idempotency key."""
        return list(self._by_key.get(idempotency_key, ())) if idempotency_key is not None else []

    def of_ticket(self, ticket: Ticket) -> list[BookedLease]:
        """Leases of the ticket."""
        return [self.leases[lease_id] for lease_id in ticket.lease_ids if lease_id in self.leases]

    def give(self, ticket: Ticket, now: int) -> None:
        """Gives the ticket all its slots, each at the instance with the most free ones. Needs enough free slots."""
        for lease_id in ticket.lease_ids:
            address, instance = min(self._instances.items(), key=lambda item: (-len(item[1].free), item[0]))
            self._generations[address] += 1
            self._enter(
                BookedLease(
                    lease_id=lease_id,
                    instance=address,
                    slot=instance.free[0],
                    generation=self._generations[address],
                    request=ticket.request,
                    needs_token=ticket.needs_token,
                    until_us=now + _GRACE_US,
                    active=False,
                    batch=ticket.ticket_id,
                    ticket_id=ticket.ticket_id,
                )
            )

    def claim(self, lease: BookedLease, now: int) -> None:
        """Marks the grant as claimed; from now on its instance has time to report it."""
        if lease.ticket_id is not None and not lease.active:
            lease.until_us = now + _GRACE_US
        lease.ticket_id = None

    def end(self, lease: BookedLease) -> None:
        """Removes the lease and frees its slot."""
        del self.leases[lease.lease_id]
        del self._instances[lease.instance].slots[lease.slot]
        self._granted.pop(lease.lease_id, None)
        share, key = lease.request.share, lease.request.idempotency_key
        self.leases_by_share[share] -= 1
        if not self.leases_by_share[share]:
            del self.leases_by_share[share]
        if key is not None:
            self._by_key[key].remove(lease)
            if not self._by_key[key]:
                del self._by_key[key]

    def apply(self, report: InstanceReport, now: int) -> list[BookedLease]:
        """Applies an instance's report. Returns grants that lost their slot to a live lease."""
        for lease_id in report.ended:  # final, however late the report arrives
            if (lease := self.leases.get(lease_id)) and lease.instance == report.instance:
                self.end(lease)
        instance = self._instances.get(report.instance)
        if instance is None:
            instance = self._instances[report.instance] = _Instance(report, now)
        elif report.number and report.boot == instance.report.boot and report.number <= instance.report.number:
            return []
        instance.report, instance.gone_us = report, now + int(report.ttl_s * 1e6)
        newest = max([report.generation, *(live.generation for live in report.live)])
        self._generations[report.instance] = max(self._generations[report.instance], newest)
        reported = {live.lease_id for live in report.live}
        for lease in [lease for lease in instance.slots.values() if lease.active and lease.lease_id not in reported]:
            self.end(lease)
        return [lost for live in report.live if (lost := self._take_in(report.instance, live, now))]

    def forget(self, now: int) -> list[BookedLease]:
        """Removes grants that were not taken up in time, and lost instances with their leases."""
        gone = [address for address, instance in self._instances.items() if instance.gone_us <= now]
        over = [lease for lease in self._granted.values() if lease.until_us <= now and lease.instance not in gone]
        over += [lease for address in gone for lease in self._instances[address].slots.values()]
        for lease in over:
            self.end(lease)
        for address in gone:
            del self._instances[address]
        return over

    def instances(self, now: int) -> list[KnownInstance]:
        """The instances in their public form, by address."""
        return [
            KnownInstance(
                instance=address,
                node=instance.report.node,
                capacity=instance.report.capacity,
                healthy=instance.report.healthy,
                draining=instance.report.draining,
                boot=instance.report.boot,
                leased=len(instance.slots),
                expires_in_s=(instance.gone_us - now) / 1e6,
            )
            for address, instance in sorted(self._instances.items())
        ]

    def _take_in(self, address: str, live: LiveLease, now: int) -> BookedLease | None:
        """Adds a lease that its instance holds. Returns the grant that was meant for its slot, if there was one."""
        until_us = now + int(live.expires_in_s * 1e6)
        if (known := self.leases.get(live.lease_id)) and (known.instance, known.slot) == (address, live.slot):
            known.until_us, known.active = until_us, True
            self._granted.pop(known.lease_id, None)
            return None
        rival = self._instances[address].slots.get(live.slot)
        if rival and rival.generation > live.generation:
            return None  # the slot was given out again after this lease ended, while the report was on its way
        for other in (known, rival):
            if other:
                self.end(other)
        request = LeaseRequest(owner=live.owner, share=live.share, idempotency_key=live.idempotency_key)
        self._enter(
            BookedLease(
                lease_id=live.lease_id,
                instance=address,
                slot=live.slot,
                generation=live.generation,
                request=request,
                needs_token=live.needs_token,
                until_us=until_us,
                active=True,
                batch=live.batch,
                from_report=True,
            )
        )
        return rival

    def _enter(self, lease: BookedLease) -> None:
        self.leases[lease.lease_id] = lease
        self._instances[lease.instance].slots[lease.slot] = lease
        self.leases_by_share[lease.request.share] += 1
        if not lease.active:
            self._granted[lease.lease_id] = lease
        if (key := lease.request.idempotency_key) is not None:
            self._by_key.setdefault(key, []).append(lease)
