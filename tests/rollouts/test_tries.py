"""The number of attempts at an episode, and their backoff."""

import pytest

from agent.types import Failure
from rollouts.config import RolloutConfig
from rollouts.tries import LONGEST_PAUSE_S, Tries


def broken(code: str) -> Failure:
    return Failure(side="infra", code=code, message="x", retryable=True)


def test_pauses_grow_to_half_a_minute() -> None:
    tries = Tries(RolloutConfig(max_attempts=20), patience_s=0)
    waited = [tries.pause_s() for _ in range(19) if tries.another_after(broken("BROWSER_CRASHED"), now=0)]
    assert len(waited) == 19 and max(waited) == LONGEST_PAUSE_S and waited[0] <= 0.75


@pytest.mark.parametrize("code", ["NO_CAPACITY", "RATE_LIMITED"])
def test_the_lack_of_a_browser_uses_up_no_try_for_a_while(code: str) -> None:
    tries, count = Tries(RolloutConfig(max_attempts=3), patience_s=600), 1
    while tries.another_after(broken(code), now=100 * count):
        count += 1
    assert count == 9, "six in the first ten minutes, then the three that it has"


def test_patience_begins_anew_after_another_failure() -> None:
    tries = Tries(RolloutConfig(max_attempts=3), patience_s=600)
    codes = ("NO_CAPACITY", "BROWSER_CRASHED", "NO_CAPACITY", "BROWSER_CRASHED", "BROWSER_CRASHED")
    again = [tries.another_after(broken(code), now=500 * number) for number, code in enumerate(codes)]
    assert again == [True, True, True, True, False]
