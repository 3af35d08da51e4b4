"""Who may have which slot: the nouns of admission and the protocol of its store.

The store is a ledger, not the truth. The process that holds a browser is the truth about it: it reports what it holds every
second, and the store believes it. So a store that forgets everything, or is away for a while, ends no running session.

    enqueue -> Ticket -> claim: None while it waits in line, grants when slots are free, NoCapacity when the wait is over
    Grant   -> admitted by its place within CLAIM_GRACE_S -> reported by the place -> gone when the place reports it no more
"""

import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from browser_service.leasing.board import Board
from browser_service.leasing.tokens import LeasePlace
from browser_service.models import LeaseRequest
from browser_service.models.wire import Wire

CLAIM_GRACE_S = 10.0
"""How long a grant waits for its ticket to claim it, and then for its place to report it: its client may have gone."""
GLANCE_S = 0.5
"""Whoever waits claims at least this often."""
TICKET_SILENCE_S = 5.0
"""A ticket that nobody claimed for this long has lost its process and leaves the line."""
RETRY_AFTER_S = 1.0
"""What a caller is told who found no capacity, a full queue or no registry."""

Clock = Callable[[], float]
"""Seconds that never go back, such as `time.monotonic`."""
Sign = Callable[[str, LeasePlace], str]
"""Makes the token of a lease; `TierKey.sign` is one."""


@dataclass(frozen=True)
class QueueLimits:
    """How many requests may wait: in all, and of one share."""

    total: int = 1_000
    per_share: int = 250


@dataclass(frozen=True)
class Ticket:
    """A place in the queue. It remembers its own place, so a store that has forgotten it takes it back where it stood."""

    lease_ids: tuple[str, ...]
    """Names of the leases that it will become, one for each browser that was asked for."""
    request: LeaseRequest
    needs_token: bool
    since_us: int
    """When it joined the queue, in microseconds of the store's clock: who came first goes first."""

    @property
    def ticket_id(self) -> str:
        """Name of the ticket."""
        return self.lease_ids[0]

    @property
    def count(self) -> int:
        """Browsers that were asked for: all of them or none."""
        return len(self.lease_ids)

    @property
    def give_up_us(self) -> int:
        """When the wait is over, in microseconds of the store's clock."""
        return self.since_us + math.ceil(self.request.wait_s * 1e6)


class Grant(Wire):
    """A slot given to one owner, for its place to admit. Example: slot 2 of `http://127.0.0.1:9000`, generation 17."""

    lease_id: str
    place: str
    """Address of the process with the browser."""
    slot: Annotated[int, Field(ge=0)]
    generation: Annotated[int, Field(ge=1)]
    """Grows with each lease of the place: a stale holder of the slot is told apart."""
    token: str
    needs_token: bool = True
    """False for leases of the old wire format, whose clients know no token: there the id itself is the secret."""
    batch: str = ""
    """Names the request that it answers, together with the other leases of its group: the id of their ticket."""
    request: LeaseRequest
    """What was asked for. Of a lease that the store knows only from a report: its owner, share and idempotency key."""


Superseded = Callable[[list[Grant]], None]
"""Hears of leases that a claim has ended."""


class LiveLease(Wire):
    """One lease as its place reports it."""

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


class PlaceReport(Wire):
    """What a process with browsers says of itself, every second and whenever a lease has ended."""

    place: str
    """Its address, which names it."""
    node: str
    """Address of its machine's node."""
    capacity: Annotated[int, Field(ge=0, le=1_024)]
    """Its slots are 0 .. capacity-1."""
    healthy: bool = True
    draining: bool = False
    live: list[LiveLease] = []
    """Every lease that it holds, from the moment of its admission on."""
    ended: list[str] = []
    """Leases that began and ended since the report before: no report ever names them as live."""
    generation: Annotated[int, Field(ge=0)] = 0
    """The newest generation that it has seen: generations must not go back when the store has forgotten them."""
    boot: str = ""
    """Differs for each start of the process."""
    number: Annotated[int, Field(ge=0)] = 0
    """Counts the reports of this boot. One that is overtaken by a newer one on its way is ignored; 0 is never ignored."""
    ttl_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """A place that has not reported for this long is gone. 0 says goodbye."""


