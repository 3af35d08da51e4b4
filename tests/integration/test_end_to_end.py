"""The users' own words train a policy: Prefect, vLLM, Chromium, TRL and MLflow, all real."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from real_stack import Stack, served_version, wait_until
from run_invariants import check_finished, check_unchanged, finished_files

from flows.commands.checkup import findings
from flows.commands.watching import sentence
from flows.services.prefect_api import FlowRun, PrefectError, PrefectServer
from flows.services.specs import PREFECT
from flows.settings.run_folder import RunFolder
from rollouts.plan import assigned, plan, planned_groups
from rollouts.ranks.orders import Close, RankFiles
from storage.heartbeat import read_heartbeat
from storage.run_layout import RunLayout
from storage.stages import Stage
from storage.store import TrajectoryStore

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]


def test_prefect_deployment_run_trains_and_the_finished_run_grows(stack: Stack, unused: Callable[[str], str]) -> None:
    name = unused("whole")
    command = ("deployment", "run", "rl-loop", "--watch", "-p", f"config={stack.config}", "-p", f"run={name}")
    trained = stack.prefect(*command, "-p", 'overrides=["iterations=1"]')

    assert trained.status == 0, trained.out
    folder = stack.folder(name)
    stages = [f"{report.iteration} {report.stage}" for report in folder.reports()]
    assert stages == ["0 evaluate", "1 rollout", "1 judge", "1 policy_update", "1 evaluate"]
    check_finished(stack, name)

    before = finished_files(folder.root)
    resumed = stack.rl_loop("resume", name, "-c", stack.config)
    assert resumed.status == 0, resumed.out
    assert "nothing to do: all 1 iterations of whole are finished" in resumed.out
    dashboard = re.search(r"dashboard: +(http://\S+)/#/run/whole", resumed.out)
    assert dashboard is not None, resumed.out
    runs = httpx.get(f"{dashboard[1]}/api/runs", timeout=30.0)
    assert runs.status_code == 200, runs.text
    assert "whole" in runs.text
    assert check_unchanged(before, folder.root) == before

    # From the form, with its default configuration file: nothing to do, and then one iteration more.
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        again = ended(server, run=name)
        assert again.state == "COMPLETED", again
        assert again.message.startswith("nothing to do: all 1 iterations of whole are finished; `rl-loop resume ")
        assert check_unchanged(before, folder.root) == before
        longer = ended(server, run=name, overrides=["iterations=2"])
        assert longer.state == "COMPLETED", longer
    assert check_unchanged(before, folder.root) != before
    assert [key.iteration for key in stack.folder(name).schedule()][-1] == 2
    for iteration in (1, 2):
        report = stack.folder(name).report(iteration, Stage.POLICY_UPDATE)
        assert report is not None
        # An update without signal makes no version; check_finished compares its report with what is on disk.
        assert ("checkpoint_to_served_s" in report.metrics) == (report.counts["version"] == iteration)
    check_finished(stack, name)


def ended(server: PrefectServer, **parameters: object) -> FlowRun:
    """A run from Prefect's form, when it is over."""
    run = server.start(name="from-the-form", parameters=parameters)
    wait_until("the end of the flow run", lambda: server.read(run.id).is_over, every_s=0.5)
    return server.read(run.id)


def test_the_form_refuses_what_the_command_line_refuses(stack: Stack) -> None:
    before = sorted(stack.home.glob("*"))
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        with pytest.raises(PrefectError, match=r"'colour' was unexpected"):
            server.start(name="wrong", parameters={"config": str(stack.config), "colour": "red"})
        outside = ended(server, config=str(stack.config), run="../outside")
        served = ended(server, config=str(stack.config), run="wrong", overrides=["serving.max_model_len=96"])

    assert outside.state == "FAILED" and "a run's name begins with a letter or digit" in outside.message
    assert served.state == "FAILED" and "and not 96; ask for what runs" in served.message
    assert sorted(stack.home.glob("*")) == before and not (stack.loop.runs_dir / "wrong").exists()


def test_a_mistake_in_a_parameter_is_one_sentence_in_prefect(stack: Stack) -> None:
    command = ("deployment", "run", "rl-loop", "--watch", "-p", f"config={stack.config}", "-p", "run=wrong")
    refused = stack.prefect(*command, "-p", 'overrides=["rollout.group_sise=8"]')

    assert refused.status == 1
    (flow_run_id,) = re.findall(r"UUID: (\S+)", refused.out)
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        shown = server.read(flow_run_id).message
    assert sentence(shown) == "rollout.group_sise: unknown key; did you mean group_size?"
    assert not (stack.loop.runs_dir / "wrong").exists()


