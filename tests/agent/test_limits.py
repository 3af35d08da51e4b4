"""Limits by kind of call: never more at once than allowed, never stuck."""

import asyncio

import pytest

from agent.limits import CallLimits, Gates, Kind, kinds_of, shares
from browser_service.models import ClickId, Observe, ObserveRequest, VisitPage


async def most_at_once(gates: Gates, *kinds: Kind, calls: int = 12) -> int:
    now = most = 0

    async def call() -> None:
        nonlocal now, most
        async with gates.passed(*kinds):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(call() for _ in range(calls)))
    return most


async def test_each_kind_has_its_own_limit() -> None:
    gates = Gates(CallLimits(model=3, navigate=1))
    assert await most_at_once(gates, "model") == 3
    assert await most_at_once(gates, "navigate") == 1
    assert await most_at_once(gates, "execute") == 12
    assert await most_at_once(gates, "model", "navigate", "screenshot") == 1


async def test_parts_of_a_limit_add_up_to_it() -> None:
    parts = [CallLimits(model=7, navigate=3).part([2, 1], number) for number in (0, 1)]
    assert parts == [CallLimits(model=5, navigate=2), CallLimits(model=2, navigate=1)]
    assert [await most_at_once(Gates(part), "model") for part in parts] == [5, 2]


@pytest.mark.parametrize(
    ("total", "weights", "dealt"),
    [
        (8, [1, 1, 1], [3, 3, 2]),
        (9, [2, 1], [6, 3]),
        (7, [0.5, 0.5], [4, 3]),
        (5, [100, 1, 1], [3, 1, 1]),
        (10, [0.7, 0.2, 0.1], [7, 2, 1]),
        (1, [1, 1], [1, 1]),
    ],
)
def test_what_is_shared_adds_up_and_each_has_one(total: int, weights: list[float], dealt: list[int]) -> None:
    assert shares(total, weights) == dealt


async def test_calls_of_several_kinds_do_not_wait_for_one_another_for_ever() -> None:
    gates = Gates(CallLimits(screenshot=1, execute=1))
    orders: list[tuple[Kind, Kind]] = [("screenshot", "execute"), ("execute", "screenshot")]
    async with asyncio.timeout(10):
        await asyncio.gather(*(most_at_once(gates, *order, calls=20) for order in orders))


def test_a_step_passes_the_gates_of_all_that_it_does() -> None:
    everything = ObserveRequest(screenshot=True, marks=True, ax_tree=True)
    assert set(kinds_of(ClickId(id=1), everything)) == {"execute", "screenshot", "metadata", "text"}
    nothing = ObserveRequest(screenshot=False, marks=False)
    assert kinds_of(VisitPage(url="http://a.test"), nothing) == ["navigate"]
    assert kinds_of(Observe(), nothing) == []
