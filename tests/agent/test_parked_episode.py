"""An episode that is made to wait between two turns: its deadline stands still meanwhile, and no longer."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from episode_record import TASK, VIEWPORT, EpisodeRecord

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, Watch, play
from agent.types import Answer, Completion, Pictures, Reach, Step, StopReason, Task, Turn
from browser_service.models import Action, Back, Observation, ObserveRequest, StepReply

DEADLINE_S = 2.5


class OnePage:
    """A browser that always shows the same page."""

    lease = SimpleNamespace(instance_id="one:9000")

    async def step(self, action: Action, observe: ObserveRequest, *, deadline_s: float) -> StepReply:
        return StepReply(step_id=1, observation=EpisodeRecord((64, 40)).page, timings_ms={})


class Pool:
    """A pool of such browsers."""

    @asynccontextmanager
    async def lease(self, **options: Any) -> AsyncGenerator[OnePage]:
        yield OnePage()


class Goes:
    """A policy that goes back once and then answers, each turn after its own pause."""

    def __init__(self, *pauses_s: float) -> None:
        self.pauses_s = pauses_s

    async def act(
        self, task: Task, goal: str, history: Sequence[Step], observation: Observation, pictures: Pictures
    ) -> Turn:
        await asyncio.sleep(self.pauses_s[len(history)])
        return Turn(completion=Completion(text=""), action=Answer(text="ok") if history else Back())


@asynccontextmanager
async def serve(task: Task, *, trajectory_id: str) -> AsyncGenerator[Any]:
    async def final_state() -> dict[str, Any]:
        return {}

    yield SimpleNamespace(
        start_url="http://a/", reach=Reach(), login=None, is_over=lambda: False, final_state=final_state
    )


async def played(policy: Goes, may_go_on: Callable[[], Awaitable[None]]) -> Played:
    return await play(
        EpisodeKey(TASK.model_copy(update={"goal": "Go."}), "e1", group="g", member=0, iteration=1),
        EpisodeSetup(
            policy=policy,
            pool=cast(Any, Pool()),
            serve=serve,
            viewport=VIEWPORT,
            config=AgentConfig(episode_deadline_s=DEADLINE_S),
        ),
        watch=Watch(may_go_on=may_go_on),
    )


async def test_an_episode_that_is_parked_for_longer_than_its_deadline_goes_on() -> None:
    async def parked() -> None:
        await asyncio.sleep(1.2 * DEADLINE_S)

    trajectory = (await played(Goes(0, 0), parked)).trajectory
    assert (trajectory.stop, trajectory.failure) == (StopReason.ANSWERED, None)


async def test_what_was_left_of_the_deadline_is_left_after_the_wait() -> None:
    went_on = 0.0

    async def parked() -> None:
        nonlocal went_on
        await asyncio.sleep(0.3)
        went_on = time.monotonic()

    trajectory = (await played(Goes(0.5 * DEADLINE_S, 60), parked)).trajectory
    assert trajectory.failure is not None and trajectory.failure.code == "EPISODE_DEADLINE"
    assert time.monotonic() - went_on < 0.95 * DEADLINE_S  # half of it was left, not all of it
