"""Every preset through the update's command on a tiny model: what it writes, reports, repeats and refuses."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored_rollouts import Rollout

from storage.store import TrajectoryStore
from training.algorithms.presets import PRESETS
from training.checkpointing.baselines import read_baselines
from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import import_policy, versions
from training.learning.models import load_policy, pick_device, score
from training.learning.report import UpdateReport, read_report
from training.learning.update import main
from training.sampling.samples import Sample

QUICK = {
    "learning_rate": 1e-3,
    "warmup_steps": 0,
    "epochs": 1,
    "minibatches": 2,
    "micro_batch_size": 8,
    "gradient_checkpointing": False,
    "device": "cpu",
}
ALWAYS = {
    "loss",
    "grad_norm",
    "grad_norm_max",
    "entropy",
    "clip_low",
    "clip_high",
    "capped_positive",
    "capped_negative",
} | {
    *("kl", "ratio", "gap_mean", "gap_max", "lag_mean", "tokens_per_second", "tokens_mean"),
    *(f"{of}_{what}" for of in ("reward", "advantage") for what in ("mean", "std", "min", "max")),
}
Run = Callable[..., UpdateReport | None]


@pytest.fixture
def run(tmp_path: Path, filled: Rollout, model_directory: Path) -> Run:
    """Runs one update of the random policy with some settings, in this process; None when it is refused."""
    shutil.copytree(filled.store.root, tmp_path / "rollout")
    shutil.copy(filled.verdicts_path, tmp_path / "verdicts.jsonl")
    import_policy(model_directory, tmp_path / "policies")

    def update(
        settings: dict[str, Any], *, version: int = 1, policies: str = "policies", replay: tuple[str, str] | None = None
    ) -> UpdateReport | None:
        if not (tmp_path / policies).exists():
            import_policy(model_directory, tmp_path / policies)
        config, report = tmp_path / "config.json", tmp_path / f"report-{policies}-{version}.json"
        config.write_text(json.dumps(QUICK | settings))
        given = {
            "trajectories": tmp_path / "rollout",
            "verdicts": tmp_path / "verdicts.jsonl",
            "policy": tmp_path / policies / f"v{version - 1:04d}",
            "policies": tmp_path / policies,
            "version": version,
            "config": config,
            "report": report,
        }
        arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        if replay is not None:
            arguments += ["--replay", *(str(tmp_path / one) for one in replay)]
        return read_report(report) if main(arguments) == 0 else None

    return update


@pytest.mark.chaos
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_a_version_and_reports_it(run: Run, name: str) -> None:
    report = run({"preset": name})
    assert report is not None and report.skipped is None and report.steps == 2
    assert report.metrics.keys() >= ALWAYS
    assert all(math.isfinite(value) for value in report.metrics.values()) and report.metrics["grad_norm"] > 0
    assert report.counts["samples"] == (4 if name == "webgym" else 16)


@pytest.mark.parametrize("name", PRESETS)
def test_without_a_signal_a_preset_says_so_and_publishes_nothing(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.write_text(path.read_text().replace('"reward":1.0', '"reward":0.0'))
    report = run({"preset": name})
    assert report is not None and report.skipped == "no signal" and report.checkpoint is None
    assert report.counts["groups_zero_signal"] == 2 and versions(tmp_path / "policies") == [0]
    assert report.alarms == (
        "2 of 2 groups have no signal, at or above update.alarm_zero_groups 1 (the tasks are too easy or too hard for this policy)",
    )


def test_the_same_update_is_the_same_bit_for_bit(run: Run, tmp_path: Path) -> None:
    first, second = (run({"preset": "asyncwebrl", **QUICK}, policies=name) for name in ("one", "two"))
    assert first is not None and second is not None
    assert first.metrics.keys() >= ALWAYS
    counted = {name: sum(one.counts) for name, one in first.histograms.items()}
    assert counted == {"reward": 8, "advantage": 16, "lag": first.counts["tokens"], "gap": first.metrics["gap_tokens"]}
    lines = [json.loads(line) for line in (tmp_path / "one" / "v0001" / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == 16 and sum(one["tokens"] for one in lines) == first.counts["tokens"]
    assert lines[0].keys() == {"trajectory", "step", "policy_version", "advantage", "tokens"}
    weights = [(tmp_path / name / "v0001" / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    repeated = run({"preset": "asyncwebrl", **QUICK}, policies="one")
    assert repeated is not None and repeated.reused
    assert run({"preset": "asyncwebrl", **QUICK, "dual_clip": 4.0}, policies="one") is None, "another recipe"


def test_replayed_successes_teach_with_their_pictures(run: Run, tmp_path: Path) -> None:
    """The current iteration has no success; the one before, in another folder, has two of two steps each."""
    shutil.move(tmp_path / "rollout", tmp_path / "before")
    shutil.move(tmp_path / "verdicts.jsonl", tmp_path / "before.jsonl")
    lines = (tmp_path / "before.jsonl").read_text().replace('"reward":1.0', '"reward":0.0')
    (tmp_path / "verdicts.jsonl").write_text(lines)
    shutil.copytree(tmp_path / "before", tmp_path / "rollout", ignore=shutil.ignore_patterns("images"))
    report = run({"preset": "webgym", "replay_samples": 3}, replay=("before", "before.jsonl"))
    assert report is not None and report.skipped is None
    assert report.counts["replayed"] == 2 and report.counts["samples"] == 3
    assert report.metrics["dropped_not_drawn"] == 1 and report.masked_steps == {"not_drawn": 1}
    canary = read_canary(tmp_path / "policies" / "v0001")
    shown = {sha256 for one in canary.completions for sha256 in one.images} if canary else set()
    assert shown and all(TrajectoryStore(tmp_path / "rollout").has_image(sha256) for sha256 in shown), (
        "the publisher looks"
    )
    refused = run({"preset": "webgym"}, version=2, replay=("nowhere", "before.jsonl"))
    assert refused is None


def test_a_kl_term_to_the_first_policy(
    run: Run, tmp_path: Path, make_samples: Callable[..., list[Sample]], filled: Rollout
) -> None:
    first_report = run({"alarm_entropy": 99.0})
    assert first_report is not None and first_report.alarms[0].startswith("entropy collapsed: ")
    settings = {"kl_coefficient": 0.1, "entropy_coefficient": 0.01, "learning_rate": 1e-12, "max_ratio": 1e6}
    report = run(settings, version=2)
    assert report is not None and "reference" in report.seconds
    policies = [
        load_policy(tmp_path / "policies" / name, dtype="float32", device=pick_device("cpu"))
        for name in ("v0001", "v0000")
    ]
    now, first = (
        [one for row in score(policy, make_samples(), filled.store.image) for one in row] for policy in policies
    )
    expected = [math.exp(ref - pi) - 1 - (ref - pi) for pi, ref in zip(now, first, strict=True)]
    assert report.metrics["kl_reference"] == pytest.approx(sum(expected) / len(expected), rel=1e-3)
    assert report.metrics["lag_mean"] == 1.0


@pytest.mark.chaos
def test_moving_averages_are_kept_beside_the_version(run: Run, tmp_path: Path) -> None:
    settings = {"credit": "ema", "advantage_scale": "none"}
    assert run(settings) is not None
    assert read_baselines(tmp_path / "policies" / "v0001") == pytest.approx({"g0": 0.25, "g1": 0.25})
    assert run(settings, version=2) is not None


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"alarm_entropy": 99.0}, "entropy collapsed: "),
        ({"alarm_gap": 1e-12}, "trainer and server differ by "),
    ],
)
def test_an_alarm_stops_the_update_with_a_sentence(
    run: Run, tmp_path: Path, settings: dict[str, float], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(settings | {"alarms": "stop"}) is None
    assert f"alarm: {sentence}" in caplog.text and "nothing is written because update.alarms is stop" in caplog.text
    assert versions(tmp_path / "policies") == [0]
    warned = run(settings | {"alarms": "warn"})
    assert warned is not None and warned.checkpoint is not None and warned.alarms[0].startswith(sentence)
