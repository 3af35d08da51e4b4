"""The update as a process: what it writes, what it refuses, and what a kill leaves behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_rollouts import Rollout, put_nan, sign_again

from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import Checkpoint, import_policy, latest, read_checkpoint, versions
from training.learning.models import load_policy, pick_device, score
from training.learning.report import UpdateReport, read_report
from training.learning.update import main
from training.learning.update_inputs import Request, read_batch
from training.sampling.samples import digest

CONFIG = {
    "learning_rate": 1e-3,
    "minibatches": 2,
    "micro_batch_size": 8,
    "gradient_checkpointing": False,
    "device": "cpu",
}
UPDATE_DEADLINE_S = 240


def arguments(request: Request) -> list[str]:
    return [part for name, value in request._asdict().items() if name != "replay" for part in (f"--{name}", str(value))]


def run_update(request: Request, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    """The real command."""
    environment = os.environ | {"RL_LOOP_FAILPOINT": failpoint, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "training.learning.update", *arguments(request)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=UPDATE_DEADLINE_S, check=False
    )


@pytest.fixture
def request_of(tmp_path: Path, filled: Rollout, model_directory: Path) -> Request:
    """An update of the random policy from the filled rollout, all in a folder of its own."""
    shutil.copytree(filled.store.root, tmp_path / "rollout")
    shutil.copy(filled.verdicts_path, tmp_path / "verdicts.jsonl")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    import_policy(model_directory, tmp_path / "policies")
    return Request(
        trajectories=tmp_path / "rollout",
        verdicts=tmp_path / "verdicts.jsonl",
        policy=tmp_path / "policies" / "v0000",
        policies=tmp_path / "policies",
        version=1,
        config=tmp_path / "config.json",
        report=tmp_path / "report.json",
    )


def test_an_update_killed_anywhere_can_be_repeated(request_of: Request) -> None:
    """One story, because each act costs a process: killed while writing, then before the report; then finished; then repeated."""
    request = request_of
    killed = run_update(request, "checkpoint.half_file:kill")
    assert killed.returncode == -9
    assert versions(request.policies) == [0]
    assert len(list(request.policies.glob("v0001.partial-*"))) == 1

    killed = run_update(request, "checkpoint.after_rename:kill")
    assert killed.returncode == -9, killed.stderr
    assert not list(request.policies.glob("*.partial-*")), "the leftover of the first kill is still there"
    written = read_checkpoint(request.policies / "v0001")
    assert (written.version, written.parent, written.step) == (1, 0, 2)
    assert not request.report.is_file()

    # The checkpoint is complete: the update is not applied a second time, only reported.
    finished = run_update(request, "update.before_train:kill")
    assert finished.returncode == 0, finished.stderr
    assert read_checkpoint(request.policies / "v0001") == written
    check_report(read_report(request.report), written)
    check_files(written, request)
    check_canary(written, request)


def check_report(report: UpdateReport, written: Checkpoint) -> None:
    assert report.reused
    assert report.checkpoint == str(written.path)
    assert report.checkpoint_written_at == written.created
    assert report.counts["samples"] == 16 and report.counts["groups_used"] == 2
    assert {"loss", "grad_norm", "kl", "entropy", "ratio", "clip_low", "clip_high", "reward_mean"} <= set(
        report.metrics
    )
    assert report.metrics["gap_mean"] < 1e-4
    assert {"read", "imports", "load", "train", "total"} <= set(report.seconds)


def check_files(written: Checkpoint, request: Request) -> None:
    names = set(written.sha256)
    assert {"model.safetensors", "tokenizer.json", "canary.json", "optimizer/adam.safetensors"} <= names
    changed = {"model.safetensors", "manifest.json"}
    for path in request.policy.iterdir():
        if path.name not in changed | {"config.json"}:
            assert path.read_bytes() == (written.path / path.name).read_bytes(), f"{path.name} is not the parent's"
    before, after = (json.loads((one / "config.json").read_bytes()) for one in (request.policy, written.path))
    assert before == after


def check_canary(written: Checkpoint, request: Request) -> None:
    """The canary is what the checkpoint's own weights say, and not what the old ones said."""
    from stored_rollouts import as_sample

    from storage.store import TrajectoryStore

    canary = read_canary(written.path)
    assert canary is not None and canary.version == 1
    store = TrajectoryStore(request.trajectories)
    policy = load_policy(written.path, dtype="float32", device=pick_device("cpu"))
    for scored in canary.completions:
        completion = store.read(scored.trajectory_id).steps[scored.step].completion
        assert completion is not None and completion.token_ids == scored.token_ids and scored.images
        (expected,) = score(policy, [as_sample(completion)], store.image)
        assert scored.logprobs == pytest.approx(expected, abs=1e-5)
        assert scored.sampled_logprobs == pytest.approx(completion.logprobs, abs=1e-6)
        assert scored.logprobs != pytest.approx(scored.sampled_logprobs, abs=1e-3)


