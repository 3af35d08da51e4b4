"""An episode over a browser that always shows the same page, by a policy that pauses; no model and no Chromium."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from episode_record import TASK, VIEWPORT, EpisodeRecord

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, Watch, play
from agent.types import Answer, Completion, Pictures, Reach, Step, Task, Turn
from browser_service.models import Action, Back, Observation, ObserveRequest, StepReply


class OnePage:
    """A browser that always shows the same page, and keeps what it was asked to show."""

    lease = SimpleNamespace(instance_id="one:9000")

    def __init__(self) -> None:
        self.asked: list[ObserveRequest] = []

    async def step(self, action: Action, observe: ObserveRequest, *, deadline_s: float) -> StepReply:
        self.asked.append(observe)
        return StepReply(step_id=1, observation=EpisodeRecord((64, 40)).page, timings_ms={})


class Pool:
    """A pool of one such browser."""

    def __init__(self) -> None:
        self.browser = OnePage()

    @asynccontextmanager
    async def lease(self, **options: Any) -> AsyncGenerator[OnePage]:
        yield self.browser


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


async def goes_on() -> None:
    """Never parks."""


async def played(
    policy: Goes,
    may_go_on: Callable[[], Awaitable[None]] = goes_on,
    *,
    config: AgentConfig | None = None,
    pool: Pool | None = None,
) -> Played:
    """Plays one episode."""
    return await play(
        EpisodeKey(TASK.model_copy(update={"goal": "Go."}), "e1", group="g", member=0, iteration=1),
        EpisodeSetup(
            policy=policy,
            pool=cast(Any, pool or Pool()),
            serve=serve,
            viewport=VIEWPORT,
            config=config or AgentConfig(),
        ),
        watch=Watch(may_go_on=may_go_on),
    )
