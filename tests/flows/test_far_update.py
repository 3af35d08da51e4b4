"""A policy update by a worker of another machine, which the test stands for: real Prefect server, real heartbeats."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from eventually import until
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed, Failed, State

from flows.far_update import train_on_worker
from flows.policy.waiting import StageError
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:unclosed")


@flow(name="train")
def train_flow(root: str, iteration: int, traceparent: str | None = None) -> None: ...


@pytest.fixture
def client(prefect_server: None) -> Generator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow(train_flow), "train")
        yield client


@flow(name="some-loop")
async def some_loop(root: str) -> None:
    """Stands for the loop, whose update it makes."""
    await train_on_worker(RunFolder.open(Path(root)), 1)


def folder_of(config: LoopConfig, name: str, *, deadline_s: float) -> RunFolder:
    services = config.services.model_copy(update={"update_pool": "gpu"})
    policy = config.policy.model_copy(update={"update_deadline_s": deadline_s})
    return RunFolder.create(name, config.model_copy(update={"services": services, "policy": policy}))


def scheduled(client: SyncPrefectClient) -> list[FlowRun]:
    """The updates that wait for a worker; tests before this one may have left runs of other flows."""
    is_waiting = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    of_updates = FlowFilter(name=FlowFilterName(any_=["train"]))
    return client.read_flow_runs(flow_filter=of_updates, flow_run_filter=FlowRunFilter(state=is_waiting))


async def taken_up(client: SyncPrefectClient) -> FlowRun:
    """The flow run that waits for a worker, as soon as there is one."""
    await until(lambda: scheduled(client), "an update that waits for a worker")
    return scheduled(client)[0]


async def ended_as(client: SyncPrefectClient, folder: RunFolder, state: State[Any]) -> None:
    """An update whose flow run ends like this."""
    waiting = asyncio.create_task(some_loop(str(folder.root)))
    run = await taken_up(client)
    assert run.parameters == {"root": str(folder.root), "iteration": 1, "traceparent": None}
    client.set_flow_run_state(run.id, state, force=True)
    async with asyncio.timeout(60):
        await waiting


async def test_an_update_is_made_by_the_worker_that_takes_it(client: SyncPrefectClient, config: LoopConfig) -> None:
    folder = folder_of(config, "far", deadline_s=60)
    await ended_as(client, folder, Completed())
    folder.logs.mkdir(exist_ok=True)
    folder.update_log(1).write_text("the last words\n")
    with pytest.raises(StageError, match=r"iteration 1 ended as Failed in the pool gpu: the last words \(see .*log"):
        await ended_as(client, folder, Failed())


async def test_an_update_that_no_worker_takes_is_not_waited_for_without_end(
    client: SyncPrefectClient, config: LoopConfig
) -> None:
    folder = folder_of(config, "impatient", deadline_s=3)
    with pytest.raises(StageError, match=r"within 3 s .*; is a worker of the pool gpu running"):
        await some_loop(str(folder.root))
    assert scheduled(client) == [], "no worker may begin it beside the resumed loop"
