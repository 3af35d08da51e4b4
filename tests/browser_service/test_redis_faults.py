"""A real Redis that is killed, flushed, paused or slow: nothing new is granted meanwhile, and nothing that runs is lost."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from real_redis import PASSWORD, RealRedis, running_redis
from turned_stores import KEY, AnInstance, lease, wanted

from browser_service.errors import BrowserServiceError, NoCapacity, RegistryDown
from browser_service.leasing.leases import GLANCE_S, LeaseStore, QueueLimits
from browser_service.leasing.redis_scripts import RedisScripts
from browser_service.leasing.store_redis import RedisStore

DEADLINE_S = 2.0
MARGIN_S = 20.0
"""Seconds that a busy machine may add to a deadline."""


@pytest.fixture
def server() -> Generator[RealRedis, None, None]:
    with running_redis() as running:
        yield running


@asynccontextmanager
async def connected(url: str, *, deadline_s: float = DEADLINE_S) -> AsyncGenerator[RedisStore, None]:
    store = RedisStore(RedisScripts(url, "{leases}", deadline_s=deadline_s), KEY.sign, QueueLimits())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(server: RealRedis) -> AsyncGenerator[RedisStore, None]:
    async with connected(server.url) as running:
        yield running


def calls(store: LeaseStore, instance: AnInstance) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Everything that asks Redis."""
    return {
        "enqueue": lambda: store.enqueue(wanted()),
        "find": lambda: store.find("k"),
        "abandon": lambda: store.abandon("k"),
        "report": instance.report,
        "end": lambda: store.end("x"),
        "leases": store.leases,
        "instances": store.instances,
        "waiting": store.waiting,
        "reap": store.reap,
    }


async def expect_outage(store: LeaseStore, instance: AnInstance) -> None:
    """Every call is refused in time, with an error that says what to do."""
    for name, call in calls(store, instance).items():
        began = time.monotonic()
        with pytest.raises(RegistryDown) as refused:
            await call()
        assert time.monotonic() - began < DEADLINE_S + MARGIN_S, f"{name} took too long to give up"
        problem = refused.value.problem()
        assert (problem.status, problem.fault, problem.retryable) == (503, "infra", True)
        assert problem.retry_after_s and PASSWORD not in problem.detail


async def test_a_restart_forgets_everything_and_the_next_report_brings_it_back(
    server: RealRedis, store: RedisStore
) -> None:
    instance = AnInstance(store, 2, ttl_s=60)
    await instance.report()
    [running] = await lease(store, wanted("s", key="k"))
    await instance.admit(running)
    server.kill()
    await expect_outage(store, instance)
    server.start()
    assert await store.leases() == [], "this Redis keeps nothing"
    await instance.report()
    assert list(instance.live) == [running.lease_id], "no running session ends because Redis forgot"
    assert [(held.lease_id, held.state) for held in await store.leases()] == [(running.lease_id, "active")]
    [found] = await store.find("k")
    assert found.token == running.token
    [other] = await lease(store)
    assert other.slot != running.slot and other.generation > running.generation
    with pytest.raises(NoCapacity):
        await lease(store)


async def test_those_in_line_survive_a_flush(server: RealRedis, store: RedisStore) -> None:
    instance = AnInstance(store, 1, ttl_s=60)
    await instance.report()
    [running] = await lease(store)
    await instance.admit(running)
    first = await store.enqueue(wanted(wait_s=60))
    second = await store.enqueue(wanted(wait_s=60))
    with server.client as client:
        client.flushall()
    assert await store.claim(second) is None, "no instance is known"
    assert await store.claim(first) is None
    await instance.report()
    await instance.finish(running.lease_id)
    assert await store.claim(second) is None and await store.claim(first), "the order was lost"


async def test_a_flush_between_grant_and_admission_gives_no_slot_twice(server: RealRedis, store: RedisStore) -> None:
    instance = AnInstance(store, 1, ttl_s=60)
    await instance.report()
    [before] = await lease(store)
    with server.client as client:
        client.flushall()
    await instance.report()
    [after] = await lease(store)
    assert (after.slot, after.generation) == (before.slot, before.generation)
    await instance.admit(before)
    assert [held.lease_id for held in await store.leases()] == [before.lease_id], "the instance is the one who knows"
    assert [held.lease_id for held in await store.reap()] == [after.lease_id]


