"""Episodes that are driven from outside, many at once in one event loop; servers and other frameworks are made of it.

    async with EpisodeHost(world, tasks=tasks, browsers=url) as host:
        episode = await host.begin(task="click-button.7")
        while not (moment := await episode.step(action)).is_over: ...

The same loop as in training (`SteppedEpisode`), so steps, faults and ends are the same. `WebEnv` is this for programs
without an event loop.
"""

import base64
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played, play
from agent.episodes.episode_record import by_reference
from agent.failures import EpisodeFailure, failed
from agent.gym.moments import Moment
from agent.gym.stepped import Pause, SteppedEpisode
from agent.gym.worlds import Tasks, World
from agent.judging.verifier import Check, verdict_of
from agent.recording import EpisodeStore
from agent.types import Policy, Task, Turn
from agent.verdict import Verdict
from browser_service.client import BrowserPool
from browser_service.models import Observation, Screenshot


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
        store: EpisodeStore | None = None,
        name: str = "hosted",
    ) -> None:
        """`browsers` is the address of a browser service; `check` replaces the world's; `reuse`: see `LeaseRequest`.

        `store` keeps every finished episode, as training does, with the recordings of `config.record`; an episode with the
        same number in it is replaced, so give each host a folder of its own. `name` begins the ids of trajectories.
        """
        self._world, self.tasks, self._check = world, tasks, check or world.check
        self._config, self._reuse = with_marks(config or AgentConfig()), reuse
        if self._config.record.is_on and store is None:
            raise ValueError(
                "agent.record asks for films or traces, and there is no store for them; pass one, or set it to none"
            )
        self._store, self._name = store, name
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
        chosen = self.tasks.draw(np.random.default_rng(seed)) if task is None else self.tasks.find(task)
        return await self.begin_task(chosen)

    async def begin_task(self, task: Task) -> "HostedEpisode":
        """Begins an episode of this task. Raises `EpisodeFailure` when no browser or start page is available."""
        assert self._pool is not None, "a host is entered before an episode begins"
        self._begun += 1
        trajectory_id = f"{self._name}-{task.id}-{self._begun:06d}"
        slot = EpisodeKey(task, trajectory_id, group=task.id, member=0, iteration=0)
        setup = partial(
            EpisodeSetup,
            pool=self._pool,
            serve=self._world.serve,
            viewport=self._world.viewport,
            config=self._config,
            reuse=self._reuse,
        )

        async def played(policy: Policy) -> Played:
            recording = self._store.begin(trajectory_id) if self._store else None
            return await play(slot, setup(policy=policy), recording=recording)

        episode = HostedEpisode(
            task, SteppedEpisode(played), _Ending(trajectory_id, self._check, self._config, self._store)
        )
        self._episodes.add(episode)
        episode.ended = self._episodes.discard
        await episode.open()
        return episode


@dataclass(frozen=True)
class _Ending:
    """Judges and stores a finished episode, or removes an unfinished one."""

    trajectory_id: str
    check: Check
    config: AgentConfig
    store: EpisodeStore | None

    async def verdict(self, played: Played) -> Verdict:
        """The verdict about a finished episode, which is kept first. Raises `EpisodeFailure` when it has none."""
        trajectory = played.trajectory
        page, failure = trajectory.final_observation, trajectory.failure
        if self.store is not None:
            self.store.write(trajectory, played.images)
        if failure is not None and failure.side != "policy":
            raise EpisodeFailure(failure)
        if page is None or page.screenshot is None:
            raise failed("infra", "NO_PICTURE", f"{trajectory.id} ended without a picture of the page", retryable=True)
        verdict = await verdict_of(self.check, trajectory)
        if self.store is not None:
            self.store.keep_by_rule(self.config.record, trajectory, verdict)
        if verdict.reward is None:
            raise failed("judge", "UNJUDGED", f"{trajectory.id}: {verdict.evidence}", retryable=False)
        return verdict

    def forget(self) -> None:
        """Removes what was stored of an episode that was left before its end."""
        if self.store is not None:
            self.store.forget(self.trajectory_id)


class HostedEpisode:
    """One episode. Calls come one after the other, from the host's event loop."""

    def __init__(self, task: Task, stepped: SteppedEpisode, ending: _Ending) -> None:
        self.task = task
        self.ended: Callable[[HostedEpisode], None] = lambda episode: None
        self._stepped, self._ending = stepped, ending
        self._now: Moment | None = None
        self._is_played = False

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
        if not self._is_played:
            self._is_played = True
            self._ending.forget()

    async def _guarded(self, turn: Coroutine[Any, Any, Pause | Played]) -> Pause | Played:
        try:
            return await turn
        except BaseException:
            await self.close()
            raise

    async def _arrived(self, found: Pause | Played) -> Moment:
        if isinstance(found, Played):
            self._is_played = True
            self.ended(self)
            self._now = await self._over(found)
        else:
            page = found.observation
            self._now = Moment(self.task, found.goal, by_reference(page), await self._picture(page), found.last)
        return self._now

    async def _over(self, played: Played) -> Moment:
        trajectory = played.trajectory
        verdict = await self._ending.verdict(played)
        page = trajectory.final_observation
        assert page is not None and page.screenshot is not None, "an episode that has a verdict ended with a picture"
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
