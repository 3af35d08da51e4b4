"""Episodes that are driven from outside, many at once in one event loop; servers and other frameworks are made of it.

    async with EpisodeHost(world, tasks=tasks, browsers=url) as host:
        episode = await host.begin(task="click-button.7")
        while not (moment := await episode.step(action)).is_over: ...

The same loop as in training (`SteppedEpisode`), so steps, faults and ends are the same. `WebEnv` is this for programs
without an event loop.
"""

import base64
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, play
from agent.episodes.episode_record import by_reference
from agent.failures import EpisodeFailure, failed
from agent.gym.stepped import Pause, SteppedEpisode
from agent.judging.verifier import Check, verdict_of
from agent.types import Policy, Site, Step, StopReason, Task, Trajectory, Turn
from agent.verdict import Verdict
from browser_service.client import BrowserPool
from browser_service.models import Observation, Screenshot, Viewport


class World(Protocol):
    """Serves and judges tasks; `environments.base.Environment` fits. Entered once, in the event loop of its episodes."""

    viewport: Viewport

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def serve(self, task: Task, *, trajectory_id: str) -> AbstractAsyncContextManager[Site]:
        """Serves a fresh site for one episode."""
        ...

    async def check(self, trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
        """Returns the verdict about an episode from the environment's record of the site."""
        ...


class Tasks(Protocol):
    """Source of the tasks of episodes."""

    def draw(self, rng: np.random.Generator) -> Task:
        """Draws a task at random; the same generator state gives the same task."""
        ...

    def find(self, task_id: str) -> Task:
        """Returns the task with this id. Raises ValueError if there is none."""
        ...


class Moment(NamedTuple):
    """The page after an action, and at the end the reward."""

    task: Task
    goal: str
    observation: Observation
    """The page; its picture is a reference."""
    picture: bytes
    """The picture, encoded."""
    last: Step | None
    """The step before; None at the start."""
    trajectory: Trajectory | None = None
    """The whole episode, once it is over."""
    verdict: Verdict | None = None
    """The verdict about it, with a reward."""

    @property
    def is_over(self) -> bool:
        """True if the episode has ended."""
        return self.trajectory is not None

    @property
    def is_truncated(self) -> bool:
        """True if it ended because its step budget is used up."""
        return self.trajectory is not None and self.trajectory.stop is StopReason.MAX_STEPS

    @property
    def reward(self) -> float:
        """0 before the end, then the verdict's."""
        return 0.0 if self.verdict is None or self.verdict.reward is None else self.verdict.reward

    @property
    def feedback(self) -> str:
        """The effect of the last action, as text for the agent: the reason of its failure, or the changes on the page."""
        return "" if self.last is None else self.last.feedback or self.last.effect


class EpisodeHost:
    """A world with its browsers. Use as `async with`; every episode has a browser of its own."""

    def __init__(
        self,
        world: World,
        *,
        tasks: Tasks,
        browsers: str,
        api_key: str | None = None,
        config: AgentConfig | None = None,
        check: Check | None = None,
        reuse: str | None = None,
    ) -> None:
        """`browsers` is the address of a browser service; `check` replaces the world's; `reuse`: see `LeaseRequest`."""
        self._world, self.tasks, self._check = world, tasks, check or world.check
        self._config, self._reuse = with_marks(config or AgentConfig()), reuse
        self._browsers, self._api_key = browsers, api_key
        self._stack = AsyncExitStack()
        self._pool: BrowserPool | None = None
        self._episodes: set[HostedEpisode] = set()
        self._begun = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._world)
            self._pool = await stack.enter_async_context(BrowserPool(self._browsers, self._api_key))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for episode in tuple(self._episodes):
            await episode.close()
        await self._stack.aclose()

    async def begin(self, *, task: str | None = None, seed: int | None = None) -> "HostedEpisode":
        """Begins an episode of the task with this id, or of one drawn by the seed (None: any).

        Raises `EpisodeFailure` when no browser or start page is available, ValueError for an unknown task.
        """
        assert self._pool is not None, "a host is entered before an episode begins"
        chosen = self.tasks.draw(np.random.default_rng(seed)) if task is None else self.tasks.find(task)
        self._begun += 1
        slot = EpisodeKey(chosen, f"hosted-{chosen.id}-{self._begun:06d}", group=chosen.id, member=0, iteration=0)
        pool = self._pool

        async def played(policy: Policy) -> Played:
            setup = EpisodeSetup(
                policy=policy,
                pool=pool,
                serve=self._world.serve,
                viewport=self._world.viewport,
                config=self._config,
                reuse=self._reuse,
            )
            return await play(slot, setup)

        episode = HostedEpisode(chosen, SteppedEpisode(played), self._check)
        self._episodes.add(episode)
        episode.ended = self._episodes.discard
        await episode.open()
        return episode


