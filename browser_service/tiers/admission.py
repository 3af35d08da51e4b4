"""Turns a request into a lease: a queue and a ledger (`LeaseStore`) in front of the instances that hold the browsers.

request -> queue -> grants -> each instance admits its own -> leases
            ^                         | one instance refuses or is gone: the other leases of the request are ended
            └─────────────────────────┘
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from browser_service.background import Background
from browser_service.egress.policy import check_hosts
from browser_service.errors import (
    BrowserServiceError,
    ClientGone,
    Draining,
    MasterStopping,
    NoCapacity,
    RegistryDown,
    Unreachable,
)
from browser_service.events import Events
from browser_service.leasing.leases import GLANCE_S, RETRY_AFTER_S, Grant, Ticket
from browser_service.models import Batch, BatchRequest, Lease, LeaseRequest
from browser_service.tiers.instances import Absent
from browser_service.tiers.overview import Overview

log = logging.getLogger(__name__)

# Instances that may fail one after the other before the request fails.
TRIES = 4
IsGone = Callable[[], Awaitable[bool]]


@dataclass
class _Askers:
    """The requests with one idempotency key that are active in this process."""

    count: int = 0
    delivered: bool = False
    """True once one of them has answered its client with the leases."""


class Admission:
    """Gives out the slots of the instances in the overview."""

    def __init__(self, overview: Overview, events: Events) -> None:
        self._overview = overview
        self._store = overview.store
        self._events = events
        self._asking: dict[str, _Askers] = {}
        self._background = Background(BrowserServiceError)

    async def lease(self, request: LeaseRequest, *, needs_token: bool = True, is_gone: IsGone | None = None) -> Lease:
        """Leases a browser, after waiting in the queue. `is_gone` is true once the client has stopped waiting for it.

        Raises `BadRequest` before it queues, `NoCapacity`, `RateLimited`, `RegistryDown`, `Draining`, and the error
        that kept every instance from opening a browser; `MasterStopping` if another master still gives out leases.
        """
        return (await self._leases(request, 1, needs_token=needs_token, is_gone=is_gone))[0]

    async def batch(self, wanted: BatchRequest, *, is_gone: IsGone | None = None) -> Batch:
        """All of the group's leases or none, after waiting in the queue. Raises the errors of `lease`."""
        return Batch(leases=await self._leases(wanted.lease, wanted.count, needs_token=True, is_gone=is_gone))

    async def abandon(self, idempotency_key: str) -> None:
        """Ends the leases that were requested with this key, whether the client has received them or not."""
        await self._end(await self._store.abandon(idempotency_key))

    async def _leases(
        self, request: LeaseRequest, count: int, *, needs_token: bool, is_gone: IsGone | None
    ) -> list[Lease]:
        check_hosts(request)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + request.wait_s
        with self._counted(request.idempotency_key) as askers:
            for tries_left in reversed(range(TRIES)):
                left_s = max(0.0, give_up_at - loop.time())
                asked = request.model_copy(update={"wait_s": left_s})
                ticket, grants = await self._stand_in_line(asked, count, needs_token=needs_token, is_gone=is_gone)
                try:
                    leases = await self._admit(grants)
                    if is_gone and await is_gone() and askers.count == 1 and not askers.delivered:
                        raise ClientGone("the client went away while it waited")
                    askers.delivered = True
                    return leases
                except BaseException as error:
                    await asyncio.shield(self._end(_void(grants, ticket, error)))
                    if not (isinstance(error, BrowserServiceError) and error.fault == "infra" and tries_left):
                        raise
                    log.warning("a grant was not admitted, asking again: %s", error.detail)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _counted(self, key: str | None) -> Generator[_Askers, None, None]:
        """Counts a request; requests with the same key share their leases."""
        askers = self._asking.setdefault(key, _Askers()) if key else _Askers()
        askers.count += 1
        try:
            yield askers
        finally:
            askers.count -= 1
            if key and not askers.count:
                del self._asking[key]

    async def _stand_in_line(
        self, request: LeaseRequest, count: int, *, needs_token: bool, is_gone: IsGone | None
    ) -> tuple[Ticket, list[Grant]]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._refuse_if_draining()
        await asyncio.sleep(max(0.0, self._overview.opens_at - began))
        ticket = await self._store.enqueue(request, count=count, needs_token=needs_token)
        outcome = "gone"
        try:
            while (grants := await self._claim(ticket)) is None:
                await self._store.wait(ticket, min(GLANCE_S, max(0.01, began + request.wait_s - loop.time())))
                if is_gone and await is_gone():
                    raise ClientGone("the client went away while it waited")
            outcome = "granted"
            return ticket, grants
        except (NoCapacity, Draining, MasterStopping) as error:
            outcome = "no_capacity" if isinstance(error, NoCapacity) else "draining"
            raise
        finally:
            if outcome != "granted":
                with suppress(RegistryDown):  # an unclaimed ticket expires from the queue by itself
                    await self._store.cancel(ticket)
            self._events.emit("queue", outcome=outcome, waited_s=round(loop.time() - began, 4), count=count)

    async def _claim(self, ticket: Ticket) -> list[Grant] | None:
        """The grants of the ticket. While the service drains, a free slot goes to no request: the slots must empty."""
        self._refuse_if_draining()
        return await self._store.claim(ticket)

    def _refuse_if_draining(self) -> None:
        roster = self._overview.roster
        if not roster.drains:
            return
        if not roster.orders.service.draining and roster.has_others:
            raise MasterStopping("this master takes no new leases; ask another one", retry_after_s=RETRY_AFTER_S)
        raise Draining("the service takes no new leases; ask another one", retry_after_s=RETRY_AFTER_S)

    async def _admit(self, grants: list[Grant]) -> list[Lease]:
        """All leases of the grants. Raises the first error."""
        if len(grants) == 1:
            return [await self._admit_one(grants[0])]
        outcomes = await asyncio.gather(*map(self._admit_one, grants), return_exceptions=True)
        if failed := next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None):
            raise failed
        return [outcome for outcome in outcomes if isinstance(outcome, Lease)]

    async def _admit_one(self, grant: Grant) -> Lease:
        try:
            return await self._overview.instance_at(grant.instance).admit(grant)
        except Absent:  # a slow instance has other leases, which go on; a dead one stops reporting
            await self._overview.sign_off(grant.instance)
            raise

    async def _end(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            with suppress(RegistryDown):
                await self._store.end(grant.lease_id)
            self._background.start(self._overview.instance_at(grant.instance).end(grant.lease_id))


def _void(grants: list[Grant], ticket: Ticket, error: BaseException) -> list[Grant]:
    """The grants that the error ends.

    Grants of an earlier request with the same key are live leases of another client: they end only if their instance
    has refused them, and not because it is silent or this client has gone.
    """
    refused = isinstance(error, BrowserServiceError) and not isinstance(error, Unreachable | ClientGone)
    return [grant for grant in grants if refused or grant.lease_id in ticket.lease_ids]
