"""Groups that are begun before their stage: replaced where they have no signal, and after a kill no older than allowed."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from game import ITERATIONS, begin_early, ended, play_rollout, rank_for, running_game, stored, use

from agent.episodes.episode import EpisodeKey, EpisodeSetup, Played
from agent.models.openai_chat import Served
from benchmarks import virtual_clock
from flows.settings.run_folder import RunFolder
from rollouts.plan import planned_groups
from rollouts.shard_worker import ShardWorker
from rollouts.shared_bounds import SharedBounds
from storage.stages import Stage

SHAPE = {"groups_per_iteration": 2, "group_size": 2, "concurrency": 4, "overlap": "one_step"}


@pytest.fixture(autouse=True)
def no_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda handle: None)


class Episodes:
    """Stands in for episodes that take so long and have this reward; notes when they begin."""

    def __init__(
        self,
        for_seconds: Callable[[EpisodeKey], float] = lambda slot: 1.0,
        reward: Callable[[EpisodeKey], float] = lambda slot: slot.member % 2,
    ) -> None:
        self._for_seconds, self._reward = for_seconds, reward
        self.begun: list[tuple[float, str]] = []

    async def play(self, slot: EpisodeKey, setup: EpisodeSetup, **with_what: Any) -> Played:
        self.begun.append((asyncio.get_running_loop().time(), slot.trajectory_id))
        await asyncio.sleep(self._for_seconds(slot))
        trajectory = ended(slot, reward=self._reward(slot))
        return Played(trajectory.model_copy(update={"policy_version": setup.policy_version}), {})


def ranks_of(folder: RunFolder, version: int) -> list[ShardWorker]:
    """The ranks of a process that begins with this version."""
    config = folder.config.rollout
    bounds = SharedBounds(config, 0)
    ranks = [rank_for(folder, shard, bounds=bounds) for shard in range(config.shards)]
    for rank in ranks:
        rank.serve(Served("game", None, version))
    return ranks


async def play(folder: RunFolder, *, update_s: float, killed: dict[int, float]) -> None:
    """All iterations of a run; `killed`: seconds into judging and update at which the process is killed, by iteration.

    The update is made again then, and nothing is played beside it.
    """
    ranks = ranks_of(folder, 0)
    for iteration in range(1, ITERATIONS + 1):
        assert await play_rollout(folder, iteration, ranks) == [None] * len(ranks)
        if iteration < ITERATIONS:
            await begin_early(folder, iteration + 1, ranks)
        if iteration in killed:
            await asyncio.sleep(killed[iteration])
            await asyncio.gather(*(rank.stop() for rank in ranks))
            ranks = ranks_of(folder, iteration - 1)
        await asyncio.sleep(update_s)
        for rank in ranks:
            rank.serve(Served("game", None, iteration))
    await asyncio.gather(*(rank.stop() for rank in ranks))


def planned(folder: RunFolder, iteration: int, extra: str | None = None) -> list[str]:
    """Names of the groups in a plan; with `extra`, of the groups that extended it for this reason."""
    groups = planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
    return [one.group for one in groups if extra is None or (one.extra == extra and one.iteration is None)]


def ages(folder: RunFolder) -> dict[int, list[int]]:
    """How many versions older than the policy that they train the samples of each iteration are, ascending."""
    return {
        iteration: sorted(iteration - 1 - (one.policy_version or 0) for one in trajectories)
        for iteration, trajectories in stored(folder).items()
    }


def whole(folder: RunFolder) -> bool:
    """True if each planned episode is stored once."""
    names = [one.id for trajectories in stored(folder).values() for one in trajectories]
    groups = {
        name
        for iteration in range(1, ITERATIONS + 1)
        for group in planned_groups(folder.inputs, iteration, Stage.ROLLOUT)
        for name in group.names()
    }
    return max(Counter(names).values()) == 1 and set(names) == groups


# ---- replacement -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seconds", [1.0, 15.0])
@pytest.mark.parametrize("killed", [{}, {2: 0.5}, {2: 1.5}, {1: 3.0, 3: 16.0}])
def test_early_groups_without_signal_are_replaced_like_others(
    monkeypatch: pytest.MonkeyPatch, seconds: float, killed: dict[int, float]
) -> None:
    """They are complete before their stage begins, or one of their members is."""
    use(monkeypatch, Episodes(lambda slot: seconds * (1 + slot.member), reward=lambda slot: 1.0).play)
    with running_game(**SHAPE, replace_zero_signal=2) as folder:
        virtual_clock.run(play(folder, update_s=20.0, killed=killed))
        replaced = [len(planned(folder, iteration, "replacement")) for iteration in range(1, ITERATIONS + 1)]
        assert whole(folder)
    # What a killed process had stored has no reward here, so that fewer are replaced, and never more.
    after_kill = {iteration + 1 for iteration in killed}
    assert all(
        count == 2 or (iteration in after_kill and count < 2) for iteration, count in enumerate(replaced, start=1)
    ), replaced


def test_early_groups_with_signal_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Episodes().play)
    with running_game(**SHAPE, replace_zero_signal=2) as folder:
        virtual_clock.run(play(folder, update_s=20.0, killed={}))
        assert not any(planned(folder, iteration, "replacement") for iteration in range(1, ITERATIONS + 1))


# ---- age -------------------------------------------------------------------------------------------------------------
def test_a_stage_after_a_kill_waits_for_the_group_that_would_be_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of iteration 2 is enough, but a group has a member of version 0: in iteration 3 it would be two versions old."""
    slow: list[str] = []

    def seconds(slot: EpisodeKey) -> float:
        if (slot.iteration, slot.member) == (2, 1):
            slow.append(slot.trajectory_id)
            return 100.0
        return 1.0

    use(monkeypatch, Episodes(seconds).play)
    with running_game(**SHAPE | {"completion_threshold": 0.5}) as folder:
        virtual_clock.run(play(folder, update_s=20.0, killed={1: 3.0}))
        kept, found = {one.id for one in stored(folder)[2]}, ages(folder)
        assert whole(folder)
    assert slow[0] in kept and slow.count(slow[0]) == 2, "it was killed, and played again in its own iteration"
    assert found[2][-1] == 1, "the group's other member was kept from before the kill"
    assert max(max(each) for each in found.values()) == 1, found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overlap", ["one_step", "async"])
