"""The types of admission and the protocol of the lease store.

The store is a ledger, not the source of truth: the process that holds a browser is. It reports its leases every second,
and the store follows the reports. So a store that loses its content, or is away for a while, ends no live session.

    enqueue -> Ticket -> claim: None while it waits, grants when slots are free, NoCapacity when the wait is over
    Grant   -> admitted by its instance within CLAIM_GRACE_S -> reported by it -> gone when it is no longer reported
"""

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from browser_service.leasing.board import Board
from browser_service.leasing.tokens import LeaseLocation
from browser_service.models import LeaseRequest
from browser_service.models.wire import Wire

CLAIM_GRACE_S = 10.0
"""Seconds that a grant waits for its ticket's claim, and then for its instance's report: its client may have gone."""
GLANCE_S = 0.5
"""A waiting request claims at least this often."""
TICKET_SILENCE_S = 5.0
"""A ticket without a claim for this long has lost its process and leaves the queue."""
RETRY_AFTER_S = 1.0
"""Retry-After of a refusal for lack of capacity, a full queue or a missing registry."""

Clock = Callable[[], float]
"""Monotonic seconds, such as `time.monotonic`."""
Sign = Callable[[str, LeaseLocation], str]
"""Makes the token of a lease; `TierKey.sign` is one."""


@dataclass(frozen=True)
class QueueLimits:
    """Limits of the number of waiting requests: in total, and of one share."""

    total: int = 1_000
    per_share: int = 250


@dataclass(frozen=True)
class Ticket:
    """A place in the queue. It carries its position, so that a store that has lost it can put it back there."""

    lease_ids: tuple[str, ...]
    """Ids of its future leases, one for each requested browser."""
    request: LeaseRequest
    needs_token: bool
    since_us: int
    """Time of joining the queue, in microseconds of the store's clock; earlier tickets go first."""

    @property
    def ticket_id(self) -> str:
        """Id of the ticket."""
        return self.lease_ids[0]

    @property
    def count(self) -> int:
        """Number of requested browsers: all or none are granted."""
        return len(self.lease_ids)

    @property
    def give_up_us(self) -> int:
        """End of the wait, in microseconds of the store's clock."""
        return self.since_us + math.ceil(self.request.wait_s * 1e6)


class Grant(Wire):
    """A slot given to one owner, to be admitted by its instance.

    Example: slot 2 of `http://127.0.0.1:9000`, generation 17.
    """

    lease_id: str
    instance: str
    """Address of the process with the browser, its instance."""
    slot: Annotated[int, Field(ge=0)]
    generation: Annotated[int, Field(ge=1)]
    """Grows with each lease of the instance, so that a stale holder of the slot is recognized."""
    token: str
    needs_token: bool = True
    """False for leases of the old wire format, whose clients send no token: there the id itself is the secret."""
    batch: str = ""
    """Id of the ticket that it answers, common to all leases of a group."""
    request: LeaseRequest
    """The request. For a lease that the store knows only from a report: its owner, share and idempotency key."""


Superseded = Callable[[list[Grant]], None]
"""Callback for leases that a claim has ended."""


class LiveLease(Wire):
    """One lease as its instance reports it."""

    lease_id: str
    slot: Annotated[int, Field(ge=0)]
    generation: Annotated[int, Field(ge=1)]
    owner: str = "anonymous"
    share: str = ""
    idempotency_key: str | None = None
    batch: str = ""
    """As in its grant."""
    needs_token: bool = True
    expires_in_s: float


class InstanceReport(Wire):
    """Report of a process with browsers on itself, every second and whenever a lease has ended."""

    instance: str
    """Its address, which is its name."""
    node: str
    """Address of its machine's node."""
    capacity: Annotated[int, Field(ge=0, le=1_024)]
    """Its slots are 0 .. capacity-1."""
    healthy: bool = True
    draining: bool = False
    live: list[LiveLease] = []
    """Every lease that it holds, from its admission on."""
    ended: list[str] = []
    """Leases that began and ended since the last report: no report ever lists them as live."""
    generation: Annotated[int, Field(ge=0)] = 0
    """The newest generation that it has seen: generations must not go back after the store has lost them."""
    boot: str = ""
    """Differs for each start of the process."""
    number: Annotated[int, Field(ge=0)] = 0
    """Counts the reports of this boot. A report that arrives after a newer one is ignored; 0 is never ignored."""
    ttl_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """An instance without a report for this long is gone. 0 signs it off."""


