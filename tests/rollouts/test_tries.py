"""The number of attempts at an episode and their backoff, on a virtual clock."""

import asyncio

import pytest
import virtual_clock

from agent.types import Failure
from rollouts.config import RolloutConfig
from rollouts.tries import LONGEST_PAUSE_S, Tries


def broken(code: str) -> Failure:
    return Failure(side="infra", code=code, message="x", retryable=True)


def test_pauses_grow_to_half_a_minute() -> None:
    async def pauses() -> list[float]:
        tries = Tries(RolloutConfig(max_attempts=20), patience_s=0)
        return [tries.pause_s() for _ in range(19) if tries.another_after(broken("BROWSER_CRASHED"))]

    waited = virtual_clock.run(pauses())
    assert len(waited) == 19 and max(waited) == LONGEST_PAUSE_S and waited[0] <= 0.75


@pytest.mark.parametrize("code", ["NO_CAPACITY", "RATE_LIMITED"])
def test_the_lack_of_a_browser_uses_up_no_try_for_a_while(code: str) -> None:
    async def refused() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        tries, count = Tries(RolloutConfig(max_attempts=3), patience_s=600), 1
        while tries.another_after(broken(code)):
            count += 1
            await asyncio.sleep(100)
        return count, loop.time()

    assert virtual_clock.run(refused()) == (9, 800), "six in the first ten minutes, then the three that it has"


def test_patience_begins_anew_after_another_failure() -> None:
    async def refused() -> list[bool]:
        tries, again = Tries(RolloutConfig(max_attempts=3), patience_s=600), []
        for code in ("NO_CAPACITY", "BROWSER_CRASHED", "NO_CAPACITY", "BROWSER_CRASHED", "BROWSER_CRASHED"):
            again.append(tries.another_after(broken(code)))
            await asyncio.sleep(500)
        return again

    assert virtual_clock.run(refused()) == [True, True, True, True, False]
