"""Rollouts that go on while the update runs, with real browsers: what overlaps, a kill in between, and the last iteration."""

import asyncio
import shutil
from collections.abc import AsyncGenerator

import pytest
from eventually import until
from loop_configs import WriteConfig
from ranks_elsewhere import RanksElsewhere
from real_services import supervised
from stand_in_model import running_model

from flows.services.model_servers import socket_path
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from flows.stages.rollout import PlayShards, gather_shards, rollout_stage
from rollouts.measures.intervals import EPISODES, read_intervals
from rollouts.plan import planned_groups, read_carried
from rollouts.shard_workers import ShardWorkers
from rollouts.stragglers import versions_of
from storage.failed_attempts import FAILURES, read_failures
from storage.stages import Stage
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import import_policy, write_checkpoint

pytestmark = pytest.mark.browser

Run = tuple[RunFolder, ShardWorkers, PlayShards]


@pytest.fixture(params=["here", "workers"])
async def run(request: pytest.FixtureRequest, browsers: str, write_config: WriteConfig) -> AsyncGenerator[Run]:
    """Two groups of two single clicks per iteration, three iterations."""
    shape = ["environment.domains=[click-test]", "iterations=3", "rollout.shards=1", "rollout.overlap=one_step"]
    config = load_config(write_config(), [*shape, f"rollout.ranks={request.param}"])
    folder = RunFolder.create("small", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, browsers)
    workers = ShardWorkers(folder.inputs)
    yield folder, workers, gather_shards if request.param == "here" else RanksElsewhere()
    await workers.close_all()


def store_of(folder: RunFolder, iteration: int) -> TrajectoryStore:
    return TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT))


def updated(folder: RunFolder, version: int) -> None:
    """Writes a version with unchanged weights, in the place of a policy update."""
    with write_checkpoint(folder.policies, version, parent=version - 1, step=version) as path:
        shutil.copytree(folder.config.policy.model, path, dirs_exist_ok=True)


def versions_in(folder: RunFolder, iteration: int) -> dict[str, set[int]]:
    """The versions that sampled each trajectory of an iteration, by its id."""
    store = store_of(folder, iteration)
    return {name: set(versions_of(store.read(name))) for name in store.ids()}


def planned(folder: RunFolder, iteration: int) -> set[str]:
    return {name for group in planned_groups(folder.inputs, iteration, Stage.ROLLOUT) for name in group.names()}


async def test_the_next_groups_are_played_while_judging_runs_and_a_kill_loses_only_what_ran(run: Run) -> None:
    folder, workers, play_shards = run
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {6}  # the second episode of iteration 2
        await rollout_stage(folder, 1, workers, play_shards)
        await judge_stage(folder, 1)
        await until(lambda: len(store_of(folder, 2).ids()) >= 2, "iteration 2 is begun before its stage")
        # What a killed process leaves: the folder. Nothing is played between the kill and the stage.
        await workers.close_all()
        kept, begun = {name: store_of(folder, 2).read(name) for name in store_of(folder, 2).ids()}, planned(folder, 2)
        model.go.set()
        resumed = ShardWorkers(folder.inputs)
        updated(folder, 1)
        second = await rollout_stage(folder, 2, resumed, play_shards)
        updated(folder, 2)
        third = await rollout_stage(folder, 3, resumed, play_shards)
        await resumed.close_all()
    assert begun <= planned(folder, 2), "a resume plays the plan that was begun"
    played = {name: store_of(folder, 2).read(name) for name in store_of(folder, 2).ids()}
    assert all(played[name] == kept[name] for name in kept if name in played), "no episode is played twice"
    lost = {failed.trajectory_id for failed in read_failures(folder.stage_dir(2, Stage.ROLLOUT) / FAILURES)}
    assert len(lost) <= folder.config.rollout.concurrency and not lost & kept.keys()
    sampled = versions_in(folder, 2)
    assert {version for name in kept if name in sampled for version in sampled[name]} == {0}
    assert {version for name in sampled if name not in kept for version in sampled[name]} <= {1}
    assert second.metrics["policy_age_max"] == 1, "what was kept from before the kill is a version old, and no older"
    assert third.metrics["policy_age_max"] <= 1 and all(min(found) >= 1 for found in versions_in(folder, 3).values())
    assert sum(report.counts["trajectories"] for report in (second, third)) == len(
        planned(folder, 2) | planned(folder, 3)
    )