@pytest.mark.parametrize("place", ["checkpoint.before_manifest", "checkpoint.before_rename", "update.before_write"])
def test_a_kill_before_the_rename_leaves_no_version(
    policies_writer: Callable[[str], int], tmp_path: Path, place: str
) -> None:
    assert policies_writer(f"{place}:kill") == -9
    assert latest(tmp_path / "policies") is None


@pytest.fixture
def policies_writer(tmp_path: Path) -> Callable[[str], int]:
    """Writes a checkpoint in a process without torch, to die at a failpoint; returns the exit code."""
    program = (
        "import sys; from pathlib import Path; from training.checkpointing.checkpoints import write_checkpoint; "
        "from training import failpoints\n"
        "with write_checkpoint(Path(sys.argv[1]), 1, parent=0, step=1) as folder:\n"
        "    (folder / 'model.safetensors').write_text('weights')\n"
        "    failpoints.reach('update.before_write')\n"
    )

    def write(failpoint: str) -> int:
        command = [sys.executable, "-c", program, str(tmp_path / "policies")]
        return subprocess.run(
            command, env=os.environ | {"RL_LOOP_FAILPOINT": failpoint}, timeout=60, check=False
        ).returncode

    return write


def test_without_signal_nothing_is_written(request_of: Request) -> None:
    flat = [json.loads(line) | {"reward": 1.0} for line in request_of.verdicts.read_text().splitlines()]
    request_of.verdicts.write_text("".join(json.dumps(one) + "\n" for one in flat))
    finished = run_update(request_of)
    assert finished.returncode == 0, finished.stderr
    report = read_report(request_of.report)
    assert report.skipped == "no signal"
    assert report.checkpoint is None
    assert report.counts["groups_zero_signal"] == 2
    assert versions(request_of.policies) == [0]
    assert "imports" not in report.seconds, "torch was loaded for nothing"


def test_verdicts_with_any_text_are_read(request_of: Request) -> None:
    lines = request_of.verdicts.read_text().splitlines()
    reported = [json.loads(line) | {"evidence": "a\u2028b\u2029c\u0085d"} for line in lines]
    request_of.verdicts.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in reported))
    assert read_batch(request_of).samples


def missing_policy(request: Request) -> Request:
    return request._replace(policy=request.policies / "v0007")


def missing_verdicts(request: Request) -> Request:
    return request._replace(verdicts=request.verdicts.with_name("none.jsonl"))


def missing_trajectories(request: Request) -> Request:
    return request._replace(trajectories=request.trajectories.with_name("none"))


def unknown_key(request: Request) -> Request:
    request.config.write_text(json.dumps(CONFIG | {"learning_rat": 1}))
    return request


def wrong_type(request: Request) -> Request:
    request.config.write_text(json.dumps(CONFIG | {"learning_rate": "fast"}))
    return request


def corrupt_trajectory(request: Request) -> Request:
    (request.trajectories / "t00" / "trajectory.json").write_text('{"id": "t00"')
    return request


def corrupt_verdict(request: Request) -> Request:
    request.verdicts.write_text("nonsense\n")
    return request


def of_the_future(request: Request) -> Request:
    for path in request.trajectories.glob("*/trajectory.json"):
        path.write_text(path.read_text().replace('"policy_version":0', '"policy_version":3'))
    return request


def lost_pictures(request: Request) -> Request:
    shutil.rmtree(request.trajectories / "images")
    return request


def greedy(request: Request) -> Request:
    for path in request.trajectories.glob("*/trajectory.json"):
        path.write_text(path.read_text().replace('"temperature":1.0', '"temperature":0.0'))
    return request


def rewarded_too_well(request: Request) -> Request:
    request.verdicts.write_text(request.verdicts.read_text().replace('"reward":1.0', '"reward":1.5', 1))
    return request


def rewarded_with_nan(request: Request) -> Request:
    request.verdicts.write_text(request.verdicts.read_text().replace('"reward":1.0', '"reward":NaN', 1))
    return request


def judged_twice(request: Request) -> Request:
    lines = request.verdicts.read_text().splitlines(keepends=True)
    request.verdicts.write_text("".join([*lines, lines[0]]))
    return request


def binary_verdicts(request: Request) -> Request:
    request.verdicts.write_bytes(b"\xff\xfe\x00")
    return request


def folder_of_verdicts(request: Request) -> Request:
    request.verdicts.unlink()
    request.verdicts.mkdir()
    return request


