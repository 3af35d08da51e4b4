"""Groups that are unfinished when a rollout ends: no episode is lost, played twice, or learned from in part."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from loop_configs import WriteConfig
from ranks_elsewhere import RanksElsewhere
from real_services import supervised
from stand_in_model import running_model

from flows.commands.checkup import trajectories
from flows.policy.publishing import ensure_served
from flows.services.model_servers import socket_path
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.judge import judge_stage
from flows.stages.rollout import gather_shards, rollout_stage
from rollouts.plan import planned_groups, read_carried
from rollouts.shard_workers import ShardWorkers
from storage.failed_attempts import read_failures
from storage.stages import Stage
from storage.store import TrajectoryStore, pictures_of
from storage.verdicts import read_verdicts
from training.checkpointing.checkpoints import import_policy

pytestmark = pytest.mark.browser


def new_run(write_config: WriteConfig, *overrides: str) -> RunFolder:
    """Two groups of two single clicks per iteration, three iterations; half of the groups are enough."""
    shape = ["environment.domains=[click-test]", "iterations=3", "rollout.shards=1", "rollout.completion_threshold=0.5"]
    config = load_config(write_config(), [*shape, *overrides])
    folder = RunFolder.create("small", config)
    import_policy(config.policy.model, folder.policies)
    return folder


@pytest.fixture
async def served(browsers: str) -> AsyncGenerator["Services"]:
    services = Services(browsers)
    yield services
    if services.workers:
        await services.workers.close_all()


class Services:
    """Lets a run use the real browsers."""

    def __init__(self, browsers: str) -> None:
        self.browsers = browsers
        self.workers: ShardWorkers | None = None

    def use(self, folder: RunFolder) -> tuple[RunFolder, ShardWorkers]:
        """The run with the workers that its stages share."""
        supervised(folder.config, self.browsers)
        self.workers = ShardWorkers(folder.inputs)
        return folder, self.workers


def ids(folder: RunFolder, iteration: int) -> list[str]:
    return TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT)).ids()


async def test_an_unfinished_group_goes_on_in_the_next_iteration(served: Services, write_config: WriteConfig) -> None:
    folder, workers = served.use(new_run(write_config))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        first = await rollout_stage(folder, 1, workers)
        judged = await judge_stage(folder, 1)
        (late,) = read_carried(folder, 1)
        assert (first.counts["trajectories"], first.counts["carried_out"], judged.counts["verdicts"]) == (2, 1, 2)
        assert ids(folder, 2) == late.names()[:1] or ids(folder, 2) == late.names()[1:]
        model.go.set()
        second = await rollout_stage(folder, 2, workers)

        assert second.counts["carried_in"] == 1
        groups = planned_groups(folder.inputs, 2, Stage.ROLLOUT)
        assert groups[0] == late and len(groups) == 2
        store = TrajectoryStore(folder.stage_dir(2, Stage.ROLLOUT))
        mine = [store.read(name) for name in late.names()]
        assert [(one.attempt, one.iteration, one.failure) for one in mine] == [(1, 1, None)] * 2
        assert all(store.has_image(sha256) for one in mine for sha256 in pictures_of(one))
        assert not set(ids(folder, 1)) & set(ids(folder, 2))
        assert not read_failures(folder.stage_dir(1, Stage.ROLLOUT) / "failures.jsonl")
        assert second.metrics["wasted_attempts"] == 0
        trajectories(folder)  # the doctor finds no problem


@pytest.mark.parametrize("ranks", ["here", "workers"])
async def test_a_carried_episode_waits_while_the_policy_is_published(
    served: Services, write_config: WriteConfig, ranks: str
) -> None:
    folder, workers = served.use(new_run(write_config, f"rollout.ranks={ranks}"))
    play_shards = gather_shards if ranks == "here" else RanksElsewhere()
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        await rollout_stage(folder, 1, workers, play_shards)
        holding = asyncio.create_task(workers.hold(folder.config.agent.completion_deadline_s))
        await asyncio.sleep(0.6)
        assert not holding.done(), "a turn is under way, and the policy must not change under it"
        model.go.set()
        await asyncio.wait_for(holding, 30)
        model.version = "another run's"
        await ensure_served(folder, 0, workers)  # publishes again, and lets the episodes go on
        report = await rollout_stage(folder, 2, workers, play_shards)
        assert report.metrics["wasted_attempts"] == 0
        assert set(read_carried(folder, 1)[0].names()) <= set(ids(folder, 2))


async def test_after_a_crash_only_unfinished_episodes_are_played_again(
    served: Services, write_config: WriteConfig
) -> None:
    folder, workers = served.use(new_run(write_config))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        await rollout_stage(folder, 1, workers)
        await workers.close_all()  # what a killed process leaves: the folder
        kept = {
            name: (folder.stage_dir(2, Stage.ROLLOUT) / name / "trajectory.json").stat().st_mtime_ns
            for name in ids(folder, 2)
        }
        model.go.set()
        await rollout_stage(folder, 2, workers)
        assert len(kept) == 1
        for name, written in kept.items():
            assert (folder.stage_dir(2, Stage.ROLLOUT) / name / "trajectory.json").stat().st_mtime_ns == written
        assert set(read_carried(folder, 1)[0].names()) <= set(ids(folder, 2))


async def test_a_crash_between_the_decision_and_the_moving_is_completed(
    served: Services, write_config: WriteConfig
) -> None:
    folder, workers = served.use(new_run(write_config))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        await rollout_stage(folder, 1, workers)
        await workers.close_all()
        (moved,) = ids(folder, 2)
        old, new = (TrajectoryStore(folder.stage_dir(number, Stage.ROLLOUT)) for number in (1, 2))
        old.take_over(new, moved)
        (folder.stage_dir(1, Stage.ROLLOUT) / "done.json").unlink()
        asked = model.completions

        report = await rollout_stage(folder, 1, workers)

        assert (report.counts["rounds"], report.counts["carried_out"], model.completions) == (0, 1, asked)
        assert ids(folder, 2) == [moved] and moved not in ids(folder, 1)


async def test_the_last_iteration_waits_for_all(served: Services, write_config: WriteConfig) -> None:
    folder, workers = served.use(new_run(write_config, "iterations=1", "rollout.ahead=2"))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        stage = asyncio.create_task(rollout_stage(folder, 1, workers))
        await asyncio.sleep(1)
        assert not stage.done()
        model.go.set()
        report = await stage
        assert (report.counts["trajectories"], report.counts["carried_out"]) == (4, 0)


async def test_killed_stragglers_are_no_result(served: Services, write_config: WriteConfig) -> None:
    overrides = ["rollout.stragglers=kill", "rollout.completion_grace_period=0.3"]
    folder, workers = served.use(new_run(write_config, *overrides))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        report = await rollout_stage(folder, 1, workers)
        model.go.set()
        await judge_stage(folder, 1)
        failures = read_failures(folder.stage_dir(1, Stage.ROLLOUT) / "failures.jsonl")
        assert [failed.failure.code for failed in failures] == ["STRAGGLER"]
        assert (report.counts["trajectories"], report.counts["failed"]) == (4, 1)
        assert sorted(verdict.reward is None for verdict in read_verdicts(folder.stage_dir(1, Stage.JUDGE))) == [
            *[False] * 3,
            True,
        ]


async def test_groups_are_begun_ahead_when_nothing_else_waits(served: Services, write_config: WriteConfig) -> None:
    folder, workers = served.use(new_run(write_config, "rollout.ahead=1", "rollout.completion_threshold=1"))
    with running_model(socket_path(folder.config.services.state_dir)) as model:
        model.held = {2}
        stage = asyncio.create_task(rollout_stage(folder, 1, workers))
        async with asyncio.timeout(30):  # the slot that is free plays on while the other one's model is slow
            while not any(group.extra for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)):  # noqa: ASYNC110 (a file)
                await asyncio.sleep(0.05)
        model.go.set()
        report = await stage
        assert report.counts["trajectories"] + 2 * report.counts["carried_out"] in (4, 6)
        assert report.metrics["slots_busy_while_queued"] > 0.9


async def test_a_group_that_taught_nothing_is_replaced(served: Services, write_config: WriteConfig) -> None:
    overrides = ["rollout.replace_zero_signal=1", "rollout.completion_threshold=1"]
    folder, workers = served.use(new_run(write_config, *overrides))
    with running_model(socket_path(folder.config.services.state_dir)):
        report = await rollout_stage(folder, 1, workers)  # every click earns its reward, so no group teaches anything
    extras = [group.extra for group in planned_groups(folder.inputs, 1, Stage.ROLLOUT)]
    assert extras == ["", "", "replacement"]
    assert report.counts["trajectories"] == 6
