"""Automations in a real Prefect server, and what is done about a crashed flow run."""

import os
from collections.abc import Generator
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Crashed, Running, State

from flows.far_shard import server_url
from flows.services.automations import CRASHED, LOST, NOTIFY, make_automations
from flows.services.prefect_api import PrefectServer
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.settings.services_config import ServicesConfig
from flows.starting.recovering import losses, recover
from flows.starting.starting import note_flow_run
from storage.errors import ServicesError
from storage.stages import Stage, StageReport

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:unclosed:ResourceWarning"),
]


@flow(name="recover")
def recover_flow(resource: str) -> None: ...


@flow(name="rl-loop")
def loop_flow(config: str, overrides: list[str], run: str) -> None: ...


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Generator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        for one in (recover_flow, loop_flow):
            flow_id = client.create_flow(one)
            client.create_deployment(flow_id, one.name, parameter_openapi_schema=one.parameters.model_dump())
        yield client


@pytest.fixture
def server(client: SyncPrefectClient) -> Generator[PrefectServer]:
    with PrefectServer(server_url()) as server:
        yield server


def names(client: SyncPrefectClient) -> list[str]:
    return sorted(one["name"] for one in client.request("POST", "/automations/filter", json={}).json())


def test_repeating_up_changes_automations_and_adds_none(
    client: SyncPrefectClient, server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/hook")
    with_hook = ServicesConfig(notify_env="HOOK", notify_on=("iteration-finished", "run-ended"))
    for _ in range(2):
        make_automations(server, with_hook)
    assert names(client) == sorted([LOST, CRASHED, NOTIFY])
    make_automations(server, ServicesConfig())
    assert names(client) == sorted([LOST, CRASHED])


def test_an_address_that_is_not_there_is_a_sentence(server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "secret-but-no-address")
    with pytest.raises(ServicesError, match=r"expected an http\(s\) address in the environment variable HOOK") as error:
        make_automations(server, ServicesConfig(notify_env="HOOK"))
    assert "secret" not in str(error.value)


def crashed(client: SyncPrefectClient, folder: RunFolder, state: State[Any] | None = None) -> FlowRun:
    """A flow run of the loop that wrote the run and crashed."""
    parameters = {"config": str(folder.root / "config.yaml"), "overrides": [], "run": folder.name}
    made = client.create_flow_run(loop_flow, parameters=parameters, state=Running())
    note_flow_run(folder, str(made.id))
    client.set_flow_run_state(made.id, state or Crashed(), force=True)
    return made


def test_a_crashed_run_is_started_again_as_often_as_allowed(
    client: SyncPrefectClient, server: PrefectServer, config: LoopConfig
) -> None:
    services = config.services.model_copy(update={"resume_lost": 1})
    folder = RunFolder.create("lost", config.model_copy(update={"services": services}))
    first = crashed(client, folder)

    said = recover(server, str(first.id))
    assert "goes on with it" in said and said.startswith("run lost is cleaned up; flow run "), said
    again = server.read(said.split("flow run ")[1].split()[0])
    assert again.state == "SCHEDULED" and again.parameters["run"] == "lost"

    second = crashed(client, folder)
    assert recover(server, str(first.id)) == "another flow run goes on with lost"
    assert losses(folder, server) == 2
    assert "it was lost 2 times in succession, and services.resume_lost=1" in recover(server, str(second.id))

    folder.finish(StageReport(stage=Stage.EVALUATE, iteration=0, seconds=1.0))
    os.utime(folder.stage_dir(0, Stage.EVALUATE) / "done.json", (2**31, 2**31))
    assert losses(folder, server) == 1, "a finished stage is progress"


def test_without_leave_a_crashed_run_is_only_cleaned_up(
    client: SyncPrefectClient, server: PrefectServer, config: LoopConfig
) -> None:
    folder = RunFolder.create("left", config)
    gone = crashed(client, folder)
    child = client.create_flow_run(recover_flow, state=Running())

    assert "rl-loop resume goes on with it" in recover(server, str(gone.id))
    assert recover(server, str(child.id)) == "nothing to do: the flow run is RUNNING"


def test_a_run_that_is_alive_is_running_again(
    client: SyncPrefectClient, server: PrefectServer, config: LoopConfig
) -> None:
    folder = RunFolder.create("alive", config)
    marked = crashed(client, folder)
    with folder.lock():
        assert "is alive, its heartbeats were late" in recover(server, str(marked.id))
    assert server.read(str(marked.id)).state == "RUNNING"


def test_a_cancelled_run_is_not_started_again(
    client: SyncPrefectClient, server: PrefectServer, config: LoopConfig
) -> None:
    services = config.services.model_copy(update={"resume_lost": 5})
    folder = RunFolder.create("unwanted", config.model_copy(update={"services": services}))
    made = crashed(client, folder, Cancelling())
    client.set_flow_run_state(made.id, Crashed(), force=True)

    assert recover(server, str(made.id)) == "run unwanted was cancelled; rl-loop resume goes on with it"
    assert server.read(str(made.id)).state == "CANCELLED"
