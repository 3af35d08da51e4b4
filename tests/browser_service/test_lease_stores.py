"""The lease stores: the same promises, in process and in Redis, on a clock that the test turns."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator

import pytest
from real_redis import RealRedis, running_redis
from turned_stores import KEY, AnInstance, Turned, TurnedRedis, lease, turned, wanted

from browser_service.errors import LeaseMismatch, NoCapacity, RateLimited
from browser_service.leasing.leases import (
    CLAIM_GRACE_S,
    TICKET_SILENCE_S,
    Grant,
    LeaseStore,
    LiveLease,
    QueueLimits,
    Ticket,
)
from browser_service.leasing.store_in_process import InProcessStore
from browser_service.leasing.store_redis import RedisStore
from browser_service.leasing.tokens import LeaseLocation
from browser_service.models import LeaseRequest

LONG = 600


@pytest.fixture(scope="module")
def server() -> Generator[RealRedis, None, None]:
    with running_redis() as running:
        yield running


@pytest.fixture(params=["in_process", "redis"])
async def clocked(request: pytest.FixtureRequest, server: RealRedis) -> AsyncGenerator[Turned, None]:
    async with turned(request.param, server, QueueLimits(total=6, per_share=4)) as store:
        yield store


@pytest.fixture
def store(clocked: Turned) -> LeaseStore:
    return clocked.store


async def open_instance(store: LeaseStore, capacity: int = 1, address: str = "http://127.0.0.1:9000") -> AnInstance:
    instance = AnInstance(store, capacity, address, ttl_s=LONG)
    await instance.report()
    return instance


async def wait_in_line(store: LeaseStore, share: str = "", *, count: int = 1, key: str | None = None) -> Ticket:
    ticket = await store.enqueue(wanted(share, wait_s=LONG, key=key), count=count)
    assert await store.claim(ticket) is None
    return ticket


async def test_a_slot_is_leased_once_and_again_after_its_end(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [first] = await lease(store)
    await instance.admit(first)
    with pytest.raises(NoCapacity, match="no capacity") as refused:
        await store.claim(await store.enqueue(wanted()))
    assert refused.value.retryable and refused.value.retry_after_s
    await instance.finish(first.lease_id)
    [second] = await lease(store)
    assert (second.instance, second.slot) == (first.instance, first.slot)
    assert second.generation > first.generation and second.token != first.token


async def test_a_grant_says_what_was_asked_for_and_carries_a_signed_token(store: LeaseStore) -> None:
    await open_instance(store, 3)
    asked = LeaseRequest(owner="o", share="s", sites=["shop.test:80"], blocked_hosts=["ads.test"], wait_s=3)
    [grant] = await store.claim(await store.enqueue(asked, needs_token=False)) or []
    assert grant.request == asked and not grant.needs_token
    assert KEY.read(grant.lease_id, grant.token) == LeaseLocation(grant.instance, grant.slot, grant.generation)


async def test_the_emptiest_instance_is_given_first(store: LeaseStore) -> None:
    for address, capacity in (("http://a", 1), ("http://b", 3)):
        await open_instance(store, capacity, address)
    instances = [grant.instance for grant in await lease(store, count=4)]
    assert instances == ["http://b", "http://b", "http://a", "http://b"]


async def test_the_wait_ends_with_no_capacity(clocked: Turned, store: LeaseStore) -> None:
    instance = await open_instance(store)
    await instance.admit(*await lease(store))
    ticket = await store.enqueue(wanted(wait_s=4))
    clocked.advance(3.9)
    assert await store.claim(ticket) is None
    clocked.advance(0.2)
    with pytest.raises(NoCapacity, match=r"1 slots stayed leased for the 4 s"):
        await store.claim(ticket)
    assert await store.waiting() == 0


async def test_first_come_first_served_within_a_share(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    first, second = await wait_in_line(store), await wait_in_line(store)
    await instance.finish(held.lease_id)
    assert await store.claim(second) is None, "the slot belongs to the one ahead"
    got = await store.claim(first)
    assert got
    await instance.admit(*got)
    await instance.finish(got[0].lease_id)
    assert await store.claim(second)


async def test_free_slots_go_to_the_share_that_holds_the_fewest(store: LeaseStore) -> None:
    instance = await open_instance(store, 4)
    held = await lease(store, wanted("greedy"), count=4)
    await instance.admit(*held)
    tickets = [await wait_in_line(store, share) for share in ("greedy", "greedy", "modest", "modest", "third")]
    served = []
    for grant in held:
        await instance.finish(grant.lease_id)
        for ticket in list(tickets):
            if got := await store.claim(ticket):
                await instance.admit(*got)
                tickets.remove(ticket)
                served.append(ticket.request.share)
    # 3, 0, 0 held -> modest came first; 2, 1, 0 -> third; 1, 1, 1 -> greedy came first; 1, 1, 1 with the last one ended.
    assert served == ["modest", "third", "greedy", "greedy"]


async def test_one_who_left_the_queue_blocks_nobody(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    left, last = await wait_in_line(store), await wait_in_line(store)
    await store.cancel(left)
    await store.cancel(left)
    await instance.finish(held.lease_id)
    assert await store.claim(last)


async def test_what_was_given_but_not_claimed_goes_to_the_next_when_its_ticket_leaves(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    left, last = await wait_in_line(store), await wait_in_line(store)
    await instance.finish(held.lease_id)
    assert [live.lease_id for live in await store.leases()] == [left.ticket_id]
    await store.cancel(left)
    grants = await store.claim(last)
    assert grants
    await store.cancel(last)
    assert await store.claim(last) == grants, "leaving the line must not end what was claimed"


async def test_a_silent_ticket_leaves_the_line_and_returns_to_where_it_stood(
    clocked: Turned, store: LeaseStore
) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    silent, asking = await wait_in_line(store), await wait_in_line(store)
    clocked.advance(TICKET_SILENCE_S - 1)
    assert await store.claim(asking) is None
    clocked.advance(2)
    assert await store.waiting() == 1
    assert await store.claim(silent) is None
    assert await store.waiting() == 2
    await instance.finish(held.lease_id)
    assert await store.claim(asking) is None and await store.claim(silent)


async def test_a_full_queue_refuses_with_429(store: LeaseStore) -> None:
    instance = await open_instance(store)
    await instance.admit(*await lease(store, wanted("other", key="mine")))
    waiting = [await wait_in_line(store, "a") for _ in range(4)]
    with pytest.raises(RateLimited, match="'a'") as refused:
        await store.enqueue(wanted("a"))
    assert refused.value.status == 429 and refused.value.retry_after_s
    for _ in range(2):
        await wait_in_line(store, "b")
    with pytest.raises(RateLimited, match="6 requests"):
        await store.enqueue(wanted("c"))
    assert await lease(store, wanted("a", key="mine")), "who has a lease already needs no place in the queue"
    await store.cancel(waiting[0])
    assert await store.enqueue(wanted("c"))


async def test_a_batch_gets_all_or_nothing_and_keeps_what_comes_free(store: LeaseStore) -> None:
    instance = await open_instance(store, 3)
    held = await lease(store, wanted("group"), count=3)
    await instance.admit(*held)
    batch = await wait_in_line(store, "group", count=2)
    await instance.finish(held[0].lease_id)
    modest = await wait_in_line(store, "modest")  # holds fewer leases, but the batch was next and stays it
    assert await store.claim(batch) is None
    assert len(await store.leases()) == 2, "half a batch was given"
    await instance.finish(held[1].lease_id)
    grants = await store.claim(batch)
    assert grants and len({(grant.instance, grant.slot) for grant in grants}) == 2
    await instance.admit(*grants)
    await instance.finish(held[2].lease_id)
    assert await store.claim(modest)


async def test_a_batch_that_leaves_frees_what_it_kept(store: LeaseStore) -> None:
    instance = await open_instance(store, 2)
    held = await lease(store, count=2)
    await instance.admit(*held)
    batch, single = await wait_in_line(store, count=2), await wait_in_line(store)
    await instance.finish(held[0].lease_id)
    assert await store.claim(single) is None
    await store.cancel(batch)
    assert await store.claim(single)


async def test_a_batch_larger_than_all_places_is_passed_over(clocked: Turned, store: LeaseStore) -> None:
    await open_instance(store, 2)
    batch = await store.enqueue(wanted("a", wait_s=3), count=3)
    assert await store.claim(batch) is None
    assert await lease(store, wanted("a"))
    clocked.advance(3)
    with pytest.raises(NoCapacity, match="3 browsers were asked for and the open instances have 2 slots"):
        await store.claim(batch)


async def test_a_batch_that_no_longer_fits_keeps_nothing_from_the_others(store: LeaseStore) -> None:
    here, there = await open_instance(store, 2, "http://a"), await open_instance(store, 1, "http://b")
    held = await lease(store, count=3)
    await here.admit(*(grant for grant in held if grant.instance == here.address))
    await there.admit(*(grant for grant in held if grant.instance == there.address))
    batch = await wait_in_line(store, count=3)
    await here.finish(next(iter(here.live)))
    single = await wait_in_line(store)
    there.ttl_s = 0
    await there.report()
    assert await store.claim(batch) is None and await store.claim(single)


async def test_a_batch_that_lost_an_instance_before_it_was_claimed_waits_for_all_again(
    clocked: Turned, store: LeaseStore
) -> None:
    here, there = await open_instance(store, 1, "http://a"), AnInstance(store, 1, "http://b", ttl_s=1)
    await there.report()
    ticket = await store.enqueue(wanted(wait_s=LONG), count=2)
    assert len(await store.leases()) == 2
    clocked.advance(1.5)
    assert await store.claim(ticket) is None
    assert await store.leases() == []
    await there.report()
    grants = await store.claim(ticket)
    assert grants and {grant.instance for grant in grants} == {here.address, there.address}


async def test_the_same_idempotency_key_gets_the_same_leases(store: LeaseStore) -> None:
    instance = await open_instance(store, 4)
    grants = await lease(store, wanted(key="k"), count=2)
    assert await lease(store, wanted(key="k"), count=2) == grants == await store.find("k")
    await instance.admit(*grants)
    assert await lease(store, wanted(key="k"), count=2) == grants
    with pytest.raises(LeaseMismatch, match="another key"):
        await lease(store, wanted(key="k"), count=3)
    await instance.finish(grants[0].lease_id)
    with pytest.raises(LeaseMismatch, match="1 live leases"):
        await lease(store, wanted(key="k"), count=2)
    assert await store.find("other") == []


async def two_answers(store: LeaseStore, count: int = 1) -> tuple[AnInstance, AnInstance, list[Grant], list[Grant]]:
    """The key "k" has an answer at each of two instances: the first was forgotten while its instance was silent."""
    first, second = await open_instance(store, 3, "http://a"), AnInstance(store, 3, "http://b", ttl_s=LONG)
    earlier = await lease(store, wanted(key="k"), count=count)
    await first.admit(*earlier)
    first.ttl_s = 0
    await first.report()
    await second.report()
    later = await lease(store, wanted(key="k"), count=count)
    first.ttl_s = LONG
    await first.report()
    assert {held.lease_id for held in await store.leases()} == {grant.lease_id for grant in (*earlier, *later)}
    return first, second, earlier, later


@pytest.mark.parametrize("count", [1, 2])
async def test_of_two_answers_to_one_key_the_one_given_last_is_kept(store: LeaseStore, count: int) -> None:
    ended = list[Grant]()
    store.on_superseded = ended.extend
    first, second, earlier, later = await two_answers(store, count)
    await second.admit(*later)
    with pytest.raises(LeaseMismatch):
        await lease(store, wanted(key="k"), count=3)
    assert ended == [], "a request of another size ends nothing"
    assert await lease(store, wanted(key="k"), count=count) == later
    assert {grant.lease_id for grant in ended} == {grant.lease_id for grant in earlier}
    assert {grant.instance for grant in ended} == {first.address}, "the instance is told which of its leases are over"
    assert {held.lease_id for held in await store.leases()} == {grant.lease_id for grant in later}
    await first.report()  # it had not been told yet: the next request ends them again
    assert await lease(store, wanted(key="k"), count=count) == later
    assert len(ended) == 2 * count


async def test_of_two_reported_answers_to_one_key_the_one_used_last_is_kept(clocked: Turned, store: LeaseStore) -> None:
    first, second, earlier, later = await two_answers(store)
    await second.admit(*later)
    clocked.forget()
    ended = list[Grant]()
    clocked.store.on_superseded = ended.extend
    for instance, left_s in ((second, 20), (first, 50)):
        instance.store = clocked.store
        for lease_id, live in instance.live.items():
            instance.live[lease_id] = live.model_copy(update={"expires_in_s": left_s})
        await instance.report()
    [kept] = await lease(clocked.store, wanted(key="k"))
    assert [kept.lease_id] == [grant.lease_id for grant in earlier]
    assert [grant.lease_id for grant in ended] == [grant.lease_id for grant in later]


async def test_a_live_answer_is_kept_before_a_grant_that_nobody_heard_of(store: LeaseStore) -> None:
    first, second = await open_instance(store, 1, "http://a"), AnInstance(store, 1, "http://b", ttl_s=LONG)
    [live] = await lease(store, wanted(key="k"))
    await first.admit(live)
    first.ttl_s = 0
    await first.report()
    await second.report()
    ticket = await store.enqueue(wanted(key="k"))
    assert [held.lease_id for held in await store.leases()] == [ticket.ticket_id]
    first.ttl_s = LONG
    await first.report()
    [kept] = await store.claim(ticket) or []
    assert kept.lease_id == live.lease_id
    assert [held.lease_id for held in await store.leases()] == [live.lease_id]


async def test_two_requests_with_one_key_wait_for_one_lease(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    first, again, other = [await wait_in_line(store, key=key) for key in ("k", "k", None)]
    await instance.finish(held.lease_id)
    grants = await store.claim(again)
    assert grants and await store.claim(first) == grants
    await instance.admit(*grants)
    assert await store.claim(other) is None
    await instance.finish(grants[0].lease_id)
    assert await store.claim(other)


async def test_abandoning_a_key_ends_its_leases_and_voids_its_tickets(clocked: Turned, store: LeaseStore) -> None:
    instance = await open_instance(store)
    grants = await lease(store, wanted(key="held"))
    await instance.admit(*grants)
    waiting = await wait_in_line(store, key="waiting")
    assert await store.abandon("waiting") == []
    assert await store.waiting() == 0
    assert await store.abandon("held") == grants
    assert await store.leases() == []
    with pytest.raises(NoCapacity, match="abandoned"):
        await store.claim(waiting)
    assert (await lease(store, wanted(key="held")))[0].lease_id != grants[0].lease_id


async def test_abandoning_what_was_given_but_not_claimed_keeps_it_from_being_claimed(store: LeaseStore) -> None:
    await open_instance(store)
    ticket = await store.enqueue(wanted(key="k"))
    assert [grant.lease_id for grant in await store.abandon("k")] == [ticket.ticket_id]
    with pytest.raises(NoCapacity, match="abandoned"):
        await store.claim(ticket)


async def test_a_grant_that_nobody_takes_up_is_forgotten(clocked: Turned, store: LeaseStore) -> None:
    instance = await open_instance(store, 2)
    ticket = await store.enqueue(wanted())
    clocked.advance(CLAIM_GRACE_S - 1)
    [claimed] = await store.claim(ticket) or []
    clocked.advance(CLAIM_GRACE_S - 1)
    assert [held.state for held in await store.leases()] == ["granted"], "a claim gives its instance time to report it"
    [admitted] = await lease(store)
    await instance.admit(admitted)
    assert {held.lease_id for held in await store.leases()} == {claimed.lease_id, admitted.lease_id}
    clocked.advance(2)
    assert [(held.lease_id, held.state) for held in await store.reap()] == [(claimed.lease_id, "granted")]
    assert await store.reap() == []
    clocked.advance(300)
    assert [(held.lease_id, held.state) for held in await store.leases()] == [(admitted.lease_id, "active")]


async def test_a_lease_that_its_instance_no_longer_reports_is_over(store: LeaseStore) -> None:
    instance = await open_instance(store, 2)
    admitted, on_its_way = await lease(store, count=2)
    await instance.admit(admitted)
    await instance.finish(admitted.lease_id)
    assert [held.lease_id for held in await store.leases()] == [on_its_way.lease_id]
    assert await store.reap() == [], "its instance said so itself"


async def test_a_lease_that_ended_before_any_report_named_it_is_over_at_once(store: LeaseStore) -> None:
    instance, other = await open_instance(store, 1, "http://a"), await open_instance(store, 0, "http://b")
    [short] = await lease(store)
    other.ended = [short.lease_id]
    await other.report()
    assert len(await store.leases()) == 1, "another instance has no say in it"
    late = instance.say().model_copy(update={"ended": [short.lease_id]})
    await instance.report()
    await store.report(late)
    assert await store.leases() == []
    assert await lease(store)


async def test_a_lease_that_the_store_does_not_know_is_taken_in(clocked: Turned, store: LeaseStore) -> None:
    instance = await open_instance(store, 2)
    [grant] = await lease(store, wanted("s", key="k", owner="me"))
    await instance.admit(grant)
    clocked.forget()
    store = instance.store = clocked.store
    await instance.report()
    [held] = await store.leases()
    assert (held.lease_id, held.slot, held.generation, held.state) == (grant.lease_id, grant.slot, 1, "active")
    [found] = await store.find("k")
    assert found.token == grant.token
    assert (found.request.owner, found.request.share, found.request.idempotency_key) == ("me", "s", "k")
    [other] = await lease(store)
    assert other.slot != grant.slot


async def test_generations_do_not_go_back_when_the_store_forgets(clocked: Turned, store: LeaseStore) -> None:
    instance = await open_instance(store)
    for _ in range(3):
        [grant] = await lease(store)
        await instance.admit(grant)
        await instance.finish(grant.lease_id)
    clocked.forget()
    instance.store = clocked.store
    await instance.report()
    assert (await lease(clocked.store))[0].generation == 4


async def test_generations_do_not_go_back_when_an_instance_starts_again(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [grant] = await lease(store)
    await instance.admit(grant)
    again = AnInstance(store, boot="second", ttl_s=LONG)
    await again.report()
    assert await store.leases() == []
    assert (await lease(store))[0].generation == 2


async def test_an_instance_wins_over_a_grant_for_a_slot_that_it_holds(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [granted] = await lease(store)
    instance.live["older"] = LiveLease(lease_id="older", slot=0, generation=granted.generation, expires_in_s=9)
    await instance.report()
    assert [held.lease_id for held in await store.leases()] == ["older"]
    assert [held.lease_id for held in await store.reap()] == [granted.lease_id]


async def test_a_report_that_was_overtaken_changes_nothing(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [first] = await lease(store)
    before = instance.say()
    await instance.admit(first)
    while_it_lived = instance.say()
    await store.report(before)
    assert [held.state for held in await store.leases()] == ["active"]
    await instance.finish(first.lease_id)
    await store.report(while_it_lived)
    assert await store.leases() == []


async def test_a_lease_that_ended_while_the_report_was_on_its_way_takes_no_slot_from_the_next(
    store: LeaseStore,
) -> None:
    instance = await open_instance(store)
    [first] = await lease(store)
    await instance.admit(first)
    on_its_way = instance.say()
    ended = await store.end(first.lease_id)
    assert ended and ended.lease_id == first.lease_id
    assert await store.end(first.lease_id) is None
    [second] = await lease(store)
    await store.report(on_its_way)
    assert [held.lease_id for held in await store.leases()] == [second.lease_id]


async def test_an_instance_that_does_not_report_is_gone_and_comes_back_with_its_leases(
    clocked: Turned, store: LeaseStore
) -> None:
    instance = AnInstance(store, 2, ttl_s=5)
    await instance.report()
    [grant] = await lease(store, wanted("s"))
    await instance.admit(grant)
    clocked.advance(6)
    assert await store.instances() == [] and await store.leases() == []
    assert [(held.lease_id, held.state) for held in await store.reap()] == [(grant.lease_id, "active")]
    with pytest.raises(NoCapacity, match="0 slots"):
        await lease(store)
    await instance.report()
    assert [held.lease_id for held in await store.leases()] == [grant.lease_id]
    assert (await lease(store))[0].slot != grant.slot


async def test_an_instance_says_goodbye(store: LeaseStore) -> None:
    instance = await open_instance(store)
    await instance.admit(*await lease(store))
    instance.ttl_s = 0
    await instance.report()
    assert await store.instances() == [] and await store.leases() == []


@pytest.mark.parametrize("closed", ["healthy", "draining"])
async def test_a_closed_instance_keeps_its_leases_and_gets_no_more(store: LeaseStore, closed: str) -> None:
    instance = await open_instance(store, 2)
    [grant] = await lease(store)
    setattr(instance, closed, closed == "draining")
    await instance.admit(grant)
    [known] = await store.instances()
    assert (known.leased, known.available, known.healthy, known.draining) == (1, 0, instance.healthy, instance.draining)
    assert len(await store.leases()) == 1
    with pytest.raises(NoCapacity):
        await lease(store)
    setattr(instance, closed, closed == "healthy")
    await instance.report()
    assert await lease(store)


async def test_an_instance_that_shrinks_keeps_what_it_holds(store: LeaseStore) -> None:
    instance = await open_instance(store, 3)
    grants = await lease(store, count=3)
    await instance.admit(*grants)
    instance.capacity = 1
    await instance.finish(grants[0].lease_id)
    assert len(await store.leases()) == 2
    assert (await lease(store))[0].slot == 0
    with pytest.raises(NoCapacity):
        await lease(store)


async def test_whoever_waits_is_woken(store: LeaseStore) -> None:
    instance = await open_instance(store)
    [held] = await lease(store)
    await instance.admit(held)
    ticket = await wait_in_line(store)
    began = time.monotonic()
    await store.wait(ticket, 0.05)
    assert time.monotonic() - began < 30, "nothing came free, and still it waited on"
    woken = asyncio.create_task(store.wait(ticket, 60))
    await asyncio.sleep(0.2)
    assert not woken.done()
    await instance.finish(held.lease_id)
    async with asyncio.timeout(60):
        await woken
    assert await store.claim(ticket)


@pytest.mark.parametrize("name", ["a b", "{x}:y", "日本\n🙂", "0", "%s", "'; return 1 --", "null"])
async def test_names_may_be_any_text(store: LeaseStore, name: str) -> None:
    instance = await open_instance(store)
    [grant] = await lease(store, wanted(name, key=name, owner=name))
    await instance.admit(grant)
    [held] = await store.leases()
    assert (held.owner, held.share, held.idempotency_key) == (name, name, name)
    assert await store.find(name) == [grant]
    waiting = await wait_in_line(store, name)
    assert await store.abandon(name) == [grant]
    assert await store.claim(waiting)


async def test_redis_keeps_nothing_of_what_is_over(server: RealRedis) -> None:
    async with turned("redis", server) as clocked:
        assert isinstance(clocked, TurnedRedis)
        store = clocked.store
        instance = AnInstance(store, 2, ttl_s=5)
        await instance.report()
        before = {*clocked.keys(), f"{clocked.prefix}:generations"}
        grants = await lease(store, wanted("s", key="k"), count=2)
        await instance.admit(*grants)
        waiting = [await wait_in_line(store, share, key=key, count=2) for share, key in (("t", "l"), ("u", None))]
        await instance.finish(grants[0].lease_id)
        await store.cancel(waiting[0])
        await instance.finish(grants[1].lease_id)
        clocked.advance(CLAIM_GRACE_S + 1)
        await instance.report()
        await store.reap()
        assert set(clocked.keys()) == before
        clocked.advance(6)
        await store.reap()
        assert clocked.keys() == [f"{clocked.prefix}:generations"]


async def test_two_masters_share_one_redis(server: RealRedis) -> None:
    async with turned("redis", server) as clocked:
        assert isinstance(clocked, TurnedRedis)
        here, there = clocked.store, RedisStore(clocked.scripts, KEY.sign, QueueLimits())
        instance = await open_instance(here)
        [grant] = await lease(there, wanted(key="k"))
        assert await lease(here, wanted(key="k")) == [grant]
        await instance.admit(grant)
        ticket = await wait_in_line(there)
        woken = asyncio.create_task(there.wait(ticket, 60))
        await asyncio.sleep(0.2)
        await instance.finish(grant.lease_id)
        async with asyncio.timeout(60):
            await woken
        assert await there.claim(ticket)
        await there.close()


async def test_a_clock_that_jumps_ends_no_lease(server: RealRedis) -> None:
    async with turned("redis", server) as clocked:
        store = clocked.store
        instance = AnInstance(store, 2, ttl_s=5)
        await instance.report()
        admitted, lost = await lease(store, count=2)
        await instance.admit(admitted)
        for jump in (3_600, -7_200):
            clocked.advance(jump)
            await instance.report()
            assert admitted.lease_id in {held.lease_id for held in await store.leases()}
        clocked.advance(CLAIM_GRACE_S + 1)
        await instance.report()
        assert {held.lease_id for held in await store.leases()} == {admitted.lease_id}, lost
        clocked.advance(601)
        assert await store.instances() == [], "an instance that is gone stays no longer for a clock that was set back"


async def test_tickets_of_the_same_microsecond_keep_their_order() -> None:
    store = InProcessStore(lambda: 5.0, KEY.sign, QueueLimits())
    tickets = [await store.enqueue(wanted(wait_s=LONG)) for _ in range(20)]
    instance = await open_instance(store)
    for ticket in tickets:
        grants = await store.claim(ticket)
        assert grants, "somebody else was served first"
        await instance.admit(*grants)
        await instance.finish(grants[0].lease_id)
