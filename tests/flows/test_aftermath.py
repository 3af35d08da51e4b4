"""Cleanup of a lost process's runs in Prefect and MLflow. Real Prefect server, MLflow on SQLite."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from mlflow import MlflowClient
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Pending, Running
from test_run_folder import HOLDER

from flows.commands import watching
from flows.commands.watching import Pulse, RunFailed, follow
from flows.far_shard import server_url
from flows.rl_loop import bury_earlier, settle_lost
from flows.services.prefect_api import PrefectServer, started_by
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.stages.loop import run_loop
from flows.starting.aftermath import settle
from flows.starting.starting import note_flow_run
from flows.tracking import tracking
from flows.tracking.logged import is_logged, read_status
from storage.errors import ServicesError
from storage.heartbeat import beating
from storage.stages import Stage, StageKey, StageReport

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:unclosed")


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Generator[SyncPrefectClient]:
    """A client that asks again where SQLite is locked."""
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def server(client: SyncPrefectClient) -> Generator[PrefectServer]:
    with PrefectServer(server_url()) as server:
        yield server


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("mlflow")
    url = f"sqlite:///{folder}/mlflow.db"
    tracking.connect(url).create_experiment(tracking.EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    return url


class Mlflow:
    """MLflow that a test can switch off."""

    def __init__(self, url: str) -> None:
        self.url, self.is_away = url, False

    def reachable(self, folder: RunFolder) -> str:
        if self.is_away:
            raise ServicesError("MLflow is away")
        return self.url

    def status(self, folder: RunFolder) -> str:
        return self.run(folder).info.status

    def run(self, folder: RunFolder) -> Any:
        run_id = folder.record().mlflow_run_id
        assert run_id is not None
        return MlflowClient(tracking_uri=self.url).get_run(run_id)


@pytest.fixture
def mlflow(mlflow_url: str, monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    mlflow = Mlflow(mlflow_url)
    monkeypatch.setattr(tracking, "reachable", mlflow.reachable)
    return mlflow


class Family(NamedTuple):
    """A flow run that is Running with its stage's task and subflow, and a shard's below them."""

    loop: str
    flows: list[UUID]
    tasks: list[UUID]


@flow(name="any")
def any_flow() -> None: ...


@task(name="any")
def any_task() -> None: ...


def family(client: SyncPrefectClient) -> Family:
    flows = [client.create_flow_run(any_flow, state=Running()).id]
    tasks: list[UUID] = []
    for level in range(2):
        made = client.create_task_run(any_task, flow_run_id=flows[-1], dynamic_key=str(level), state=Running())
        tasks.append(made.id)
        flows.append(client.create_flow_run(any_flow, parent_task_run_id=made.id, state=Running()).id)
    return Family(str(flows[0]), flows, tasks)


def states(client: SyncPrefectClient, family: Family) -> list[str]:
    runs = [client.read_flow_run(one).state for one in family.flows]
    return [state.type.value for state in [*runs, *(client.read_task_run(one).state for one in family.tasks)] if state]


def killed_writer(folder: RunFolder) -> int:
    """Pid of a process that held the run and was killed."""
    command = [sys.executable, "-c", HOLDER, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        os.kill(holder.pid, signal.SIGKILL)
    return holder.pid


def test_children_of_a_lost_run_are_crashed_too(client: SyncPrefectClient, server: PrefectServer) -> None:
    lost, other = family(client), family(client)

    assert server.bury([lost.loop]) == 5
    assert states(client, lost) == ["CRASHED"] * 5 and states(client, other) == ["RUNNING"] * 5
    assert server.bury([lost.loop]) == 0


def test_children_are_found_below_a_run_that_prefect_knows_to_be_crashed(
    client: SyncPrefectClient, server: PrefectServer
) -> None:
    """The worker noticed the end of the process, and marked only the flow run."""
    lost = family(client)
    client.set_flow_run_state(lost.flows[0], Crashed(), force=True)
    client.set_flow_run_state(lost.flows[1], Crashed(), force=True)

    server.bury([lost.loop])
    assert states(client, lost) == ["CRASHED"] * 5


def test_a_rank_that_has_outlived_its_stage_is_found_too(client: SyncPrefectClient, server: PrefectServer) -> None:
    lost, other = family(client), family(client)
    client.set_flow_run_state(lost.flows[1], Completed(), force=True)
    ranks = [
        client.create_flow_run(any_flow, parent_task_run_id=lost.tasks[1], tags=[started_by(one.loop)], state=Running())
        for one in (lost, other)
    ]

    server.bury([lost.loop])
    found = [client.read_flow_run(rank.id).state for rank in ranks]
    assert [state.type.value for state in found if state] == ["CRASHED", "RUNNING"]


def test_a_retry_of_the_same_flow_run_buries_what_its_first_process_left(
    client: SyncPrefectClient, config: LoopConfig
) -> None:
    mine, earlier = family(client), family(client)
    folder = RunFolder.create("retried", config)
    for one in (earlier, mine):
        note_flow_run(folder, one.loop)

    bury_earlier(folder, mine.loop)
    assert states(client, mine) == ["RUNNING", *["CRASHED"] * 4]
    assert states(client, earlier) == ["CRASHED"] * 5


def test_the_watching_command_ends_with_the_truth(
    client: SyncPrefectClient,
    server: PrefectServer,
    mlflow: Mlflow,
    config: LoopConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "GONE_S", 0.5)
    lost, folder = family(client), RunFolder.create("lost", config)
    note_flow_run(folder, lost.loop)
    assert tracking.sync(folder, status="RUNNING")
    pids: list[int] = []

    def show(view: Any) -> None:
        if not pids:
            pids.append(killed_writer(folder))

    began = time.monotonic()
    with pytest.raises(RunFailed) as caught:
        follow(server, lost.loop, folder.root, show)
    assert time.monotonic() - began < 60
    said = str(caught.value)
    assert (
        f"run lost ended as CRASHED: process {pids[0]} on " in said
        and f"`rl-loop resume {folder.root}` goes on" in said
    )
    assert states(client, lost) == ["CRASHED"] * 5
    assert mlflow.status(folder) == "KILLED"


def test_the_writer_that_was_lost_before_the_watching_began_is_another_one(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    killed_writer(folder)
    pulse = Pulse(folder.root)
    assert pulse.gone("RUNNING", 0.0) is None and pulse.gone("RUNNING", watching.GONE_S + 1) is None
    with folder.lock():
        assert pulse.gone("RUNNING", 1_000.0) is None, "it lives"
    killed_writer(folder)
    assert pulse.gone("RUNNING", 2_000.0) is None, "its worker may know better"
    assert "is gone" in (pulse.gone("RUNNING", 2_000.0 + watching.GONE_S + 1) or "")
    assert pulse.gone("SCHEDULED", 3_000.0) is None, "nobody has taken it up"


def test_a_run_that_nobody_plays_although_a_worker_took_it_up_is_given_up(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    pulse = Pulse(folder.root)
    assert pulse.gone("PENDING", 1.0) is None and pulse.gone("PENDING", watching.BEGINS_S) is None
    assert "no process has played it for 3" in (pulse.gone("PENDING", watching.BEGINS_S + 2) or "")
    with beating(folder.root):
        assert pulse.gone("RUNNING", watching.BEGINS_S + 3) is None


def test_the_workers_hook_settles_a_run_whose_process_is_gone(
    client: SyncPrefectClient, mlflow: Mlflow, config: LoopConfig, write_config: Any
) -> None:
    lost, folder = family(client), RunFolder.create("hooked", config)
    note_flow_run(folder, lost.loop)
    assert tracking.sync(folder, status="RUNNING")
    run = client.read_flow_run(lost.flows[0])
    reported = run.model_copy(update={"parameters": {"config": str(write_config()), "overrides": [], "run": "hooked"}})

    settle_lost(any_flow, FlowRun.model_validate(reported.model_dump()), Crashed())
    assert states(client, lost) == ["CRASHED"] * 5 and mlflow.status(folder) == "KILLED"
    nameless = reported.model_copy(update={"parameters": {"config": "no such file.yaml"}})
    settle_lost(any_flow, nameless, Pending())


def test_a_flow_run_that_was_refused_before_it_began_leaves_the_run_in_mlflow_as_it_is(
    client: SyncPrefectClient, server: PrefectServer, mlflow: Mlflow, config: LoopConfig
) -> None:
    played, refused, folder = family(client), family(client), RunFolder.create("played", config)
    note_flow_run(folder, played.loop)
    assert tracking.sync(folder, status="RUNNING")
    settle(folder, server, refused.loop, status="FAILED")
    assert states(client, refused) == ["CRASHED"] * 5 and mlflow.status(folder) == "RUNNING"
    settle(folder, server, played.loop, status="FAILED")
    assert mlflow.status(folder) == "FAILED"


async def test_a_cancelled_loop_ends_as_killed_in_mlflow(mlflow: Mlflow, config: LoopConfig) -> None:
    folder, begun = RunFolder.create("cancelled", config), asyncio.Event()

    async def stage(folder: RunFolder, key: StageKey, workers: object = None) -> None:
        begun.set()
        await asyncio.sleep(600)

    loop = asyncio.create_task(run_loop(folder, stage))
    await begun.wait()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert mlflow.status(folder) == "KILLED"


async def test_a_failed_loop_ends_as_failed_and_its_resume_as_finished(mlflow: Mlflow, config: LoopConfig) -> None:
    folder = RunFolder.create("failed", config)

    async def broken(folder: RunFolder, key: StageKey, workers: object = None) -> None:
        raise ServicesError("on purpose")

    with pytest.raises(ServicesError):
        await run_loop(folder, broken)
    assert mlflow.status(folder) == read_status(folder) == "FAILED"
    await run_loop(folder, finishes)
    assert mlflow.status(folder) == read_status(folder) == "FINISHED"


async def finishes(folder: RunFolder, key: StageKey, workers: object = None) -> None:
    metrics = {"success_rate": 0.25, "version": float(key.iteration)}
    folder.finish(StageReport(stage=key.stage, iteration=key.iteration, seconds=1.0, metrics=metrics))
    (folder.stage_dir(*key) / "verdicts.jsonl").write_text("")


async def test_what_was_not_logged_at_the_end_is_logged_by_a_resume_with_nothing_to_do(
    mlflow: Mlflow, config: LoopConfig
) -> None:
    folder = RunFolder.create("away", config)
    mlflow.is_away = True
    await run_loop(folder, finishes)
    assert folder.next_stage() is None and folder.record().mlflow_run_id is None
    assert not tracking.sync(folder), "it is still away"

    mlflow.is_away = False
    assert tracking.sync(folder)
    run = mlflow.run(folder)
    assert run.info.status == "FINISHED" and run.data.metrics["evaluate/success_rate"] == 0.25
    mlflow.is_away = True
    assert tracking.sync(folder), "there is nothing left to log"


async def test_half_of_a_run_that_was_logged_before_mlflow_went_away(mlflow: Mlflow, config: LoopConfig) -> None:
    folder = RunFolder.create("half", config)
    await finishes(folder, StageKey(0, Stage.EVALUATE))
    assert tracking.sync(folder, status="RUNNING") and mlflow.status(folder) == "RUNNING"
    mlflow.is_away = True
    await run_loop(folder, finishes_missing)
    mlflow.is_away = False
    assert tracking.sync(folder) and mlflow.status(folder) == "FINISHED"
    assert is_logged(folder, "FINISHED")


def test_an_iteration_without_a_signal_is_a_tag_in_mlflow(mlflow: Mlflow, config: LoopConfig) -> None:
    folder = RunFolder.create("silent", config)
    for iteration, version in ((1, 1), (2, 1)):
        counts = {"version": version, "steps": version}
        folder.finish(StageReport(stage=Stage.POLICY_UPDATE, iteration=iteration, seconds=1.0, counts=counts))
    assert tracking.sync(folder)
    data = mlflow.run(folder).data
    assert data.tags["no_signal"] == "iterations 2" and data.metrics["train/no_signal"] == 1.0


async def finishes_missing(folder: RunFolder, key: StageKey, workers: object = None) -> None:
    if not folder.is_done(*key):
        await finishes(folder, key)