def test_after_a_kill_there_is_no_burst_of_old_samples(
    monkeypatch: pytest.MonkeyPatch, overlap: str, seed: int
) -> None:
    drawn = random.Random(seed)
    game = Episodes(lambda slot: random.Random(f"{seed}/{slot.trajectory_id}/{slot.attempt}").paretovariate(1.1))
    use(monkeypatch, game.play)
    shape = {"groups_per_iteration": 4, "completion_threshold": 0.6, "shards": 2, "overlap": overlap}
    killed = {iteration: drawn.uniform(0.2, 8.0) for iteration in (1, 2, 3)}
    with running_game(**SHAPE | shape) as folder:
        virtual_clock.run(play(folder, update_s=10.0, killed=killed))
        found, lag = ages(folder), folder.config.rollout.lag
        assert whole(folder)
        begun = [len(planned(folder, iteration)) for iteration in found]
    # Each of the two ranks rounds its part of the groups ahead up.
    assert max(begun) <= 4 * (lag + 1) + 1, (
        "what is begun and not learned from is this iteration's and lag further ones'"
    )
    assert max(max(each) for each in found.values()) == lag, "the samples are as old as the run allows, and no older"


def test_a_rank_that_is_stopped_before_its_stage_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its running episodes leave free slots, which are not filled by groups ahead."""
    game = Episodes(lambda slot: 10.0)
    use(monkeypatch, game.play)

    async def stopped(folder: RunFolder) -> None:
        ranks = ranks_of(folder, 0)
        await play_rollout(folder, 1, ranks)
        await begin_early(folder, 2, ranks)
        await asyncio.sleep(1)
        begun, plan = list(game.begun), planned(folder, 2)
        await asyncio.gather(*(rank.stop() for rank in ranks))
        await asyncio.sleep(100)
        assert (game.begun, planned(folder, 2)) == (begun, plan) and not any(rank.under_way for rank in ranks)

    with running_game(**SHAPE | {"overlap": "async"}) as folder:
        virtual_clock.run(stopped(folder))
