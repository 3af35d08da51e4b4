"""Invariants of every run, however often it was killed: nothing twice, nothing lost, nothing skipped."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from real_stack import Stack, read_json

from flows.commands.checkup import findings
from flows.policy.publishing import policy_version
from flows.policy.served_by import tag_of
from flows.services.model_servers import socket_path
from flows.services.specs import MLFLOW
from flows.settings.run_folder import RunFolder
from flows.tracking.summary import CURVE
from flows.tracking.tracking import EXPERIMENT, loop_tag, metrics_of
from rollouts.plan import plan
from storage.failed_attempts import read_failures
from storage.stages import Stage
from storage.store import TrajectoryStore
from training.checkpointing.checkpoints import checkpoint_path, read_checkpoint, versions
from training.checkpointing.weight_digests import OPAQUE, read_weights
from training.learning.report import UpdateReport

FINISHED = (
    "iterations/*/*/*/trajectory.json",
    "iterations/*/*/images/*/*.png",
    "iterations/*/*/done.json",
    "iterations/*/policy_update/update.json",
    "policies/v[0-9][0-9][0-9][0-9]/**/*",
)
ANSWER_S = 60.0

Digests = dict[str, str]


def finished_files(root: Path) -> Digests:
    """sha256 of every file that is complete and must never change again, by path."""
    paths = [path for pattern in FINISHED for path in root.glob(pattern) if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def check_unchanged(before: Digests, root: Path) -> Digests:
    """Everything that was finished is still there, byte for byte. Returns what is finished now."""
    now = finished_files(root)
    changed = [path for path, digest in before.items() if now.get(path) != digest]
    assert changed == [], f"finished before the kill, and another file or none now: {changed}"
    return now


def check_finished(stack: Stack, run: str) -> None:
    """A run that is over is whole, and the services agree with its folder."""
    folder = stack.folder(run)
    assert folder.next_stage() is None
    assert [finding for finding in findings(folder.root) if not finding.ok] == []
    for iteration, stage in folder.schedule():
        if stage in (Stage.ROLLOUT, Stage.EVALUATE):
            check_trajectories(folder, iteration, stage)
    check_versions(folder)
    check_served(stack, folder)
    check_mlflow(stack, folder)
    assert (folder.root / CURVE).read_bytes().startswith(b"\x89PNG")


def check_trajectories(folder: RunFolder, iteration: int, stage: Stage) -> None:
    """Exactly the planned episodes, none of them broken, each sampled by the one policy that the stage should use.

    No episode waited in vain for a browser that a killed flow had leased.
    """
    directory = folder.stage_dir(iteration, stage)
    assert "NO_CAPACITY" not in {failed.failure.code for failed in read_failures(directory / "failures.jsonl")}
    store = TrajectoryStore(directory)
    assert store.ids() == sorted(slot.trajectory_id for slot in plan(folder.inputs, iteration, stage))
    version = policy_version(folder, iteration - 1 if stage is Stage.ROLLOUT else iteration)
    for trajectory in store:
        assert trajectory.failure is None, trajectory
        assert trajectory.policy_version == version
        assert trajectory.steps
        for step in trajectory.steps:
            sampled = step.completion
            assert sampled is not None and sampled.policy_version == version
            assert sampled.prompt_token_ids and sampled.token_ids
            assert len(sampled.token_ids) == len(sampled.logprobs)
            assert all(logprob <= 0 for logprob in sampled.logprobs)


def check_versions(folder: RunFolder) -> None:
    """One version per update that had something to learn from, made from the one before, and no half ones."""
    expected = [0]
    for iteration in range(1, folder.config.iterations + 1):
        directory = folder.stage_dir(iteration, Stage.POLICY_UPDATE)
        update = UpdateReport.model_validate(read_json(directory / "update.json"))
        report = folder.report(iteration, Stage.POLICY_UPDATE)
        if update.skipped is None:
            checkpoint = read_checkpoint(checkpoint_path(folder.policies, iteration))
            assert checkpoint.parent == expected[-1]
            assert update.checkpoint == str(checkpoint.path) and update.steps > 0
            assert update.histograms.keys() == {"reward", "advantage", "lag", "gap"}
            learned_from = (checkpoint.path / "samples.jsonl").read_text().splitlines()
            assert len(learned_from) == update.counts["samples"] - update.masked_steps.get("bad_gap", 0)
            expected.append(iteration)
        assert report is not None and report.counts["version"] == expected[-1]
        assert (report.alarms, report.histograms) == (update.alarms, update.histograms)
    assert versions(folder.policies) == expected
    assert sorted(path.name for path in folder.policies.iterdir()) == [f"v{version:04d}" for version in expected]


def check_served(stack: Stack, folder: RunFolder) -> None:
    """The server says that it serves the newest version, and holds its tensors."""
    newest = versions(folder.policies)[-1]
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket_path(stack.loop.services.state_dir))),
        base_url="http://policy",
        timeout=ANSWER_S,
    ) as server:
        assert server.get("/weight_info").json()["weight_version"] == tag_of(folder, newest)
        held = server.post("/weight_checker", json={"action": "checksum"}).json()["checksums"]
    digests = set(held.values()) - {OPAQUE}
    assert digests and digests <= read_weights(checkpoint_path(folder.policies, newest)).digests


def check_mlflow(stack: Stack, folder: RunFolder) -> None:
    """One MLflow run, finished, with every metric of every stage at its step, each once."""
    with httpx.Client(
        base_url=f"{stack.status().service(MLFLOW).address}/api/2.0/mlflow", timeout=ANSWER_S, trust_env=False
    ) as server:
        experiment = server.get("/experiments/get-by-name", params={"experiment_name": EXPERIMENT}).json()
        asked = {
            "experiment_ids": [experiment["experiment"]["experiment_id"]],
            "filter": f"tags.loop = '{loop_tag(folder)}'",
        }
        (run,) = server.post("/runs/search", json=asked).json()["runs"]
        assert run["info"]["run_id"] == folder.record().mlflow_run_id
        assert run["info"]["status"] == "FINISHED"
        logged = {metric["key"]: history(server, run, metric["key"]) for metric in run["data"]["metrics"]}
    for name, points in logged.items():
        twice = [step for step, count in Counter(step for step, _ in points).items() if count > 1]
        assert twice == [], f"{name} has several values at steps {twice}"
    for report in folder.reports():
        for name, value in metrics_of(report).items():
            assert (report.iteration, value) in logged[name], f"{name} at step {report.iteration}"


def history(server: httpx.Client, run: dict[str, Any], name: str) -> list[tuple[int, float]]:
    """All points of a metric as (step, value)."""
    asked = {"run_id": run["info"]["run_id"], "metric_key": name}
    reply = server.get("/metrics/get-history", params=asked).json()
    return [(int(point["step"]), float(point["value"])) for point in reply["metrics"]]