class HeldLease(LiveLease):
    """One lease as the store knows it."""

    instance: str
    state: Literal["granted", "active"]
    """`granted` until its instance has reported it."""


class KnownInstance(Wire):
    """One instance as the store knows it."""

    instance: str
    node: str
    capacity: int
    healthy: bool
    draining: bool
    boot: str = ""
    """As in its newest report: differs for each start of its process."""
    leased: int
    """Slots that are granted or active."""
    expires_in_s: float
    """Seconds until it counts as gone, unless it reports."""

    @property
    def available(self) -> int:
        """Number of slots that can be granted now."""
        return max(0, self.capacity - self.leased) if self.healthy and not self.draining else 0


class LeaseStore(Protocol):
    """The store of leases as admission uses it. Every call raises `RegistryDown` if the store can't be reached.

    Free slots go to the share with the fewest leases, and within a share to the oldest ticket. A request for several
    browsers that is next in the queue reserves every slot that comes free until it has them all, so it is never
    starved; a request for more than all open instances have together is skipped until its wait is over.
    """

    on_superseded: Superseded
    """Called with leases that a claim has ended because others answer their key; notifies their instances."""
    board: Board
    """Notices between the processes that share the store."""

    async def enqueue(self, request: LeaseRequest, *, count: int = 1, needs_token: bool = True) -> Ticket:
        """Adds a ticket to the queue. Raises `RateLimited` when the queue, or the share's part of it, is full.

        A request whose idempotency key has live leases is never refused.
        """
        ...

    async def claim(self, ticket: Ticket) -> list[Grant] | None:
        """The ticket's grants once it has them all, None while it waits. Raises `NoCapacity` when the wait is over.

        A ticket whose idempotency key has live leases gets those, or `LeaseMismatch` if their number differs from the
        request. If a key has the leases of several tickets, because a report has restored what the store had lost, one
        ticket's are kept and the others are ended (`superseded.py`). A repeated claim gets the same grants again. Claim
        at least every `GLANCE_S`: a silent ticket leaves the queue; one that claims again returns to its position.
        """
        ...

    async def wait(self, ticket: Ticket, timeout_s: float) -> None:
        """Returns when a claim is likely to succeed, at the latest after `timeout_s`."""
        ...

    async def cancel(self, ticket: Ticket) -> None:
        """Removes the ticket and its unclaimed grants. May be repeated, and called after a claim."""
        ...

    async def find(self, idempotency_key: str) -> list[Grant]:
        """The live leases of this idempotency key."""
        ...

    async def abandon(self, idempotency_key: str) -> list[Grant]:
        """Voids the key's tickets and ends its leases, as its client gave up. The caller notifies the instances."""
        ...

    async def report(self, report: InstanceReport) -> None:
        """Takes an instance's report as the truth about its leases.

        Reported leases that the store does not know are added, whatever it knew before; a grant for a slot that is
        held after all is over, and so is every unreported lease of the instance, a grant after `CLAIM_GRACE_S`.
        """
        ...

    async def end(self, lease_id: str) -> HeldLease | None:
        """Removes a lease that has ended at its instance. None if there is no such lease (any more)."""
        ...

    async def leases(self) -> list[HeldLease]:
        """The live leases, by instance and slot."""
        ...

    async def instances(self) -> list[KnownInstance]:
        """The instances that have reported recently, by address."""
        ...

    async def waiting(self) -> int:
        """Number of tickets in the queue."""
        ...

    async def reap(self) -> list[HeldLease]:
        """Drops grants that were not taken up and leases of lost instances, and returns those dropped since the last
        call: `granted` and `active` ones.

        A dropped lease may still have its browser: an instance that returns reports its live leases again.
        """
        ...

    async def close(self) -> None:
        """Closes the connections. The leases stay."""
        ...


def fresh_lease_ids(count: int) -> tuple[str, ...]:
    """New ids for future leases."""
    return tuple(str(uuid.uuid4()) for _ in range(count))


def lease_id_of(instance_id: str) -> str:
    """The lease's own id, the part before the port."""
    return instance_id.rpartition(":")[0] or instance_id


def instance_id_of(lease_id: str, instance: str) -> str:
    """The id on the wire: `<uuid>:<port of the instance>`."""
    return f"{lease_id}:{instance.rpartition(':')[2]}"
