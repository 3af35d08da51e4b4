"""Plays one rollout with the players of the loop, and judges it with the judges of the loop."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, play
from agent.episodes.watch import Watch
from agent.models.openai_chat import Served
from agent.models.opening import open_model
from agent.models.vendors import ModelUnavailable
from agent.types import Step, Task, Trajectory
from agent.verdict import Judge, Verdict
from browser_service.client import BrowserPool
from dashboard.settings import Settings
from dashboard.worker.config import PlayConfig
from environments.base import Environment, EnvironmentBroken
from environments.registry import make_environment
from judging.opening import open_judges
from storage.store import Recording, TrajectoryStore


class Asked(NamedTuple):
    """A rollout to be played."""

    id: str
    task: Task
    environment: str
    model: str
    group: str
    member: int
    attempt: int


class CannotPlay(RuntimeError):
    """A rollout that can't begin: no such environment, no key for its model. The message is one sentence."""


class Opened(NamedTuple):
    """An environment that serves, and its judges."""

    environment: Environment
    judge: Judge


class Player:
    """Environments and judges, opened when first needed and kept. Use as `async with`."""

    def __init__(self, settings: Settings, config: PlayConfig, pool: BrowserPool) -> None:
        self._settings = settings
        self._config = config
        self._pool = pool
        self._opened: dict[str, Opened] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self.store = TrajectoryStore(settings.rollouts)

    async def __aenter__(self) -> "Player":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def play(self, asked: Asked, watch: Watch, saw: Callable[[str], None]) -> Trajectory:
        """Plays the rollout and stores its trajectory. Its failures are in `trajectory.failure`.

        `watch` hears each phase and may hold the episode, `saw` hears the hash of each new picture.
        Raises `CannotPlay`, and OSError when the trajectory can't be stored.
        """
        world = (await self._world(asked.environment)).environment
        config = self._agent(asked)
        slot = EpisodeKey(asked.task, asked.id, asked.group, asked.member, iteration=0, attempt=asked.attempt)
        solve = getattr(world, "solve", None)
        try:
            async with open_model(config, served=Served("", None, None), uds=None, solve=solve) as policy:
                setup = EpisodeSetup(policy, self._pool, world.serve, world.viewport, config)
                recording = Noting(self.store.begin(asked.id), saw)
                played = await play(slot, setup, recording=recording, watch=watch)
        except ModelUnavailable as error:
            raise CannotPlay(str(error)) from error
        self.store.write(*played)
        return played.trajectory

    async def judge(self, environment: str, trajectory: Trajectory) -> Verdict:
        """The verdict of the chain of judges; recordings that `agent.record` does not keep are removed. Raises `CannotPlay`."""
        verdict = await (await self._world(environment)).judge.judge(trajectory)
        await asyncio.to_thread(self.store.keep_by_rule, self._config.agent.record, trajectory, verdict)
        return verdict

    def _agent(self, asked: Asked) -> AgentConfig:
        try:
            return self._config.agent_with(asked.model, asked.member)
        except KeyError:
            raise CannotPlay(f"the configuration has no model {asked.model}; see the models page or --config") from None

    async def _world(self, name: str) -> Opened:
        async with self._opening:
            if name not in self._opened:
                # A task of its own: a cancelled rollout must not take away what others will use.
                self._opened[name] = await asyncio.shield(asyncio.create_task(self._open(name)))
            return self._opened[name]

    async def _open(self, name: str) -> Opened:
        try:
            config = self._config.all_environments()[name]
        except KeyError:
            raise CannotPlay(f"the configuration has no environment {name}; name one in --config") from None
        try:
            world = await self._stack.enter_async_context(make_environment(config))
            folder = self._settings.data / "judged" / name
            folder.mkdir(parents=True, exist_ok=True)
            judges = open_judges(
                self._config.judge, world.check, self.store.image, folder, requests=self.store.requests
            )
            return Opened(world, await self._stack.enter_async_context(judges))
        except (EnvironmentBroken, ModelUnavailable, OSError, ValueError) as error:
            raise CannotPlay(f"the environment {name} can't be opened: {error}") from error


class Noting:
    """A recording that also tells the hash of each new picture. Implements `agent.recording.Recording`."""

    def __init__(self, recording: Recording, saw: Callable[[str], None]) -> None:
        self.bytes = 0
        self._recording = recording
        self._saw = saw

    def add(self, step: Step, images: Mapping[str, Any]) -> None:
        """Stores a step and its new pictures."""
        self._recording.add(step, images)
        self.bytes = self._recording.bytes
        if step.observation.screenshot is not None:
            self._saw(step.observation.screenshot.sha256)

    def partial(self) -> Path:
        """A temporary path for a film or trace."""
        return self._recording.partial()

    def add_file(self, partial: Path, name: str) -> int:
        """Stores a film or trace under its name; returns its size."""
        return self._recording.add_file(partial, name)