class HeldLease(LiveLease):
    """One lease as the store knows it."""

    place: str
    state: Literal["granted", "active"]
    """`granted` until its place has reported it."""


class HeldPlace(Wire):
    """One place as the store knows it."""

    place: str
    node: str
    capacity: int
    healthy: bool
    draining: bool
    boot: str = ""
    """As in its newest report: differs for each start of its process."""
    held: int
    """Slots that are granted or active."""
    expires_in_s: float
    """Seconds until it is gone, unless it reports."""

    @property
    def available(self) -> int:
        """Slots that can be granted now."""
        return max(0, self.capacity - self.held) if self.healthy and not self.draining else 0


class LeaseStore(Protocol):
    """What admission needs from a store of leases. A store that can't be reached raises `RegistryDown` from every call.

    Free slots go to the share that holds the fewest leases, and within a share to the one that came first. A request for
    several browsers that is next in line keeps every slot that comes free until it has them all, so it is never starved;
    one that asks for more than all open places have together is passed over and waits in vain.
    """

    on_superseded: Superseded
    """Called with leases that a claim has ended, because others answer their key: their places have yet to be told."""
    board: Board
    """What the processes that share the store tell one another besides."""

    async def enqueue(self, request: LeaseRequest, *, count: int = 1, needs_token: bool = True) -> Ticket:
        """A place at the end of the queue. Raises `RateLimited` when the queue, or the share's part of it, is full.

        A request whose idempotency key has live leases is never refused.
        """
        ...

    async def claim(self, ticket: Ticket) -> list[Grant] | None:
        """The ticket's slots once it has them all, None while it has to wait. Raises `NoCapacity` when the wait is over.

        A ticket whose idempotency key has live leases gets those, or `LeaseMismatch` when they are not as many as it asks
        for. Where a key has the answers of several tickets, for a store may learn late of what it had forgotten, one is
        kept and the others are ended (`superseded.py`). A repeated claim gets the same grants again. Claim at least every
        `GLANCE_S`, for a silent ticket leaves the line; one that claims again returns to where it stood.
        """
        ...

    async def wait(self, ticket: Ticket, timeout_s: float) -> None:
        """Returns when a claim is likely to succeed, at the latest after `timeout_s`."""
        ...

    async def cancel(self, ticket: Ticket) -> None:
        """Leaves the queue, with what it was given and has not claimed. Again, or after a claim, is fine."""
        ...

    async def find(self, idempotency_key: str) -> list[Grant]:
        """The live leases that were asked for with this key."""
        ...

    async def abandon(self, idempotency_key: str) -> list[Grant]:
        """A client gave up asking with this key: its tickets are void and its leases ended. The caller tells the places."""
        ...

    async def report(self, report: PlaceReport) -> None:
        """Takes a place's word for what it holds.

        Live leases that the store does not know are taken in, whatever it knew before; a grant for a slot that turns out
        to be held is over, and so is every lease of the place that it does not report, a grant after `CLAIM_GRACE_S`.
        """
        ...

    async def end(self, lease_id: str) -> HeldLease | None:
        """The lease is over, says whoever ended it at its place. None if there is no such lease (any more)."""
        ...

    async def leases(self) -> list[HeldLease]:
        """The live leases, by place and slot."""
        ...

    async def places(self) -> list[HeldPlace]:
        """The places that have reported lately, by address."""
        ...

    async def waiting(self) -> int:
        """Tickets in the queue."""
        ...

    async def reap(self) -> list[HeldLease]:
        """Forgets grants that nobody took up and leases of places that are gone, and returns what was forgotten since the
        last time: `granted` and `active` ones.

        Neither says anything about the browser: a place that comes back brings its live leases with it.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections. The leases stay."""
        ...


def fresh_lease_ids(count: int) -> tuple[str, ...]:
    """Names for leases that are yet to be granted."""
    return tuple(str(uuid.uuid4()) for _ in range(count))
