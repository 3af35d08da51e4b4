"""Ranks on a virtual clock: stands in for episodes, so that hundreds of stages are played in a second and each second of them is known."""

import asyncio
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from agent.config import AgentConfig
from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from agent.types import Failure, StopReason, Trajectory
from agent.verdict import Verdict
from browser_service.models import Viewport
from flows.settings.loop_config import LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.settings.who_acts import agent_of
from judging.opening import quick_judge
from rollouts import player
from rollouts.pace import pace_of
from rollouts.plan import Why, assigned, planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from rollouts.stage_files import StageFiles
from rollouts.stragglers import carries, carry_over, stage_pace, threshold_of
from storage.failed_attempts import FAILURES, FailedAttempt, read_failures
from storage.stages import Stage

ITERATIONS = 4


class Game:
    """Stands in for episodes: each takes a drawn time and may break; everything that happens is written down."""

    def __init__(self, seed: int, *, breaks: float = 0.0, tail: float = 1.1) -> None:
        self.seed, self.breaks, self.tail = seed, breaks, tail
        self.begun: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str]] = []
        self.running = self.most = 0
        self.asking = self.most_asking = 0
        self.held_mb: list[float] = []
        """Megabytes of pictures that the others held when an episode began."""
        self._pictures: dict[str, tuple[float, float]] = {}
        """Time of the picture and its megabytes, by trajectory id."""

    async def play(self, slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        drawn = random.Random(f"{self.seed}/{slot.trajectory_id}/{slot.attempt}")
        clock = asyncio.get_running_loop().time
        self.begun.append((clock(), slot.trajectory_id))
        if slot.attempt == 1:  # a later attempt has its slot already
            # A picture of this very moment was not known yet when the episode began.
            self.held_mb.append(sum(size for since, size in self._pictures.values() if since < clock()))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if with_what["watch"].may_go_on:
                await with_what["watch"].may_go_on()
            await self.last(slot, min(500.0, drawn.paretovariate(self.tail)), drawn, **with_what)
        finally:
            self.running -= 1
            self._pictures.pop(slot.trajectory_id, None)
        self.ended.append((clock(), slot.trajectory_id))
        played = self.outcome(slot, drawn).model_copy(update={"policy_version": setup.policy_version})
        return Played(played, {})

    async def last(self, slot: EpisodeKey, seconds: float, drawn: random.Random, **with_what: Any) -> None:
        """The episode takes so long; a picture comes in the middle of it, and then a turn is asked for."""
        await asyncio.sleep(seconds / 2)
        size = drawn.choice((1, 2, 3))
        with_what["recording"].bytes += size * 1_000_000
        self._pictures[slot.trajectory_id] = (asyncio.get_running_loop().time(), size)
        async with with_what["watch"].gates.passed("model"):
            self.asking += 1
            self.most_asking = max(self.most_asking, self.asking)
            try:
                await asyncio.sleep(seconds / 2)
            finally:
                self.asking -= 1

    def outcome(self, slot: EpisodeKey, drawn: random.Random) -> Trajectory:
        """The trajectory with which the episode ends."""
        broken = drawn.random() < self.breaks
        return ended(slot, "BROWSER_CRASHED" if broken else None, reward=float(drawn.random() < 0.5))


def ended(slot: EpisodeKey, code: str | None = None, *, reward: float = 1.0) -> Trajectory:
    """An episode without steps, broken by the infrastructure if a code is given."""
    failure = Failure(side="infra", code=code, message="on purpose", retryable=True) if code else None
    return Trajectory(
        id=slot.trajectory_id,
        task=slot.task,
        goal="",
        group=slot.group,
        member=slot.member,
        iteration=slot.iteration,
        steps=(),
        stop=StopReason.FAILED if failure else StopReason.DONE,
        failure=failure,
        attempt=slot.attempt,
        final_state={"reward": reward},
    )


def use(monkeypatch: pytest.MonkeyPatch, play: Callable[..., Any]) -> None:
    """Replaces episodes by `play` in all ranks."""
    monkeypatch.setattr(player, "play", play)


async def check(trajectory: Trajectory, evidence: dict[str, Any]) -> Verdict:
    reward = None if trajectory.failure else evidence["reward"]
    return Verdict(trajectory_id=trajectory.id, reward=reward, judge="game")


@contextmanager
def configured(**rollout: Any) -> Generator[LoopConfig]:
    """A configuration of four iterations on one shard."""
    with TemporaryDirectory() as home:
        model = Path(home) / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
        path = Path(home) / "loop.yaml"
        data = {
            "name": "game",
            "iterations": ITERATIONS,
            "policy": {"model": str(model)},
            "environment": {"domains": ["click-test"]},
            "rollout": {"shards": 1, **rollout},
            "services": {"browser_slots": 64},
        }
        path.write_text(yaml.safe_dump(data))
        yield load_config(path)


@contextmanager
def running_game(**rollout: Any) -> Generator[RunFolder]:
    """A new run with this configuration."""
    with configured(**rollout) as config:
        yield RunFolder.create("game", config)


def rank_for(
    folder: RunFolder,
    shard: int = 0,
    *,
    agent: AgentConfig | None = None,
    bounds: SharedBounds | None = None,
    policy: Any = None,
    slots_in_use: Callable[[], int] = lambda: 0,
) -> ShardWorker:
    """A rank without browsers and models."""
    environment = SimpleNamespace(name="game", viewport=Viewport(), serve=None, check=check)
    return ShardWorker(
        folder.inputs,
        shard,
        agent=agent or agent_of(folder.config, Stage.ROLLOUT),
        environment=cast(Any, environment),
        pool=cast(Any, None),
        policy=policy,
        served=Served("game", None, 0),
        judge=quick_judge(folder.config.judge, check),
        bounds=bounds,
        slots_in_use=slots_in_use,
    )


def files_of(folder: RunFolder, iteration: int, shard: int = 0) -> StageFiles:
    """The files of a shard in a rollout."""
    slots = folder.config.rollout.slots_of(shard)
    return StageFiles(folder, iteration, Stage.ROLLOUT, shard=shard, slots=slots)


async def play_rollout(folder: RunFolder, iteration: int, ranks: list[ShardWorker]) -> list[str | None]:
    """One rollout on all ranks, with what is carried over from it; returns which services were lost."""
    shards = assigned(planned_groups(folder.inputs, iteration, Stage.ROLLOUT), folder.config.rollout.weights())
    carrying = carries(folder.inputs, iteration)
    lost = await asyncio.gather(
        *(
            rank.play(
                files_of(folder, iteration, rank.shard),
                shards[rank.shard],
                threshold=threshold_of(folder.inputs, iteration, Stage.ROLLOUT),
                extends=("ahead", "replacement") if carrying else ("replacement",),
                pace=stage_pace(folder.inputs, iteration, shards[rank.shard]),
            )
            for rank in ranks
        )
    )

    async def carry(iteration: int) -> None:
        for rank in ranks:
            rank.carry_to(files_of(folder, iteration, rank.shard))

    if carrying:
        await carry_over(folder.inputs, iteration, carry)
    return list(lost)


async def begin_early(folder: RunFolder, iteration: int, ranks: list[ShardWorker]) -> None:
    """Begins the rollout of an iteration while the one before is judged and learned from."""
    groups = planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
    pace = pace_of(folder.config.rollout, groups, iteration=iteration, last=ITERATIONS, is_early=True)
    shards = assigned(groups, folder.config.rollout.weights())
    extends: tuple[Why, ...] = ("ahead",) if iteration < ITERATIONS else ()
    for rank in ranks:
        files = files_of(folder, iteration, rank.shard)
        await rank.begin_early(files, shards[rank.shard], extends=extends, pace=pace)


async def play_iterations(folder: RunFolder, *, update_s: float = 20) -> list[float]:
    """All rollouts of a run, one after the other; returns the times at which the updates were finished."""
    config = folder.config.rollout
    bounds = SharedBounds(config, 0)
    ranks = [rank_for(folder, shard, bounds=bounds) for shard in range(config.shards)]
    updated: list[float] = []
    for iteration in range(1, ITERATIONS + 1):
        assert await play_rollout(folder, iteration, ranks) == [None] * len(ranks)
        if config.lag and iteration < ITERATIONS:
            await begin_early(folder, iteration + 1, ranks)
        await asyncio.sleep(update_s)  # judging and the update
        updated.append(asyncio.get_running_loop().time())
        for rank in ranks:
            rank.serve(Served("game", None, iteration))
    await asyncio.gather(*(rank.stop() for rank in ranks))
    return updated


def stored(folder: RunFolder) -> dict[int, list[Trajectory]]:
    """The trajectories of each iteration."""
    return {iteration: list(files_of(folder, iteration).store) for iteration in range(1, ITERATIONS + 1)}


def failures(folder: RunFolder, iteration: int) -> list[FailedAttempt]:
    """The broken attempts of a rollout."""
    return read_failures(folder.stage_dir(iteration, Stage.ROLLOUT) / FAILURES)
