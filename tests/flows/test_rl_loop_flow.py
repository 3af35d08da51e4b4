"""The flow under a real Prefect server: the run folder decides, Prefect shows."""

import asyncio
import time
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from eventually import PATIENCE_S
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun
from prefect.flow_engine import run_flow_async
from prefect.states import State

from flows.prefect_plugin import full_name
from flows.rl_loop import rl_loop
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from storage.errors import ServicesError
from storage.stages import Stage, StageKey, StageReport

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect leaves its clients to the collector
]


async def task_runs(flow_run_id: UUID) -> list[TaskRun]:
    async with get_client() as client:
        return await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))


async def run_flow(config_file: Path, run: str) -> State:
    state = await run_flow_async(rl_loop, parameters={"config": str(config_file), "run": run}, return_type="state")
    assert isinstance(state, State)
    return state


async def test_finished_stages_are_skipped_and_nothing_runs_twice(write_config, config: LoopConfig) -> None:
    folder = RunFolder.create("small", config)
    for iteration, stage in folder.schedule():
        folder.finish(StageReport(stage=stage, iteration=iteration, seconds=1.0, metrics={"success_rate": 0.25}))
    before = {path: path.stat().st_mtime_ns for path in folder.root.glob("iterations/*/*/done.json")}

    state = await run_flow(write_config(), "small")

    assert state.is_completed(), state
    assert await state.result() == str(folder.root)
    assert state.name == "NothingToDo" and state.message is not None
    assert state.message.startswith("nothing to do: all 2 iterations of small are finished; `rl-loop resume ")
    assert state.message.endswith("/small iterations=4` makes it longer")
    assert {path: path.stat().st_mtime_ns for path in folder.root.glob("iterations/*/*/done.json")} == before
    assert state.state_details.flow_run_id is not None
    names: list[str | None] = []
    async with asyncio.timeout(PATIENCE_S):  # task states reach the server in the background
        while names != ["Skipped"] * 8:
            await asyncio.sleep(0.1)
            names = [run.state_name for run in await task_runs(state.state_details.flow_run_id)]
    assert folder.record().prefect_flow_runs == [str(state.state_details.flow_run_id)]
    assert (folder.root / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


async def test_an_update_without_a_signal_has_a_name_of_its_own(
    write_config, config: LoopConfig, running_stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    running_stack(config)

    async def learns_nothing(folder: RunFolder, key: StageKey, *_: object) -> StageReport:
        counts = {"version": 0, "steps": 0}
        return folder.finish(StageReport(stage=key.stage, iteration=key.iteration, seconds=1.0, counts=counts))

    monkeypatch.setattr("flows.rl_loop.run_stage", learns_nothing)
    state = await run_flow(write_config(iterations=1), "silent")

    assert state.is_completed() and state.state_details.flow_run_id is not None, state
    named = {"0001 judge": "Completed", "0001 policy_update": "NoSignal"}
    deadline = time.monotonic() + 60
    while True:  # task states reach the server in the background
        found = {run.name: run.state_name for run in await task_runs(state.state_details.flow_run_id)}
        if named.items() <= found.items():
            break
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)
    async with get_client() as client:
        shown = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["run-silent"])))
    assert 2 <= len(shown) <= 5, "stages of a moment share a version; the UI shows the latest"
    table = str(max((one for one in shown), key=lambda one: one.created or datetime.min).data)
    (row,) = [line for line in table.splitlines() if line.startswith("| 1 |")]
    assert "| iteration | train success |" in table and row.count("| 1.0 ") == len(Stage), "the last stage is in it"


async def test_without_services_the_flow_fails_with_a_sentence(write_config, config: LoopConfig) -> None:
    state = await run_flow(write_config(), "alone")

    assert state.is_failed()
    with pytest.raises(ServicesError, match=r"no services were started from .*; run `rl-loop up` first"):
        await state.result()
    assert not (config.runs_dir / "alone").exists()


async def test_a_run_that_is_being_written_is_refused(write_config, config: LoopConfig, running_stack) -> None:
    running_stack(config)
    with RunFolder.create("busy", config).lock():
        state = await run_flow(write_config(), "busy")

    assert state.is_failed() and "run busy is being written by process" in (state.message or "")


def test_a_deployment_name_without_a_slash_is_completed() -> None:
    assert full_name("rl-loop") == "rl-loop/rl-loop"
    assert full_name("a/b") == "a/b"
