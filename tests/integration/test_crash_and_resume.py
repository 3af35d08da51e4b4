"""`kill -9` of the flow in the middle of each stage, and of the update while it writes: a resume finishes the run."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from real_stack import Running, Stack, collected, kill_flow, served_version, updates_of, wait_until
from run_invariants import Digests, check_finished, check_unchanged, finished_files

from flows.services.prefect_api import PrefectServer
from flows.services.specs import PREFECT
from flows.tracking.logged import read_status
from storage.stages import Stage, StageKey
from training.checkpointing.checkpoints import versions

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_800)]


def kill_while_collecting(command: Running, root: Path, iteration: int, stage: Stage) -> Digests:
    """Kill the flow under Prefect when a stage has its first trajectories. Returns what was finished by then."""
    wait_until(f"{stage} {iteration}", lambda: collected(root, iteration, stage), during=command)
    kill_flow(root)
    before = finished_files(root)
    assert not (root / "iterations" / f"{iteration:04d}" / stage / "done.json").exists(), "killed too late"
    ended = command.wait()
    assert ended.status == 1 and f"`rl-loop resume {root}` goes on" in " ".join(ended.out.split()), ended.out
    return before


@pytest.mark.parametrize(
    "everywhere",
    [pytest.param(False, id="in the rollout and the update"), pytest.param(True, id="always", marks=pytest.mark.chaos)],
)
def test_the_flow_is_killed_in_each_stage(
    stack: Stack, runs: Path, unused: Callable[[str], str], everywhere: bool
) -> None:
    name = unused("killed")
    root = runs / name
    resume = ("resume", name, "-c", stack.config)

    before: Digests = {}
    with stack.started("run", stack.config, "iterations=1", "--name", name) as command:
        stage = StageKey(0, Stage.EVALUATE) if everywhere else StageKey(1, Stage.ROLLOUT)
        before = kill_while_collecting(command, root, *stage)
    if everywhere:
        with stack.started(*resume) as command:
            before = kill_while_collecting(command, root, 1, Stage.ROLLOUT) | before
        check_unchanged(before, root)
        judging = stack.rl_loop(*resume, "--no-prefect", failpoint="judge.before_done:kill")
        assert judging.status == -9, judging.out
        before = check_unchanged(before, root)
        assert stack.folder(name).next_stage() == StageKey(1, Stage.JUDGE)

    with stack.started(*resume, "--no-prefect", failpoint="update.before_write:sleep=600") as command:
        log = root / "logs" / "update-0001.log"
        wait_until("training", lambda: log.exists() and "training on" in log.read_text(), during=command)
        assert len(updates_of(root)) == 1 and kill_flow(root) == command.pid
        wait_until("the end of the orphaned update", lambda: not updates_of(root))
    before = check_unchanged(before, root)
    assert stack.folder(name).next_stage() == StageKey(1, Stage.POLICY_UPDATE)

    if everywhere:
        with stack.started(*resume) as command:
            before = kill_while_collecting(command, root, 1, Stage.EVALUATE) | before
    retry_in_prefect(stack, stack.folder(name).record().prefect_flow_runs[-1])
    check_unchanged(before, root)
    check_finished(stack, name)


def retry_in_prefect(stack: Stack, flow_run_id: str) -> None:
    """Retries a flow run as the button of Prefect's page does, and waits for its end."""
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        wait_until("the worker's report of the kill", lambda: server.read(flow_run_id).is_over, every_s=0.5)
        retried = stack.prefect("flow-run", "retry", flow_run_id)
        assert retried.status == 0, retried.out
        wait_until("the end of the retry", lambda: server.read(flow_run_id).is_over, every_s=0.5)
        assert server.read(flow_run_id).state == "COMPLETED", server.read(flow_run_id)


def test_the_worker_is_killed_with_the_flow(stack: Stack, runs: Path, unused: Callable[[str], str]) -> None:
    name = unused("workerless")
    root = runs / name
    start = ("run", stack.config, "iterations=1", "evaluate.tasks=8", "--name", name)
    with stack.started(*start) as command:
        wait_until("an episode", lambda: collected(root, 0, Stage.EVALUATE), during=command)
        stack.service("worker").kill()
        pid = kill_flow(root)
        began = time.monotonic()
        ended = command.wait()
    said = " ".join(ended.out.split())
    assert ended.status == 1 and f"run {name} ended as CRASHED" in said, ended.out
    assert f"process {pid} on " in said and time.monotonic() - began < 120, ended.out
    folder = stack.folder(name)
    flow_runs = folder.record().prefect_flow_runs
    with PrefectServer(stack.status().service(PREFECT).address) as server:
        assert flow_runs and server.unfinished(flow_runs) == [] and server.bury(flow_runs) == 0
    assert read_status(folder) in ("KILLED", None), "MLflow was not begun, or was told"


@pytest.mark.chaos
def test_update_and_publish_are_killed_half_way(stack: Stack, runs: Path, unused: Callable[[str], str]) -> None:
    name = unused("half")
    root = runs / name
    policies = root / "policies"
    start = ("run", stack.config, "iterations=1", "evaluate.tasks=2", "--name", name, "--no-prefect")
    resume = ("resume", name, "-c", stack.config, "--no-prefect")

    publishing = stack.rl_loop(*start, failpoint="publish.after_reload:kill")
    assert publishing.status == -9, publishing.out
    assert served_version(stack) == "unproved half:0"

    half_a_file = stack.rl_loop(*resume, failpoint="checkpoint.half_file:kill")
    assert half_a_file.status == 1, half_a_file.out
    assert "the update of iteration 1 ended with status -9" in half_a_file.out
    assert versions(policies) == [0] and list(policies.glob("v0001.partial-*/model.safetensors"))
    before = finished_files(root)

    not_reported = stack.rl_loop(*resume, failpoint="checkpoint.after_rename:kill")
    assert not_reported.status == 1, not_reported.out
    assert versions(policies) == [0, 1]
    before = check_unchanged(before, root)

    restarts = stack.status().service("vllm").restarts
    with stack.started(*resume, failpoint="publish.after_reload:sleep=5") as command:
        wait_until("the reload", lambda: served_version(stack) == "unproved half:1", during=command)
        stack.service("vllm").kill()
        finished = command.wait()
    assert finished.status == 0, finished.out
    assert "vLLM was lost while half:1 was published (try 1)" in finished.out
    assert stack.status().service("vllm").restarts == restarts + 1
    check_unchanged(before, root)
    check_finished(stack, name)
