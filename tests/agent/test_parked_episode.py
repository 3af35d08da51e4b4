"""An episode that is made to wait between two turns: its deadline stands still meanwhile, and no longer."""

import asyncio
import time

from one_page import Goes, played

from agent.config import AgentConfig
from agent.types import StopReason

DEADLINE_S = 2.5
CONFIG = AgentConfig(episode_deadline_s=DEADLINE_S)


async def test_an_episode_that_is_parked_for_longer_than_its_deadline_goes_on() -> None:
    async def parked() -> None:
        await asyncio.sleep(1.2 * DEADLINE_S)

    trajectory = (await played(Goes(0, 0), parked, config=CONFIG)).trajectory
    assert (trajectory.stop, trajectory.failure) == (StopReason.ANSWERED, None)


async def test_what_was_left_of_the_deadline_is_left_after_the_wait() -> None:
    went_on = 0.0

    async def parked() -> None:
        nonlocal went_on
        await asyncio.sleep(0.3)
        went_on = time.monotonic()

    trajectory = (await played(Goes(0.5 * DEADLINE_S, 60), parked, config=CONFIG)).trajectory
    assert trajectory.failure is not None and trajectory.failure.code == "EPISODE_DEADLINE"
    assert time.monotonic() - went_on < 0.95 * DEADLINE_S  # half of it was left, not all of it