class HostedEpisode:
    """One episode. Calls come one after the other, from the host's event loop."""

    def __init__(self, task: Task, stepped: SteppedEpisode, check: Check) -> None:
        self.task = task
        self.ended: Callable[[HostedEpisode], None] = lambda episode: None
        self._stepped, self._check = stepped, check
        self._now: Moment | None = None

    @property
    def now(self) -> Moment:
        """The page as the agent sees it now."""
        assert self._now is not None, "an episode is opened first"
        return self._now

    async def open(self) -> Moment:
        """Plays until the first turn is needed. Raises `EpisodeFailure`."""
        return await self._arrived(await self._guarded(self._stepped.begin()))

    async def step(self, turn: Turn) -> Moment:
        """Acts, and looks at the page. Raises `EpisodeFailure` when anything but the agent broke, ValueError at the end."""
        if self.now.is_over:
            raise ValueError(f"the episode of task {self.task.id} is over; begin another one")
        return await self._arrived(await self._guarded(self._stepped.step(turn)))

    async def close(self) -> None:
        """Ends the episode: its browser and its site are given back. Repeated calls do nothing."""
        await self._stepped.stop()
        self.ended(self)

    async def _guarded(self, turn: Coroutine[Any, Any, Pause | Played]) -> Pause | Played:
        try:
            return await turn
        except BaseException:
            await self.close()
            raise

    async def _arrived(self, found: Pause | Played) -> Moment:
        if isinstance(found, Played):
            self.ended(self)
            self._now = await self._over(found)
        else:
            page = found.observation
            self._now = Moment(self.task, found.goal, by_reference(page), await self._picture(page), found.last)
        return self._now

    async def _over(self, played: Played) -> Moment:
        trajectory = played.trajectory
        page, failure = trajectory.final_observation, trajectory.failure
        if failure is not None and failure.side != "policy":
            raise EpisodeFailure(failure)
        if page is None or page.screenshot is None:
            raise failed("infra", "NO_PICTURE", f"{trajectory.id} ended without a picture of the page", retryable=True)
        verdict = await verdict_of(self._check, trajectory)
        if verdict.reward is None:
            raise failed("judge", "UNJUDGED", f"{trajectory.id}: {verdict.evidence}", retryable=False)
        last = trajectory.steps[-1] if trajectory.steps else None
        picture = played.images[page.screenshot.sha256]
        return Moment(self.task, trajectory.goal, page, picture, last, trajectory, verdict)

    async def _picture(self, page: Observation) -> bytes:
        shot: Screenshot | None = page.screenshot
        if shot is None or shot.data is None:
            await self.close()
            raise failed("infra", "NO_PICTURE", f"{self.task.id}: the page came without a picture", retryable=True)
        return base64.b64decode(shot.data)


def with_marks(config: AgentConfig) -> AgentConfig:
    """Always lists elements; draws them into the picture where the configuration wants marks."""
    draws = config.draw_marks and config.interaction_mode == "set_of_marks"
    return config.model_copy(update={"interaction_mode": "set_of_marks", "draw_marks": draws})


def elements_of(observation: Observation) -> str:
    """The page's elements as lines of text. Example: `[3] button "ok"`."""
    return "\n".join(
        f'[{mark.id}] {mark.role} "{mark.name}"' + ("" if mark.value is None else f" value={mark.value!r}")
        for mark in observation.marks
    )


def described(now: Moment) -> str:
    """A moment as text for a model that sees no picture: goal, page, elements, and what the last action did."""
    parts = [
        f"Goal: {now.goal}",
        f"Page: {now.observation.title} ({now.observation.url})",
        elements_of(now.observation),
    ]
    return "\n".join(part for part in [*parts, now.feedback and f"Last action: {now.feedback}"] if part)