async def test_a_redis_that_hangs_is_given_up_in_time_and_found_again(server: RealRedis, store: RedisStore) -> None:
    instance = AnInstance(store, 2, ttl_s=60)
    await instance.report()
    [running] = await lease(store)
    await instance.admit(running)
    ticket = await store.enqueue(wanted(wait_s=60), count=2)
    waiting = asyncio.create_task(store.wait(ticket, 60))
    await asyncio.sleep(0.1)
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(RegistryDown):
            await store.claim(ticket)
        assert time.monotonic() - began < DEADLINE_S + MARGIN_S
        refused = await asyncio.gather(*(store.waiting() for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in refused} == {RegistryDown}
        assert time.monotonic() - began < 2 * (DEADLINE_S + MARGIN_S), "calls waited for one another"
    finally:
        server.go_on()
    await instance.report()
    assert [held.lease_id for held in await store.leases()] == [running.lease_id]
    assert await store.claim(ticket) is None
    await instance.finish(running.lease_id)
    async with asyncio.timeout(60):
        await waiting
    assert len(await store.claim(ticket) or []) == 2


async def test_a_waiter_hears_again_after_a_restart(server: RealRedis, store: RedisStore) -> None:
    instance = AnInstance(store, 1, ttl_s=60)
    await instance.report()
    [running] = await lease(store)
    await instance.admit(running)
    ticket = await store.enqueue(wanted(wait_s=60))
    await store.wait(ticket, 0.1)
    server.kill()
    await asyncio.sleep(0.7)  # longer than it takes to notice and to try again
    server.start()
    await instance.report()
    assert await store.claim(ticket) is None
    await asyncio.sleep(1.0)
    waiting = asyncio.create_task(store.wait(ticket, 60))
    await instance.finish(running.lease_id)
    async with asyncio.timeout(GLANCE_S + MARGIN_S):
        await waiting
    assert await store.claim(ticket)


async def test_a_slow_redis_is_only_slow(server: RealRedis, tmp_path: Path) -> None:
    async with (
        slow_way_to(server.socket, tmp_path / "slow.sock", delay_s=0.2) as socket,
        connected(f"unix://{socket}?password={PASSWORD}", deadline_s=20) as store,
    ):
        instance = AnInstance(store, 4, ttl_s=60)
        await instance.report()
        began = time.monotonic()
        grants = await asyncio.gather(*(lease(store) for _ in range(4)))
        assert len({grant.slot for [grant] in grants}) == 4
        assert time.monotonic() - began >= 0.4, "it was not slow"
        await instance.admit(*sorted((grant for [grant] in grants), key=lambda grant: grant.generation))
        assert len(await store.leases()) == 4


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///no/such/socket", "wrong password"])
async def test_a_redis_that_was_never_there(server: RealRedis, url: str) -> None:
    wrong = f"unix://{server.socket}?password=guessed"
    async with connected(wrong if url == "wrong password" else url) as store:
        with pytest.raises(RegistryDown) as refused:
            await store.leases()
        assert "guessed" not in str(refused.value)


async def test_a_redis_that_refuses_writes_is_away(server: RealRedis, store: RedisStore) -> None:
    instance = AnInstance(store, 1, ttl_s=60)
    await instance.report()
    with server.client as client:
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(RegistryDown, match="NOREPLICAS") as refused:
            await store.enqueue(wanted())
        with pytest.raises(RegistryDown, match="NOREPLICAS"):
            await instance.report()
        assert refused.value.problem().status == 503 and refused.value.retry_after_s
        client.config_set("min-replicas-to-write", 0)
    assert len(await lease(store)) == 1, "it is back"


@pytest.mark.parametrize(
    "said",
    [
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_5b): @user_script:1: @user_script: 1: -MISCONF Redis is configured",
    ],
)
async def test_what_a_redis_says_that_can_not_work(server: RealRedis, said: str) -> None:
    unable = RedisScripts(
        server.url, "{leases}", deadline_s=DEADLINE_S, source=lambda name: f"return redis.error_reply({said!r})"
    )
    with pytest.raises(RegistryDown):
        await unable.run("leases")
    await unable.close()


async def test_what_is_wrong_in_a_script_is_no_outage(server: RealRedis) -> None:
    broken = RedisScripts(server.url, "{leases}", deadline_s=DEADLINE_S, source=lambda name: "return nonsense()")
    with pytest.raises(Exception, match="nonsense") as failed:
        await broken.run("leases")
    assert not isinstance(failed.value, BrowserServiceError)
    await broken.close()


async def test_scripts_are_loaded_again_when_redis_lost_them(server: RealRedis, store: RedisStore) -> None:
    assert await store.waiting() == 0
    with server.client as client:
        client.script_flush()
    assert await store.waiting() == 0


async def test_every_key_has_the_hash_tag(server: RealRedis, store: RedisStore) -> None:
    await AnInstance(store, 1, ttl_s=60).report()
    await lease(store, wanted("s", key="k"))
    await store.enqueue(wanted("t", key="l", wait_s=9), count=1)
    with server.client as client:
        assert all(str(key).startswith("{leases}:") for key in client.scan_iter())


@asynccontextmanager
async def slow_way_to(target: Path, socket: Path, *, delay_s: float) -> AsyncGenerator[Path, None]:
    """A way to the server on which every message takes a while."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await asyncio.sleep(delay_s / 2)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(str(target))
        tasks.update(asyncio.create_task(carry(*pair)) for pair in ((reader, back), (there, writer)))

    async with await asyncio.start_unix_server(connect, str(socket)):
        yield socket
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
