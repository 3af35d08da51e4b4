"""Lease store for several masters: each decision is one Lua script on the clock of Redis, so no master's clock matters.

Its data can be lost without harm: after a restart or FLUSHALL the next reports of the instances fill it again, tickets
that still claim return to their position, and live sessions go on.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from browser_service.background import Background
from browser_service.leasing.board import Board
from browser_service.leasing.board_redis import RedisBoard
from browser_service.leasing.leases import (
    CLAIM_GRACE_S,
    TICKET_SILENCE_S,
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
from browser_service.leasing.redis_scripts import RedisScripts
from browser_service.leasing.refusals import abandoned, no_capacity, other_request, queue_full
from browser_service.leasing.superseded import told_to_nobody
from browser_service.leasing.tokens import LeaseLocation
from browser_service.leasing.wakes import Wakes
from browser_service.models import LeaseRequest
from browser_service.models.wire import from_another_version

Row = Sequence[Any]
"""A lease in the form that `ledger.lua` returns."""

_TIMES = (int(CLAIM_GRACE_S * 1e6), int(TICKET_SILENCE_S * 1e6))


class RedisStore:
    """A `LeaseStore` for any number of processes. Every call raises `RegistryDown` while Redis does not answer."""

    def __init__(self, scripts: RedisScripts, sign: Sign, limits: QueueLimits) -> None:
        self.on_superseded: Superseded = told_to_nobody
        self.board: Board = RedisBoard(scripts, _TIMES)
        self._scripts = scripts
        self._sign = sign
        self._limits = limits
        self._wakes = Wakes()
        self._background = Background()
        self._listening: asyncio.Task[None] | None = None

    async def enqueue(self, request: LeaseRequest, *, count: int = 1, needs_token: bool = True) -> Ticket:
        ticket = Ticket(fresh_lease_ids(count), request, needs_token, since_us=0)
        self._wakes.expect(ticket.ticket_id)
        try:
            since = await self._run("enqueue", *_as_args(ticket), self._limits.total, self._limits.per_share)
            if since == "total":
                raise queue_full(self._limits.total, None)
            if since == "share":
                raise queue_full(self._limits.per_share, request.share)
        except BaseException:
            self._wakes.forget(ticket.ticket_id)
            raise
        return Ticket(ticket.lease_ids, request, needs_token, since_us=since)

    async def claim(self, ticket: Ticket) -> list[Grant] | None:
        outcome, *rest = await self._run("claim", *_as_args(ticket), ticket.since_us, ticket.give_up_us)
        if outcome == "waiting":
            return None
        self._wakes.forget(ticket.ticket_id)
        match outcome:
            case "granted":
                granted, superseded = ([self._as_grant(row) for row in rows] for rows in rest)
                if superseded:
                    self.on_superseded(superseded)
                return granted
            case "void":
                raise abandoned()
            case "mismatch":
                raise other_request(ticket, rest[0])
            case _:
                raise no_capacity(ticket, rest[0])

    async def wait(self, ticket: Ticket, timeout_s: float) -> None:
        if self._listening is None:
            self._listening = self._background.start(self._scripts.listen("turns", self._wakes.wake))
        await self._wakes.wait(ticket.ticket_id, timeout_s)

    async def cancel(self, ticket: Ticket) -> None:
        self._wakes.forget(ticket.ticket_id)
        await self._run("cancel", " ".join(ticket.lease_ids))

    async def find(self, idempotency_key: str) -> list[Grant]:
        return [self._as_grant(row) for row in await self._run("find", idempotency_key)]

    async def abandon(self, idempotency_key: str) -> list[Grant]:
        return [self._as_grant(row) for row in await self._run("abandon", idempotency_key)]

    async def report(self, report: InstanceReport) -> None:
        await self._run("report", report.model_dump_json(exclude_none=True))

    async def end(self, lease_id: str) -> HeldLease | None:
        row = await self._run("end", lease_id)
        return _as_held(row) if row else None

    async def leases(self) -> list[HeldLease]:
        leases = [_as_held(row) for row in await self._run("leases")]
        return sorted(leases, key=lambda lease: (lease.instance, lease.slot))

    async def instances(self) -> list[KnownInstance]:
        return sorted(map(_as_instance, await self._run("instances")), key=lambda instance: instance.instance)

    async def waiting(self) -> int:
        return await self._run("waiting")

    async def reap(self) -> list[HeldLease]:
        return [_as_held(json.loads(row)) for row in await self._run("reap")]

    async def close(self) -> None:
        await self._background.cancel()
        await self._scripts.close()

    async def _run(self, name: str, *args: str | int) -> Any:
        return await self._scripts.run(name, *_TIMES, *args)

    def _as_grant(self, row: Row) -> Grant:
        lease = _as_held(row)
        request = LeaseRequest(owner=lease.owner, share=lease.share, idempotency_key=lease.idempotency_key)
        return Grant(
            lease_id=lease.lease_id,
            instance=lease.instance,
            slot=lease.slot,
            generation=lease.generation,
            token=self._sign(lease.lease_id, LeaseLocation(lease.instance, lease.slot, lease.generation)),
            needs_token=lease.needs_token,
            batch=lease.batch,
            request=from_another_version(LeaseRequest, row[11]) if row[11] else request,
        )


def _as_args(ticket: Ticket) -> tuple[str, ...]:
    request = ticket.request
    return (
        " ".join(ticket.lease_ids),
        request.share,
        request.idempotency_key or "",
        request.owner,
        "1" if ticket.needs_token else "0",
        request.model_dump_json(exclude_defaults=True),
    )


def _as_held(row: Row) -> HeldLease:
    lease_id, instance, slot, generation, owner, share, key, needs_token, active, left_us, batch = row[:11]
    return HeldLease(
        lease_id=lease_id,
        slot=int(slot),
        generation=int(generation),
        owner=owner,
        share=share,
        idempotency_key=key or None,
        batch=batch,
        needs_token=needs_token == "1",
        expires_in_s=int(left_us) / 1e6,
        instance=instance,
        state="active" if active == "1" else "granted",
    )


def _as_instance(row: Row) -> KnownInstance:
    instance, node, capacity, healthy, draining, boot, leased, left_us = row
    return KnownInstance(
        instance=instance,
        node=node,
        capacity=int(capacity),
        healthy=healthy == "1",
        draining=draining == "1",
        boot=boot,
        leased=leased,
        expires_in_s=left_us / 1e6,
    )