@pytest.mark.parametrize("run", ["workers"], indirect=True)
async def test_a_rank_that_is_lost_beside_the_update_is_replaced_by_another(run: Run) -> None:
    folder, workers, ranks = run
    assert isinstance(ranks, RanksElsewhere)
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {6}
        await rollout_stage(folder, 1, workers, ranks)
        await until(lambda: len(store_of(folder, 2).ids()) >= 2, "iteration 2 is begun before its stage")
        (lost,) = ranks.started[0]
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        kept = {name: store_of(folder, 2).read(name) for name in store_of(folder, 2).ids()}
        model.go.set()
        updated(folder, 1)
        second = await rollout_stage(folder, 2, workers, ranks)
        await workers.close_all()
    assert len(ranks.started[0]) == 2 and all(task.done() for task in ranks.started[0])
    played = {name: store_of(folder, 2).read(name) for name in store_of(folder, 2).ids()}
    assert all(played[name] == kept[name] for name in kept if name in played), "no episode is played twice"
    assert second.metrics["policy_age_max"] == 1


@pytest.mark.chaos
async def test_intervals_show_what_overlaps_and_the_last_iteration_plays_nothing_twice(run: Run) -> None:
    folder, workers, play_shards = run
    with running_model(socket_path(folder.config.services.state_dir)):
        for iteration in (1, 2, 3):
            await rollout_stage(folder, iteration, workers, play_shards)
            if iteration < 3:
                await until(lambda following=iteration + 1: store_of(folder, following).ids(), "the next one is begun")
            await judge_stage(folder, iteration)
    asked: set[str] = set()
    for iteration in (1, 2, 3):
        directory = folder.stage_dir(iteration, Stage.ROLLOUT)
        assert not read_failures(directory / FAILURES)
        intervals = read_intervals(directory / EPISODES)
        names = [one.trajectory_id for one in intervals]
        assert not asked & set(names) and len(names) == len(set(names)), "each episode is played once"
        asked |= set(names)
        assert all(one.began < one.ended for one in intervals)
    judged = folder.report(1, Stage.JUDGE)
    first = min(one.began for one in read_intervals(folder.stage_dir(2, Stage.ROLLOUT) / EPISODES))
    assert judged is not None and first < judged.ended_at - judged.seconds
    assert asked == planned(folder, 1) | planned(folder, 2) | planned(folder, 3)


async def test_carried_episodes_go_on_in_the_last_iteration(browsers: str, write_config: WriteConfig) -> None:
    shape = ["environment.domains=[click-test]", "rollout.shards=1", "rollout.completion_threshold=0.5"]
    config = load_config(write_config(), shape)
    folder = RunFolder.create("small", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, browsers)
    async with ShardWorkers(folder.inputs) as workers:
        with running_model(socket_path(config.services.state_dir)) as model:
            model.held = {2}
            await rollout_stage(folder, 1, workers)
            (late,) = read_carried(folder, 1)
            last = asyncio.create_task(rollout_stage(folder, 2, workers))
            await until(lambda: len(store_of(folder, 2).ids()) >= 3, "the others of the last iteration")
            model.go.set()
            report = await last
            # The carried episode goes on; a second worker would begin it again.
            assert model.completions == 6
    assert report.counts["trajectories"] == 4 and set(late.names()) <= planned(folder, 2)
    assert not read_failures(folder.stage_dir(2, Stage.ROLLOUT) / FAILURES)
