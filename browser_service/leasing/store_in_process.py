"""Lease store for a single process: no network, no waiting, an injected clock."""

from collections import OrderedDict, deque

from browser_service.errors import LeaseMismatch, NoCapacity
from browser_service.leasing.board import Board, InProcessBoard
from browser_service.leasing.fair_queue import FairQueue
from browser_service.leasing.leases import (
    TICKET_SILENCE_S,
    Clock,
    Grant,
    HeldLease,
    InstanceReport,
    KnownInstance,
    QueueLimits,
    Sign,
    Superseded,
    Ticket,
    fresh_lease_ids,
)
from browser_service.leasing.ledger import BookedLease, Ledger
from browser_service.leasing.refusals import abandoned, no_capacity, other_request, queue_full
from browser_service.leasing.superseded import told_to_nobody, which_answer
from browser_service.leasing.tokens import LeaseLocation
from browser_service.leasing.wakes import Wakes
from browser_service.models import LeaseRequest

REMEMBERED = 1_000
"""Maximum number of dropped leases that are kept for the next `reap`."""
_SILENCE_US = int(TICKET_SILENCE_S * 1e6)


class InProcessStore:
    """A `LeaseStore` for one process. `clock` gives monotonic seconds, so that no clock change ends a lease."""

    def __init__(self, clock: Clock, sign: Sign, limits: QueueLimits) -> None:
        self.on_superseded: Superseded = told_to_nobody
        self.board: Board = InProcessBoard(clock)
        self._clock = clock
        self._sign = sign
        self._limits = limits
        self._ledger = Ledger()
        self._queue = FairQueue()
        self._wakes = Wakes()
        self._newest_ticket_us = 0
        self._void: OrderedDict[str, int] = OrderedDict()
        """Abandoned tickets, until their process must have noticed; the earliest first."""
        self._forgotten: deque[HeldLease] = deque(maxlen=REMEMBERED)

    async def enqueue(self, request: LeaseRequest, *, count: int = 1, needs_token: bool = True) -> Ticket:
        now = self._now()
        self._newest_ticket_us = max(now, self._newest_ticket_us + 1)
        ticket = Ticket(fresh_lease_ids(count), request, needs_token, self._newest_ticket_us)
        if not self._ledger.with_key(request.idempotency_key):
            self._refuse_if_full(request.share)
            self._queue.keep(ticket, now + _SILENCE_US)
        self._wakes.expect(ticket.ticket_id)
        self._match(now)
        return ticket

    async def claim(self, ticket: Ticket) -> list[Grant] | None:
        now = self._now()
        try:
            leases = self._claim(ticket, now)
        except (NoCapacity, LeaseMismatch):
            await self.cancel(ticket)
            raise
        if leases is None:
            return None
        self._queue.remove(ticket)
        self._wakes.forget(ticket.ticket_id)
        for lease in leases:
            self._ledger.claim(lease, now)
        self._end_all_but(leases, ticket.request.idempotency_key, now)
        return [self._as_grant(lease) for lease in leases]

    async def wait(self, ticket: Ticket, timeout_s: float) -> None:
        await self._wakes.wait(ticket.ticket_id, timeout_s)

    async def cancel(self, ticket: Ticket) -> None:
        now = self._now()
        self._queue.remove(ticket)
        self._wakes.forget(ticket.ticket_id)
        self._take_back(ticket)
        self._match(now)

    async def find(self, idempotency_key: str) -> list[Grant]:
        self._now()
        return [self._as_grant(lease) for lease in self._ledger.with_key(idempotency_key)]

    async def abandon(self, idempotency_key: str) -> list[Grant]:
        now = self._now()
        waiting, ended = self._queue.with_key(idempotency_key), self._ledger.with_key(idempotency_key)
        for ticket in waiting:
            self._queue.remove(ticket)
        for lease in ended:
            self._ledger.end(lease)
        for ticket_id in {ticket.ticket_id for ticket in waiting} | {lease.ticket_id for lease in ended}:
            if ticket_id is not None:
                self._void[ticket_id] = now + 2 * _SILENCE_US
                self._wakes.wake(ticket_id)
        self._match(now)
        return [self._as_grant(lease) for lease in ended]

    async def report(self, report: InstanceReport) -> None:
        now = self._now()
        self._remember_forgotten(self._ledger.apply(report, now), now)
        self._match(self._now())

    async def end(self, lease_id: str) -> HeldLease | None:
        now = self._now()
        lease = self._ledger.leases.get(lease_id)
        if lease is None:
            return None
        self._ledger.end(lease)
        self._match(now)
        return lease.as_held(now)

    async def leases(self) -> list[HeldLease]:
        now = self._now()
        leases = sorted(self._ledger.leases.values(), key=lambda lease: (lease.instance, lease.slot))
        return [lease.as_held(now) for lease in leases]

    async def instances(self) -> list[KnownInstance]:
        return self._ledger.instances(self._now())

    async def waiting(self) -> int:
        self._now()
        return len(self._queue)

    async def reap(self) -> list[HeldLease]:
        self._now()
        forgotten = list(self._forgotten)
        self._forgotten.clear()
        return forgotten

    async def close(self) -> None:
        return

    def _now(self) -> int:
        """The time in microseconds, after removing everything that has expired by then."""
        now = round(self._clock() * 1e6)
        self._remember_forgotten(self._ledger.forget(now), now)
        self._queue.drop_silent(now)
        while self._void and next(iter(self._void.values())) <= now:
            self._void.popitem(last=False)
        self._match(now)
        return now

    def _match(self, now: int) -> None:
        """Gives the free slots to the tickets that are next in the queue."""
        while free := self._ledger.free:
            ticket = self._queue.next_in_line(self._ledger.leases_by_share, self._ledger.capacity)
            if ticket is None:
                return
            if not self._ledger.with_key(ticket.request.idempotency_key):
                if ticket.count > free:
                    self._queue.keep_slots_for(ticket)
                    return
                self._ledger.give(ticket, now)
            self._queue.remove(ticket)
            self._wakes.wake(ticket.ticket_id)

    def _claim(self, ticket: Ticket, now: int) -> list[BookedLease] | None:
        if ticket.ticket_id in self._void:
            raise abandoned()
        if found := self._given(ticket):
            return found
        self._queue.keep(ticket, now + _SILENCE_US)
        self._match(now)
        if found := self._given(ticket):
            return found
        if now >= ticket.give_up_us:
            raise no_capacity(ticket, self._ledger.capacity)
        return None

    def _given(self, ticket: Ticket) -> list[BookedLease]:
        """The leases of the ticket, or those that answer its idempotency key."""
        known = self._ledger.of_ticket(ticket)
        if known and len(known) < ticket.count:
            self._take_back(ticket)  # an instance was lost with some of them: all or none
            known = self._ledger.of_ticket(ticket)
        if ticket.request.idempotency_key is not None:
            known = self._ledger.with_key(ticket.request.idempotency_key)
        answer = which_answer(known, ticket.count)
        if known and not answer:
            raise other_request(ticket, len(known))
        return answer

    def _end_all_but(self, kept: list[BookedLease], idempotency_key: str | None, now: int) -> None:
        superseded = [lease for lease in self._ledger.with_key(idempotency_key) if lease not in kept]
        for lease in superseded:
            self._ledger.end(lease)
        if superseded:
            self._match(now)
            self.on_superseded([self._as_grant(lease) for lease in superseded])

    def _take_back(self, ticket: Ticket) -> None:
        for lease in self._ledger.of_ticket(ticket):
            if lease.ticket_id is not None:
                self._ledger.end(lease)

    def _refuse_if_full(self, share: str) -> None:
        if len(self._queue) >= self._limits.total:
            raise queue_full(self._limits.total, None)
        if self._queue.of_share(share) >= self._limits.per_share:
            raise queue_full(self._limits.per_share, share)

    def _remember_forgotten(self, leases: list[BookedLease], now: int) -> None:
        self._forgotten += [lease.as_held(now) for lease in leases]

    def _as_grant(self, lease: BookedLease) -> Grant:
        where = LeaseLocation(lease.instance, lease.slot, lease.generation)
        return Grant(
            lease_id=lease.lease_id,
            instance=lease.instance,
            slot=lease.slot,
            generation=lease.generation,
            token=self._sign(lease.lease_id, where),
            needs_token=lease.needs_token,
            batch=lease.batch,
            request=lease.request,
        )
