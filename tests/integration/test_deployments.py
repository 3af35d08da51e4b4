"""The deployments of `rl-loop up` in a real Prefect server, and a run that is made stage by stage from its form."""

from collections.abc import Callable
from typing import Any

import pytest
from real_stack import Stack, wait_until
from run_invariants import check_finished

from flows.commands.operations import DEPLOYMENTS
from flows.services.prefect_api import FlowRun, PrefectError, PrefectServer
from flows.services.specs import PREFECT
from storage.stages import Stage

pytestmark = pytest.mark.stack


def server_of(stack: Stack) -> PrefectServer:
    return PrefectServer(stack.status().service(PREFECT).address)


def test_every_deployment_is_there_and_refuses_what_no_field_takes(stack: Stack) -> None:
    with server_of(stack) as server:
        found = {deployment["name"]: deployment for deployment in server.deployments()}
        with pytest.raises(PrefectError, match=r"'grpoo' is not .*"):
            server.start(name="wrong", parameters={"config": str(stack.config), "preset": "grpoo"})
        with pytest.raises(PrefectError, match="run"):
            server.start(name="wrong", parameters={}, deployment="rollout/rollout")

    assert (
        set(found)
        == {"rl-loop", "rollout", "judge", "update", "evaluate", "rejudge", "sft", "rank", "train", "recover"}
        == set(DEPLOYMENTS)
    )
    for deployment in found.values():
        assert (
            deployment["enforce_parameter_schema"]
            and not deployment["parameter_openapi_schema"]["additionalProperties"]
        )
    assert [schedule["active"] for schedule in found["evaluate"]["schedules"]] == [False]


@pytest.mark.chaos
def test_a_run_is_made_stage_by_stage(stack: Stack, unused: Callable[[str], str]) -> None:
    name = unused("staged")
    with server_of(stack) as server:

        def ended(deployment: str, **parameters: Any) -> FlowRun:
            run = server.start(name=name, parameters=parameters, deployment=f"{deployment}/{deployment}")
            wait_until(f"the end of {deployment}", lambda: server.read(run.id).is_over, every_s=0.5)
            return server.read(run.id)

        trained = stack.rl_loop("run", stack.config, "--name", name, "iterations=1")
        assert trained.status == 0, trained.out
        refused = ended("update", run=name)
        assert refused.state == "COMPLETED" and refused.message.startswith("nothing to do")

        folder = stack.folder(name)
        folder.changed_to(folder.config.model_copy(update={"iterations": 2}))
        assert ended("judge", run=name).state == "FAILED"
        for deployment in ("rollout", "judge", "update", "evaluate"):
            run = ended(deployment, run=name)
            assert run.state == "COMPLETED", run
        again = ended("rejudge", run=name, judge="verifier", iteration=2)
        assert again.state == "COMPLETED", again
    assert (folder.stage_dir(2, Stage.JUDGE) / "sets" / "verifier" / "verdicts.jsonl").exists()
    check_finished(stack, name)