@pytest.mark.chaos
def test_workers_play_beside_the_update_and_one_that_is_killed_is_replaced(
    stack: Stack, unused: Callable[[str], str]
) -> None:
    name = unused("ranks")
    ranks = ["rollout.ranks=workers", "rollout.shards=2", "rollout.rank_load_weight=[1, 2]"]
    root = stack.loop.runs_dir / name
    following = TrajectoryStore(RunLayout(root).stage_dir(2, Stage.ROLLOUT))
    with stack.started(
        "run", stack.config, "--name", name, "iterations=3", "rollout.overlap=one_step", *ranks
    ) as command:
        wait_until("an episode of the next iteration", following.ids, during=command)
        folder = stack.folder(name)
        assert not folder.is_done(1, Stage.POLICY_UPDATE), "it is played beside judging and the update"
        (beats,) = (path.parent for path in folder.rank_dir(1).glob("*/heartbeat.json"))
        beat = read_heartbeat(beats)
        assert beat is not None and not beat.ended, "the rank outlives its stage"
        os.kill(beat.process.pid, signal.SIGKILL)
        done = command.wait()

    assert done.status == 0, done.out
    assert [finding for finding in findings(folder.root) if not finding.ok] == []
    mine = assigned(planned_groups(folder.inputs, 1, Stage.ROLLOUT), folder.config.rollout.weights())
    assert len(mine[0]) < len(mine[1])
    kept = [one for number in (1, 2, 3) for one in TrajectoryStore(folder.stage_dir(number, Stage.ROLLOUT)).ids()]
    planned = {slot.trajectory_id for number in (1, 2, 3) for slot in plan(folder.inputs, number, Stage.ROLLOUT)}
    assert sorted(kept) == sorted(planned), "each planned episode is stored once"
    for iteration in (2, 3):
        report = folder.report(iteration, Stage.ROLLOUT)
        assert report is not None and report.metrics["policy_age_max"] <= 1
    for shard in (0, 1):
        told = RankFiles(folder.rank_dir(shard)).order()
        assert told is not None and told.order == Close()
        assert not list(folder.rank_dir(shard).glob("*/heartbeat.json")), "no process is left"


@pytest.mark.chaos
def test_what_is_unfinished_is_learned_from_later(stack: Stack, unused: Callable[[str], str]) -> None:
    name = unused("carried")
    overrides = ["rollout.completion_threshold=0.5", "rollout.ahead=2", "iterations=3"]
    trained = stack.rl_loop("run", stack.config, "--name", name, *overrides)

    assert trained.status == 0, trained.out
    folder = stack.folder(name)
    assert [finding for finding in findings(folder.root) if not finding.ok] == []
    reports = [folder.report(iteration, Stage.ROLLOUT) for iteration in (1, 2, 3)]
    counts = [report.counts for report in reports if report is not None]
    assert counts[0]["carried_out"] == counts[1]["carried_in"] > 0
    assert counts[1]["carried_out"] == counts[2]["carried_in"] and counts[2]["carried_out"] == 0
    for iteration in (1, 2, 3):
        store = TrajectoryStore(folder.stage_dir(iteration, Stage.ROLLOUT))
        for trajectory in store:
            sampled = {step.completion.policy_version for step in trajectory.steps if step.completion}
            assert trajectory.failure is None and sampled <= {iteration - 2, iteration - 1}
    names = [name for one in (1, 2, 3) for name in TrajectoryStore(folder.stage_dir(one, Stage.ROLLOUT)).ids()]
    assert len(names) == len(set(names))


def test_the_loop_on_one_page_makes_an_iteration(stack: Stack) -> None:
    done = stack.example("loop_in_one_page", stack.config)

    assert done.status == 0, done.out
    printed = re.search(r"(\d+) episodes, success \d+%, .*'loss'.*\nserved and proved: .*; see (\S+)", done.out)
    assert printed is not None, done.out
    folder = RunFolder.open(Path(printed[2]))
    assert int(printed[1]) == len(TrajectoryStore(folder.stage_dir(1, Stage.ROLLOUT)).ids())
    assert served_version(stack) == f"{folder.name}:1"
