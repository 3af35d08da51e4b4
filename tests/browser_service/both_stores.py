"""Both lease stores side by side: everything is done to both, and both must answer the same.

Leases have random names, so they are compared by names of their own: which ticket they belong to, and which of its leases
they are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from real_redis import RealRedis
from turned_stores import KEY, Turned, TurnedInProcess, TurnedRedis

from browser_service.errors import BrowserServiceError
from browser_service.leasing.leases import (
    Grant,
    InstanceReport,
    KnownInstance,
    LeaseStore,
    LiveLease,
    QueueLimits,
    Ticket,
)
from browser_service.leasing.tokens import LeaseLocation
from browser_service.models import LeaseRequest

T = TypeVar("T")
Refusal = type[BrowserServiceError]


class Name(NamedTuple):
    """A lease: the number of its ticket, and its own within that."""

    ticket: int
    position: int


@dataclass(frozen=True)
class Asked:
    """One request, as the stores know it: a ticket from each."""

    number: int
    tickets: tuple[Ticket, ...]

    @property
    def count(self) -> int:
        return self.tickets[0].count

    @property
    def request(self) -> LeaseRequest:
        return self.tickets[0].request


class Given(NamedTuple):
    """A lease, without what differs."""

    name: Name
    instance: str
    slot: int
    generation: int
    share: str
    key: str | None


class Books(NamedTuple):
    """All that a store shows."""

    leases: Sequence[tuple[Given, str]]
    instances: list[KnownInstance]
    waiting: int


class BothStores:
    """The two, in step. Synchronous, for a state machine of hypothesis."""

    def __init__(self, server: RealRedis, limits: QueueLimits) -> None:
        self.runner = asyncio.Runner()
        self.turned: list[Turned] = [TurnedInProcess(limits), TurnedRedis(server, limits)]
        self.asked: list[Asked] = []
        self._names: dict[str, Name] = {}
        self._ids: dict[Name, tuple[str, ...]] = {}
        self._superseded: list[list[Given]] = [[], []]

    def enqueue(self, request: LeaseRequest, count: int) -> Asked | Refusal:
        first, second = self._on_both(lambda store, _: store.enqueue(request, count=count))
        if not (isinstance(first, Ticket) and isinstance(second, Ticket)):
            assert first == second and not isinstance(first, Ticket)
            return first
        asked = Asked(len(self.asked), (first, second))
        self.asked.append(asked)
        for position, ids in enumerate(zip(first.lease_ids, second.lease_ids, strict=True)):
            self._ids[Name(asked.number, position)] = ids
            self._names |= dict.fromkeys(ids, Name(asked.number, position))
        return asked

    def claim(self, asked: Asked) -> list[Given] | Refusal | None:
        async def claim(store: LeaseStore, index: int) -> list[Given] | None:
            store.on_superseded = lambda ended: self._superseded[index].extend(self._given(ended))
            grants = await store.claim(asked.tickets[index])
            return None if grants is None else self._given(grants)

        return self._same(claim)

    def cancel(self, asked: Asked) -> None:
        self._same(lambda store, index: store.cancel(asked.tickets[index]))

    def superseded(self) -> list[Given]:
        """The leases that claims have ended since the last call."""
        first, second = (sorted(given) for given in self._superseded)
        assert first == second, f"in process: {first}, in Redis: {second}"
        self._superseded = [[], []]
        return first

    def find(self, key: str) -> list[Given]:
        async def find(store: LeaseStore, index: int) -> list[Given]:
            return self._given(await store.find(key))

        return self._answer(find)

    def abandon(self, key: str) -> list[Given]:
        async def abandon(store: LeaseStore, index: int) -> list[Given]:
            return self._given(await store.abandon(key))

        return self._answer(abandon)

    def report(self, report: InstanceReport, live: list[Given], ended: list[Name]) -> None:
        """`report` comes without its leases, for their names differ by store."""

        def as_live(given: Given, index: int) -> LiveLease:
            return LiveLease(
                lease_id=self._ids[given.name][index],
                slot=given.slot,
                generation=given.generation,
                share=given.share,
                idempotency_key=given.key,
                batch=self._ids[Name(given.name.ticket, 0)][index],
                expires_in_s=60,
            )

        def said(index: int) -> InstanceReport:
            live_there = [as_live(given, index) for given in live]
            return report.model_copy(update={"live": live_there, "ended": [self._ids[name][index] for name in ended]})

        self._same(lambda store, index: store.report(said(index)))

    def end(self, name: Name) -> None:
        async def end(store: LeaseStore, index: int) -> bool:
            return await store.end(self._ids[name][index]) is not None

        self._same(end)

    def reap(self) -> list[tuple[Name, str]]:
        async def reap(store: LeaseStore, index: int) -> list[tuple[Name, str]]:
            return sorted((self._names[held.lease_id], held.state) for held in await store.reap())

        return self._answer(reap)

    def books(self) -> Books:
        async def books(store: LeaseStore, index: int) -> Books:
            leases = [
                (
                    Given(
                        self._names[held.lease_id],
                        held.instance,
                        held.slot,
                        held.generation,
                        held.share,
                        held.idempotency_key,
                    ),
                    held.state,
                )
                for held in await store.leases()
            ]
            instances = [instance.model_copy(update={"expires_in_s": 0.0}) for instance in await store.instances()]
            return Books(leases, instances, await store.waiting())

        return self._answer(books)

    def advance(self, seconds: float) -> None:
        for turned in self.turned:
            turned.advance(seconds)

    def forget(self) -> None:
        for turned in self.turned:
            turned.forget()

    def close(self) -> None:
        for turned in self.turned:
            self.runner.run(turned.close())
        self.runner.close()

    def _on_both(self, work: Callable[[LeaseStore, int], Awaitable[T]]) -> list[T | Refusal]:
        async def one(store: LeaseStore, index: int) -> T | Refusal:
            try:
                return await work(store, index)
            except BrowserServiceError as error:
                return type(error)

        return [self.runner.run(one(turned.store, index)) for index, turned in enumerate(self.turned)]

    def _same(self, work: Callable[[LeaseStore, int], Awaitable[T]]) -> T | Refusal:
        first, second = self._on_both(work)
        assert first == second, f"in process: {first}, in Redis: {second}"
        return first

    def _answer(self, work: Callable[[LeaseStore, int], Awaitable[T]]) -> Any:
        """The common answer of both stores, which must not be a refusal."""
        outcome = self._same(work)
        assert not isinstance(outcome, type), f"refused with {outcome}"
        return outcome

    def _given(self, grants: list[Grant]) -> list[Given]:
        for grant in grants:
            assert KEY.read(grant.lease_id, grant.token) == LeaseLocation(grant.instance, grant.slot, grant.generation)
        return [
            Given(
                self._names[grant.lease_id],
                grant.instance,
                grant.slot,
                grant.generation,
                grant.request.share,
                grant.request.idempotency_key,
            )
            for grant in grants
        ]
