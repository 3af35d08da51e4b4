"""Flows of single stages under a real Prefect server, and the deployments that prefect.yaml makes of them."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flow_engine import run_flow_async
from prefect.states import State

from flows.services.processes import MARKER
from flows.settings.checkout import PROJECT
from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.stage_flows import DEPLOYMENT_OF, evaluate, rollout, sft, update
from storage.stages import Stage, StageKey, StageReport
from storage.verdicts import VERDICTS

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, _, name = deployment["entrypoint"].partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_a_form_describes_every_field(deployment: dict[str, Any]) -> None:
    fields = flow_of(deployment).parameters.properties

    if "internal" not in deployment["tags"]:
        assert fields and all(field["description"] for field in fields.values()), fields
    assert set(deployment.get("parameters", {})) <= set(fields)
    assert "rl-loop" in deployment["tags"]


def test_every_stage_has_a_deployment_and_the_nightly_one_is_off() -> None:
    names = {deployment["name"]: deployment for deployment in DEPLOYMENTS}

    assert set(DEPLOYMENT_OF.values()) <= set(names) and set(DEPLOYMENT_OF) == set(Stage)
    assert [schedule["active"] for schedule in names["evaluate"]["schedules"]] == [False]
    assert names["update"]["concurrency_limit"]["limit"] == 1


@pytest.fixture
def played(
    config: LoopConfig, running_stack: Callable[[LoopConfig], None], monkeypatch: pytest.MonkeyPatch
) -> RunFolder:
    """A run that stands before its first rollout, seen from a worker of its services."""
    running_stack(config)
    monkeypatch.setenv(MARKER, str(config.services.state_dir))
    folder = RunFolder.create("staged", config)
    folder.finish(StageReport(stage=Stage.EVALUATE, iteration=0, seconds=1.0, metrics={"success_rate": 0.5}))
    return folder


async def state_of(flow: Flow[..., Any], **parameters: Any) -> State[Any]:
    async with asyncio.timeout(120):
        state = await run_flow_async(flow, parameters=parameters, return_type="state")
    assert isinstance(state, State)
    return state


@pytest.mark.usefixtures("prefect_server")
async def test_a_stage_runs_only_when_it_is_next(played: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[StageKey] = []

    async def finishes(folder: RunFolder, key: StageKey, *_: object) -> StageReport:
        ran.append(key)
        return folder.finish(StageReport(stage=key.stage, iteration=key.iteration, seconds=1.0))

    monkeypatch.setattr("flows.rl_loop.run_stage", finishes)
    refused = await state_of(update, run="staged")
    done = await state_of(rollout, run="staged")

    assert refused.is_failed() and "run staged: the next stage is iteration 1" in str(refused.message), refused
    assert "start the deployment rollout, or rl-loop for all that is left" in str(refused.message)
    assert done.is_completed() and ran == [StageKey(1, Stage.ROLLOUT)]
    assert played.next_stage() == StageKey(1, Stage.JUDGE)
    assert len(played.record().prefect_flow_runs) == 2


@pytest.mark.usefixtures("prefect_server")
async def test_the_newest_run_is_measured_once(played: RunFolder) -> None:
    state = await state_of(evaluate)

    assert state.is_completed() and state.name == "NothingToDo", state
    assert state.message == "policy v0000 of staged is measured already"


@pytest.mark.usefixtures("prefect_server")
async def test_an_unknown_run_is_one_sentence(played: RunFolder) -> None:
    state = await state_of(rollout, run="absent")

    assert state.is_failed() and "no run absent in" in str(state.message) and "runs there: staged" in str(state.message)


@pytest.mark.usefixtures("prefect_server")
async def test_a_warm_start_needs_something_to_imitate(played: RunFolder) -> None:
    nothing = await state_of(sft, run="staged", to="policies/warm")
    played.finish(StageReport(stage=Stage.JUDGE, iteration=1, seconds=1.0))
    broken = await state_of(sft, run="staged", to="policies/warm")

    assert nothing.is_failed() and "staged has no judged iteration; there is nothing to imitate" in str(nothing.message)
    assert broken.is_failed() and "does not exist; expected the stage folder of a rollout" in str(broken.message), (
        broken
    )

    played.stage_dir(1, Stage.ROLLOUT).mkdir(parents=True)
    (played.stage_dir(1, Stage.JUDGE) / VERDICTS).write_text("")
    failed = await state_of(sft, run="staged", to="policies/warm")
    assert failed.is_failed() and "the warm start ended with status 2: " in str(failed.message), failed
    assert (played.logs / "sft-warm.log").exists()
