"""The gap between trainer and server in whole updates: a broken trajectory is masked, a broken server stops the update."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored_rollouts import Rollout

from training.checkpointing.checkpoints import import_policy, versions, write_checkpoint
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request

CONFIG: dict[str, Any] = {
    "learning_rate": 1e-3,
    "minibatches": 2,
    "micro_batch_size": 8,
    "gradient_checkpointing": False,
    "device": "cpu",
}


@pytest.fixture
def request_of(tmp_path: Path, filled: Rollout, model_directory: Path) -> Request:
    """An update of version 1, which has the weights of version 0; all steps are of version 1."""
    shutil.copytree(filled.store.root, tmp_path / "rollout")
    shutil.copy(filled.verdicts_path, tmp_path / "verdicts.jsonl")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    import_policy(model_directory, tmp_path / "policies")
    with write_checkpoint(tmp_path / "policies", 1, parent=0, step=1) as folder:
        shutil.copytree(model_directory, folder, dirs_exist_ok=True)
    request = Request(
        trajectories=tmp_path / "rollout",
        verdicts=tmp_path / "verdicts.jsonl",
        policy=tmp_path / "policies" / "v0001",
        policies=tmp_path / "policies",
        version=2,
        config=tmp_path / "config.json",
        report=tmp_path / "report.json",
    )
    change(request, lambda _, completion: completion | {"policy_version": 1})
    return request


def change(request: Request, edit: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    """Replaces each stored completion by what `edit` makes of it and of its trajectory's id."""
    for path in sorted(request.trajectories.glob("*/trajectory.json")):
        stored = json.loads(path.read_bytes())
        for step in stored["steps"]:
            step["completion"] = edit(stored["id"], step["completion"])
        path.write_text(json.dumps(stored))


def run(request: Request) -> int:
    """Runs the update in this process; returns the exit code."""
    return main(
        [part for name, value in request._asdict().items() if name != "replay" for part in (f"--{name}", str(value))]
    )


def off(nats: float, completion: dict[str, Any]) -> dict[str, Any]:
    return completion | {"logprobs": [one - nats for one in completion["logprobs"]]}


def test_one_trajectory_that_disagrees_is_masked_and_named(request_of: Request) -> None:
    change(request_of, lambda name, one: off(2.0, one) if name == "t01" else one)
    assert run(request_of) == 0
    report = read_report(request_of.report)
    assert report.checkpoint and report.masked_steps["bad_gap"] == 2
    assert [one for one in report.bad_samples if one.startswith("t01: differs from what the server stored by 2")]
    assert report.metrics["gap_mean"] < 1e-4 and "gap_stale" not in report.metrics


@pytest.mark.parametrize("stale", [(), ("t00",), ("t00", "t01", "t02", "t10", "t11", "t12")])
def test_stale_trajectories_do_not_switch_the_check_off(
    request_of: Request, stale: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    change(request_of, lambda name, one: off(2.0, one) | {"policy_version": int(name not in stale)})
    assert run(request_of) == 2
    fresh = 8 - len(stale)
    assert f"{fresh} of {fresh} trajectories that version 1 sampled differ" in caplog.text
    assert versions(request_of.policies) == [0, 1]


def test_the_pictures_of_another_run_stop_the_update(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    pictures = sorted(path.stem for path in (request_of.trajectories / "images").glob("*/*.png"))
    following = dict(zip(pictures, pictures[1:] + pictures[:1], strict=True))
    change(request_of, lambda _, one: one | {"images": [following[sha256] for sha256 in one["images"]]})
    assert run(request_of) == 2
    assert "saw other inputs: collect the iteration again" in caplog.text
    assert versions(request_of.policies) == [0, 1]


def test_where_all_tokens_are_older_some_are_scored_under_the_version_that_sampled_them(
    request_of: Request, caplog: pytest.LogCaptureFixture
) -> None:
    """As with `rollout.overlap`: without this a server with other weights would be unnoticed in every update."""
    change(request_of, lambda _, one: one | {"policy_version": 0})
    assert run(request_of) == 0
    report = read_report(request_of.report)
    assert report.metrics["gap_mean"] < 1e-4 and report.metrics["gap_tokens"] > 0
    assert sum(report.histograms["gap"].counts) == report.metrics["gap_tokens"]
    shutil.rmtree(request_of.policies / "v0002")
    change(request_of, lambda _, one: off(2.0, one))
    assert run(request_of) == 2
    assert "8 of 8 trajectories that an older version sampled differ" in caplog.text
    assert versions(request_of.policies) == [0, 1]


def test_an_update_whose_tokens_are_all_masked_makes_no_version(
    request_of: Request, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(request_of.policies / "v0000")  # pruned, so that nothing can be compared
    change(request_of, lambda _, one: off(2.0, one) | {"policy_version": 0})
    assert run(request_of) == 0
    report = read_report(request_of.report)
    assert report.skipped == "no token to learn from: all are masked by max_ratio or beyond the clip range"
    assert report.checkpoint is None and report.steps == 0
    assert report.metrics["guarded"] == 1.0 and report.metrics["gap_stale"] == pytest.approx(2.0, abs=1e-3)
    assert report.metrics["gap_tokens"] == 0 and "no token could be compared" in caplog.text
    assert versions(request_of.policies) == [1]
