"""The users' own words train a policy: Prefect, vLLM, Chromium, TRL and MLflow, all real."""

import re

import pytest
from real_stack import Stack
from run_invariants import check_finished, check_unchanged, finished_files

from flows.prefect_api import PrefectServer
from flows.run_folder import Stage
from flows.service_specs import PREFECT
from flows.watching import sentence

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]


def test_prefect_deployment_run_trains_and_a_resume_has_nothing_to_do(stack: Stack) -> None:
    command = ("deployment", "run", "rl-loop", "--watch", "-p", f"config={stack.config}", "-p", "run=whole")
    trained = stack.prefect(*command)

    assert trained.status == 0, trained.out
    folder = stack.folder("whole")
    stages = [f"{report.iteration} {report.stage}" for report in folder.reports()]
    assert stages == [
        *("0 evaluate", "1 rollout", "1 judge", "1 policy_update"),
        *("2 rollout", "2 judge", "2 policy_update", "2 evaluate"),
    ]
    for iteration in (1, 2):
        report = folder.report(iteration, Stage.POLICY_UPDATE)
        assert report is not None
        # An update without signal makes no version; check_finished compares its report with what is on disk.
        assert ("checkpoint_to_served_s" in report.metrics) == (report.counts["version"] == iteration)
    check_finished(stack, "whole")

    before = finished_files(folder.root)
    resumed = stack.rl_loop("resume", "whole", "-c", stack.config)
    assert resumed.status == 0, resumed.out
    assert "nothing to do: all 2 iterations of whole are finished" in resumed.out
    assert check_unchanged(before, folder.root) == before


def test_a_mistake_in_a_parameter_is_one_sentence_in_prefect(stack: Stack) -> None:
    command = ("deployment", "run", "rl-loop", "--watch", "-p", f"config={stack.config}", "-p", "run=wrong")
    refused = stack.prefect(*command, "-p", 'overrides=["rollout.group_sise=8"]')

    assert refused.status == 1
    (flow_run_id,) = re.findall(r"UUID: (\S+)", refused.out)
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        shown = server.read(flow_run_id).message
    assert sentence(shown) == "rollout.group_sise: unknown key; did you mean group_size?"
    assert not (stack.loop.runs_dir / "wrong").exists()