def folder_as_trajectory(request: Request) -> Request:
    path = request.trajectories / "t00" / "trajectory.json"
    path.unlink()
    path.mkdir()
    return request


def folder_as_report(request: Request) -> Request:
    return request._replace(report=request.trajectories)


def cut_config(request: Request) -> Request:
    request.config.write_bytes(b'{"learning_rate": \xff')
    return request


def infinite_rate(request: Request) -> Request:
    request.config.write_text(json.dumps(CONFIG | {"learning_rate": float("inf")}))
    return request


def binary_manifest(request: Request) -> Request:
    (request.policy / "manifest.json").write_bytes(b"\x80\x81")
    return request


def second_weights(request: Request) -> Request:
    shutil.copy(request.policy / "model.safetensors", request.policy / "extra.safetensors")
    return request


def cut_model_configuration(request: Request) -> Request:
    (request.policy / "config.json").write_text('{"text_config": ')
    sign_again(request.policy)
    return request


def nan_in_the_parent(request: Request) -> Request:
    put_nan(request.policy / "model.safetensors")
    sign_again(request.policy)
    return request


def damaged_weights(request: Request) -> Request:
    weights = request.policy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()  # a hard link to the imported model
    weights.write_bytes(data)
    return request


def version_of_the_past(request: Request) -> Request:
    return request._replace(version=0)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing_policy, "v0007 does not exist; expected the directory of a checkpoint"),
        (missing_verdicts, "none.jsonl does not exist; judge the trajectories first"),
        (missing_trajectories, "none does not exist; expected the stage folder of a rollout"),
        (unknown_key, "config.json: learning_rat: Extra inputs are not permitted"),
        (wrong_type, "config.json: learning_rate: Input should be a valid number"),
        (corrupt_trajectory, "trajectory.json"),
        (corrupt_verdict, "verdicts.jsonl, line 1: Invalid JSON"),
        (of_the_future, "16 of 16 samples, of 8 trajectories, can't be trained on"),
        (of_the_future, "trajectory t00, step 0: sampled by policy version 3, but version 0 is trained"),
        (lost_pictures, ".png does not exist, though its prompt shows it"),
        (greedy, "sampled at temperature 0, where tokens have no probabilities"),
        (rewarded_too_well, "verdicts.jsonl, line 1: Input should be less than or equal to 1"),
        (rewarded_with_nan, "verdicts.jsonl, line 1: Input should be a finite number"),
        (judged_twice, "verdicts.jsonl, line 9: a second verdict for t00"),
        (binary_verdicts, "verdicts.jsonl, line 1: Invalid JSON"),
        (folder_of_verdicts, "verdicts.jsonl can't be read or written: Is a directory"),
        (folder_as_trajectory, "trajectory.json"),
        (folder_as_report, "expected a file at"),
        (cut_config, "config.json: the file: Invalid JSON"),
        (infinite_rate, "config.json: learning_rate: Input should be a finite number"),
        (binary_manifest, "manifest.json is not a checkpoint's manifest"),
        (second_weights, "extra.safetensors is not in the manifest"),
        (cut_model_configuration, "config.json can't be read as a model's configuration"),
        (nan_in_the_parent, "v0000 can't be trained: lm_head.weight in model.safetensors is not finite"),
        (damaged_weights, "model.safetensors does not match the sha256 in the manifest"),
        (version_of_the_past, "version 0 can't be made from version 0"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(
    request_of: Request, spoil: Callable[[Request], Request], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = spoil(request_of)
    assert main(arguments(request)) == 2
    (record,) = caplog.records
    assert sentence in record.getMessage()
    assert "\n" not in record.getMessage()
    assert versions(request.policies) == [0]
    assert not request.report.is_file()


def test_other_samples_for_an_existing_version_are_refused(
    request_of: Request, caplog: pytest.LogCaptureFixture
) -> None:
    from training.checkpointing.checkpoints import write_checkpoint

    with write_checkpoint(request_of.policies, 1, parent=0, step=2, samples=digest([])) as folder:
        (folder / "model.safetensors").write_text("weights")
    assert main(arguments(request_of)) == 2
    assert "v0001 exists already and was made from version 0 and other samples" in caplog.text


def test_a_server_with_other_weights_is_noticed(request_of: Request, caplog: pytest.LogCaptureFixture) -> None:
    for path in request_of.trajectories.glob("*/trajectory.json"):
        stored = json.loads(path.read_bytes())
        for step in stored["steps"]:
            step["completion"]["logprobs"] = [one - 3.0 for one in step["completion"]["logprobs"]]
        path.write_text(json.dumps(stored))
    assert main(arguments(request_of)) == 2
    assert "the server held other weights or saw other inputs" in caplog.text
    assert versions(request_of.policies) == [0]
