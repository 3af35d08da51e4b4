"""The scheduler on a virtual clock: whatever episodes take, slots are used, nothing starves, nothing is played twice or lost."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import pytest
import virtual_clock
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.episode import Played, Slot
from agent.models.openai_chat import Served
from agent.types import Failure, StopReason, Trajectory, Verdict
from browser_service.models import Viewport
from flows import rank as rank_module
from flows.config import LoopConfig, load_config
from flows.plan import assigned, planned_groups, read_carried
from flows.rank import Rank
from flows.run_folder import RunFolder, Stage
from flows.stage_files import StageFiles
from flows.stragglers import carries, carry_over, threshold_of
from flows.who_acts import agent_of

ITERATIONS = 4
SHAPES = st.fixed_dictionaries(
    {
        "groups_per_iteration": st.integers(1, 7),
        "group_size": st.integers(1, 4),
        "concurrency": st.integers(1, 9),
        "completion_threshold": st.sampled_from([0.3, 0.5, 0.9, 1.0]),
        "ahead": st.integers(0, 3),
        "replace_zero_signal": st.integers(0, 2),
    }
)


class Game:
    """Stands in for episodes: each takes a drawn time and may break; everything that happens is written down."""

    def __init__(self, seed: int, *, breaks: float = 0.0, tail: float = 1.1) -> None:
        self.seed, self.breaks, self.tail = seed, breaks, tail
        self.begun: list[tuple[float, str]] = []
        self.ended: list[tuple[float, str]] = []
        self.running = 0
        self.most = 0

    async def play(self, slot: Slot, **with_what: Any) -> Played:
        drawn = random.Random(f"{self.seed}/{slot.trajectory_id}/{slot.attempt}")
        clock = asyncio.get_running_loop().time
        self.begun.append((clock(), slot.trajectory_id))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if with_what["watch"].may_go_on:
                await with_what["watch"].may_go_on()
            await asyncio.sleep(min(500.0, drawn.paretovariate(self.tail)))
        finally:
            self.running -= 1
        self.ended.append((clock(), slot.trajectory_id))
        failure = None
        if drawn.random() < self.breaks:
            failure = Failure(side="infra", code="BROWSER_CRASHED", message="on purpose", retryable=True)
        trajectory = Trajectory(
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
            final_state={"reward": float(drawn.random() < 0.5)},
        )
        return Played(trajectory, {})


def check(trajectory: Trajectory) -> Verdict:
    reward = None if trajectory.failure else trajectory.final_state["reward"]
    return Verdict(trajectory_id=trajectory.id, reward=reward, judge="game")


@contextmanager
def configured(**rollout: Any) -> Generator[LoopConfig]:
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


def rank_for(folder: RunFolder, slots_in_use: Callable[[], int] = lambda: 0) -> Rank:
    environment = SimpleNamespace(name="game", viewport=Viewport(), serve=None, check=check)
    agent = agent_of(folder.config, Stage.ROLLOUT)
    served = Served("game", None, 0)
    nothing = cast(Any, None)
    return Rank(
        folder,
        0,
        agent=agent,
        environment=cast(Any, environment),
        pool=nothing,
        policy=nothing,
        served=served,
        slots_in_use=slots_in_use,
    )


async def play_iterations(folder: RunFolder, game: Game) -> None:
    rank = rank_for(folder)
    slots = folder.config.rollout.slots_of(0)
    for iteration in range(1, ITERATIONS + 1):
        files = StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=slots)
        groups = assigned(planned_groups(folder, iteration, Stage.ROLLOUT), [1.0])[0]
        carrying = carries(folder, iteration)
        lost = await rank.play(
            files,
            groups,
            threshold=threshold_of(folder, iteration, Stage.ROLLOUT),
            extends=("ahead", "replacement") if carrying else ("replacement",),
        )
        assert lost is None
        if carrying:
            rank.carry_to(StageFiles(folder, iteration + 1, Stage.ROLLOUT, shard=0, slots=slots))
            carry_over(folder, iteration)
        await asyncio.sleep(20)  # judging and the update
    await rank.stop()


def stored(folder: RunFolder) -> dict[int, list[Trajectory]]:
    return {
        iteration: list(StageFiles(folder, iteration, Stage.ROLLOUT, shard=0, slots=1).store)
        for iteration in range(1, ITERATIONS + 1)
    }


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs: what is on the disk need not survive a power cut."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES, seed=st.integers(0, 10_000), breaks=st.sampled_from([0.0, 0.2]))
def test_carried_over_nothing_is_lost_played_twice_or_learned_from_in_part(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int, breaks: float
) -> None:
    game = Game(seed, breaks=breaks)
    monkeypatch.setattr(rank_module, "play", game.play)
    with configured(**shape) as config:
        folder = RunFolder.create("game", config)
        virtual_clock.run(play_iterations(folder, game))
        kept = stored(folder)
        planned = {
            name for one in kept for group in planned_groups(folder, one, Stage.ROLLOUT) for name in group.names()
        }
        names = Counter(trajectory.id for trajectories in kept.values() for trajectory in trajectories)
        assert max(names.values()) == 1 and set(names) == planned, "each planned episode is stored exactly once"
        for iteration, trajectories in kept.items():
            members = Counter(trajectory.group for trajectory in trajectories)
            assert set(members.values()) == {shape["group_size"]}, "groups are whole"
            assert len(members) >= shape["completion_threshold"] * (
                shape["groups_per_iteration"] - len(carried_in(folder, iteration))
            )
        assert game.most <= shape["concurrency"]
        if not breaks:
            assert len(game.begun) == len(planned), "no episode was begun twice"


def carried_in(folder: RunFolder, iteration: int) -> list[str]:
    return [group.group for group in read_carried(folder, iteration - 1)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=SHAPES, seed=st.integers(0, 10_000))
def test_no_slot_idles_while_an_episode_waits_and_none_starves(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any], seed: int
) -> None:
    game = Game(seed)
    monkeypatch.setattr(rank_module, "play", game.play)
    with configured(**shape | {"completion_threshold": 1.0, "ahead": 0, "replace_zero_signal": 0}) as config:
        folder = RunFolder.create("game", config)
        virtual_clock.run(play_iterations(folder, game))
        plans = {one: planned_groups(folder, one, Stage.ROLLOUT) for one in range(1, ITERATIONS + 1)}
    order = [name for _, name in game.begun]
    for iteration, groups in plans.items():
        mine = [name for name in order if name.startswith(f"i{iteration:04d}")]
        assert mine == [name for group in groups for name in group.names()], "they begin in the order of the plan"
        began = {name: at for at, name in game.begun if name in mine}
        ends = sorted(at for at, name in game.ended if name in mine)
        free = [*[min(began.values())] * shape["concurrency"], *ends]
        # Each at the very moment at which a slot became free.
        for place, name in enumerate(mine):
            assert began[name] == pytest.approx(free[place])


def test_killed_stragglers_leave_no_slot_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    game = Game(3, tail=0.4)
    monkeypatch.setattr(rank_module, "play", game.play)
    shape = {"groups_per_iteration": 8, "group_size": 2, "concurrency": 4, "completion_threshold": 0.5}
    with configured(**shape, stragglers="kill", completion_grace_period=2.0) as config:
        folder = RunFolder.create("game", config)
        virtual_clock.run(play_iterations(folder, game))
        kept = stored(folder)
    assert all(len(trajectories) == 16 for trajectories in kept.values())
    codes = Counter(one.failure.code if one.failure else "" for trajectories in kept.values() for one in trajectories)
    assert codes["STRAGGLER"] > 0 and codes[""] >= 8 * ITERATIONS
    assert game.running == 0 and game.most <= 4


@pytest.mark.parametrize(("held", "most"), [(0, 4), (3, 1), (4, 1)])
def test_slots_that_another_rank_holds_are_left_to_it(monkeypatch: pytest.MonkeyPatch, held: int, most: int) -> None:
    game = Game(5)
    monkeypatch.setattr(rank_module, "play", game.play)
    with configured(groups_per_iteration=4, group_size=2, concurrency=4) as config:
        folder = RunFolder.create("game", config)
        files = StageFiles(folder, 1, Stage.ROLLOUT, shard=0, slots=4)
        groups = assigned(planned_groups(folder, 1, Stage.ROLLOUT), [1.0])[0]
        virtual_clock.run(rank_for(folder, lambda: held).play(files, groups, threshold=1.0))
        assert len(list(files.store)) == 8 and game.most == most
