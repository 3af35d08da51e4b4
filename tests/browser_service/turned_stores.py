"""Both lease stores on a clock that the test turns, and instances that say what they hold."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import redis
from real_redis import RealRedis

from browser_service.leasing.leases import Grant, InstanceReport, LeaseStore, LiveLease, QueueLimits
from browser_service.leasing.redis_scripts import RedisScripts, lua_source
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.store_redis import RedisStore
from browser_service.leasing.tokens import TierKey
from browser_service.models import LeaseRequest

KEY = TierKey("a-key-of-the-tests-alone")
START_S = 1_000
TIME = "redis.call('TIME')"


class Turned(Protocol):
    """A store and its clock."""

    store: LeaseStore

    def advance(self, seconds: float) -> None:
        """Time passes."""
        ...

    def forget(self) -> None:
        """The store loses everything it knew."""
        ...

    async def close(self) -> None: ...


class TurnedInProcess:
    """Like the other one's, this clock moves by 1 us whenever it is read."""

    def __init__(self, limits: QueueLimits) -> None:
        self.now_us = START_S * 1_000_000
        self.limits = limits
        self.forget()

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    def forget(self) -> None:
        self.store: LeaseStore = InProcessStore(self._tick, KEY.sign, self.limits)

    async def close(self) -> None:
        await self.store.close()

    def _tick(self) -> float:
        self.now_us += 1
        return self.now_us / 1e6


class TurnedRedis:
    """The scripts as they are, but for one expression: the time is a key that the test sets and each script moves by 1 us."""

    def __init__(self, server: RealRedis, limits: QueueLimits) -> None:
        self.prefix = f"{{{uuid.uuid4().hex}}}"
        self.clock = f"{self.prefix}:clock"
        self.client: redis.Redis = server.client
        self.client.set(self.clock, START_S * 1_000_000)
        self.scripts = RedisScripts(server.url, self.prefix, deadline_s=20, source=self._source)
        self.store: LeaseStore = RedisStore(self.scripts, KEY.sign, limits)

    def advance(self, seconds: float) -> None:
        self.client.incrby(self.clock, round(seconds * 1e6))

    def forget(self) -> None:
        for key in self.keys():
            self.client.delete(key)

    def keys(self) -> list[str]:
        """The keys that the store has written, without the prefix before the hash tag's colon."""
        return [str(key) for key in self.client.scan_iter(f"{self.prefix}:*", count=1_000) if key != self.clock]

    async def close(self) -> None:
        await self.store.close()
        self.forget()
        self.client.delete(self.clock)
        self.client.close()

    def _source(self, name: str) -> str:
        text = lua_source(name)
        assert text.count(TIME) == 1
        return text.replace(TIME, f"{{ 0, redis.call('INCR', '{self.clock}') }}")


@asynccontextmanager
async def turned(kind: str, server: RealRedis, limits: QueueLimits | None = None) -> AsyncGenerator[Turned, None]:
    """A store of the kind `in_process` or `redis`."""
    limits = limits or QueueLimits()
    store: Turned = TurnedInProcess(limits) if kind == "in_process" else TurnedRedis(server, limits)
    try:
        yield store
    finally:
        await store.close()


@dataclass
class AnInstance:
    """An instance as the store sees it: it admits grants and reports its leases."""

    store: LeaseStore
    capacity: int = 1
    address: str = "http://127.0.0.1:9000"
    healthy: bool = True
    draining: bool = False
    ttl_s: float = 5.0
    boot: str = "first"
    generation: int = 0
    number: int = 0
    live: dict[str, LiveLease] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    """Sessions that no report ever named."""

    async def admit(self, *grants: Grant) -> None:
        """Opens a browser for each and reports it."""
        for grant in grants:
            assert grant.instance == self.address and grant.slot < self.capacity
            assert grant.slot not in {live.slot for live in self.live.values()}, "the slot is in use"
            assert grant.generation > self.generation, "a generation went back"
            self.generation = grant.generation
            self.live[grant.lease_id] = LiveLease(
                lease_id=grant.lease_id,
                slot=grant.slot,
                generation=grant.generation,
                owner=grant.request.owner,
                share=grant.request.share,
                idempotency_key=grant.request.idempotency_key,
                batch=grant.batch,
                needs_token=grant.needs_token,
                expires_in_s=grant.request.ttl_s,
            )
        await self.report()

    async def finish(self, lease_id: str) -> None:
        """The session is over, and the store hears of it at once."""
        del self.live[lease_id]
        await self.report()

    async def report(self) -> None:
        await self.store.report(self.say())

    def say(self) -> InstanceReport:
        """The report as it is sent."""
        self.number += 1
        return InstanceReport(
            instance=self.address,
            node="http://127.0.0.1:8080",
            capacity=self.capacity,
            healthy=self.healthy,
            draining=self.draining,
            live=list(self.live.values()),
            ended=[lease_id for lease_id in self.ended if lease_id not in self.live],
            generation=self.generation,
            boot=self.boot,
            number=self.number,
            ttl_s=self.ttl_s,
        )


def wanted(
    share: str = "", *, wait_s: float = 0, key: str | None = None, ttl_s: float = 60, owner: str = "test"
) -> LeaseRequest:
    return LeaseRequest(owner=owner, share=share, ttl_s=ttl_s, wait_s=wait_s, idempotency_key=key)


async def lease(store: LeaseStore, request: LeaseRequest | None = None, *, count: int = 1) -> list[Grant]:
    """The grants of a request that need not wait."""
    grants = await store.claim(await store.enqueue(request or wanted(), count=count))
    assert grants is not None, "it has to wait"
    return grants
