"""`kill -9` during many episodes: afterwards exactly the missing ones are played, and none is counted twice."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from loop_configs import WriteConfig
from real_services import Service, free_port, running_service, supervised
from stand_in_model import StandInModel, running_model

from flows.services.model_servers import socket_path
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.rollout import rollout_stage
from rollouts.shard_workers import ShardWorkers
from storage.failed_attempts import read_failures
from storage.stages import Stage
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import import_policy

pytestmark = pytest.mark.browser
EPISODES = 64
FEW = 24
"""Of the test that every run makes; the others are left to `make chaos`."""
PLAYER = """
import asyncio, sys
from pathlib import Path
from flows.stages.rollout import rollout_stage
from flows.settings.run_folder import RunFolder
from rollouts.shard_workers import ShardWorkers
folder = RunFolder.open(Path(sys.argv[1]))
asyncio.run(rollout_stage(folder, 1, ShardWorkers(folder.inputs)))
"""


SLOW = partial(pytest.param, marks=pytest.mark.chaos)


@pytest.fixture(scope="module")
def fleet() -> Generator[Service]:
    """A master, two nodes, an instance of eight slots on each."""
    ports = ["--node-port", str(free_port()), "--instance-port", str(free_port())]
    quick = {"REPORT_INTERVAL_S": "0.2", "INSTANCE_TTL_S": "2", "REAP_INTERVAL_S": "0.1"}
    arguments = ("deploy", "--nodes", "2", "--slots", "16", "--instances", "1", *ports)
    with running_service(*arguments, **quick) as service:
        yield service


@contextmanager
def run(
    write_config: WriteConfig, fleet: Service, episodes: int = EPISODES
) -> Generator[tuple[RunFolder, StandInModel]]:
    groups = f"rollout.groups_per_iteration={episodes // 4}"
    shape = ["environment.domains=[click-test]", groups, "rollout.group_size=4"]
    config = load_config(write_config(), [*shape, "services.browser_slots=16", "rollout.concurrency=16"])
    folder = RunFolder.create("faults", config)
    import_policy(config.policy.model, folder.policies)
    supervised(config, fleet.url)
    with running_model(socket_path(config.services.state_dir)) as model:
        yield folder, model


def start_player(folder: RunFolder) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PLAYER, str(folder.root)], cwd=Path(__file__).parents[2])


def stored(folder: RunFolder) -> dict[str, int]:
    paths = folder.stage_dir(1, Stage.ROLLOUT).glob("*/trajectory.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


async def until(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def check(folder: RunFolder, before: dict[str, int], episodes: int = EPISODES) -> None:
    """All episodes are there once; those that were finished before are what they were."""
    after = stored(folder)
    assert len(after) == episodes
    assert {name: after[name] for name in before} == before
    trajectories = list(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)))
    assert all(trajectory.failure is None and trajectory.final_state["done"] for trajectory in trajectories)
    assert not list(folder.stage_dir(1, Stage.ROLLOUT).glob("*/steps.jsonl"))


@pytest.mark.parametrize("part", [SLOW("node"), SLOW("instance"), SLOW("master")])
async def test_a_part_of_the_fleet_is_killed(write_config: WriteConfig, fleet: Service, part: str) -> None:
    with run(write_config, fleet) as (folder, _):
        stage = asyncio.create_task(rollout_stage(folder, 1, ShardWorkers(folder.inputs)))
        await until(lambda: len(stored(folder)) >= 8 or stage.done(), "the first episodes")
        before = stored(folder)
        assert not stage.done()
        fleet.part(part).kill()
        await asyncio.wait_for(stage, 120)
        check(folder, before)
        codes = {failed.failure.side for failed in read_failures(folder.stage_dir(1, Stage.ROLLOUT) / "failures.jsonl")}
        assert codes <= {"infra"}


async def test_the_player_is_killed(write_config: WriteConfig, fleet: Service) -> None:
    with run(write_config, fleet, FEW) as (folder, _):
        player = start_player(folder)
        try:
            await until(lambda: len(stored(folder)) >= 4, "the first episodes")
            os.kill(player.pid, signal.SIGKILL)
        finally:
            player.kill()
            player.wait()
        before = stored(folder)
        assert len(before) < FEW
        await asyncio.wait_for(rollout_stage(folder, 1, ShardWorkers(folder.inputs)), 120)
        check(folder, before, FEW)


@pytest.mark.chaos
async def test_the_model_server_is_restarted_twice(write_config: WriteConfig, fleet: Service) -> None:
    with run(write_config, fleet) as (folder, model):
        model.restart_at = 10
        stage = asyncio.create_task(rollout_stage(folder, 1, ShardWorkers(folder.inputs)))
        await until(lambda: len(stored(folder)) >= 20 or stage.done(), "the first episodes")
        before = stored(folder)
        model.restart()
        report = await asyncio.wait_for(stage, 120)
        check(folder, before)
        assert report.counts["rounds"] >= 2
