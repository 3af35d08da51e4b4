"""Updates whose weights, gradients and moments are shared between processes make the versions of one process alone."""

import json
import os
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors.numpy import load_file
from test_update import CONFIG, arguments, request_of
from test_update_processes import DEADLINE_S, beside

from flows.stages.policy_update import start_of_command
from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import import_policy, read_checkpoint
from training.checkpointing.tensor_files import entries
from training.config import UpdateConfig
from training.errors import ModelError
from training.learning.models import load_policy, pick_device
from training.learning.processes.sharded import loading_options
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["request_of"]  # a fixture
PROGRAM = Path(__file__).with_name("several_updates.py")
LORA = {"rank": 4, "alpha": 8}
VOCABULARY = 291
"""Rows of the embedding of the test's model."""


class Story(NamedTuple):
    """Two versions, the second from the first and its moments: made by one process, and by several."""

    alone: list[Request]
    together: list[Request]


def story(request: Request, name: str, *, sharding: str = "fsdp2", **settings: object) -> Story:
    """`settings` are those of both; the micro batches are so small that some have pictures and others none."""
    shared = CONFIG | {"micro_batch_size": 3, "max_staleness": 1, "max_grad_norm": 0.05} | settings
    found: list[list[Request]] = []
    for kind, several in (("alone", {}), ("together", {"sharding": sharding, "processes": 2})):
        first = beside(request, f"{name}-{kind}")
        config = request.config.with_name(f"{name}-{kind}-config.json")
        config.write_text(json.dumps(shared | several))
        first = first._replace(config=config)
        report = first.report.with_name(f"{name}-{kind}-2.json")
        found.append([first, first._replace(policy=first.policies / "v0001", version=2, report=report)])
    return Story(*found)


def tied(request: Request) -> Request:
    """The same update of a policy whose head is its embedding, as that of real small models is."""
    model = load_policy(request.policy, dtype="float32", device=pick_device("cpu")).model
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    model.tie_weights()
    source, policies = request.policies.with_name("tied-model"), request.policies.with_name("tied")
    shutil.copytree(request.policy, source, ignore=shutil.ignore_patterns("manifest.json", "*.safetensors"))
    model.save_pretrained(source)
    assert "lm_head.weight" not in {one.name for one in entries(source / "model.safetensors")}
    return request._replace(policies=policies, policy=import_policy(source, policies).path)


def make_together(requests: list[Request], processes: int, folder: Path) -> None:
    """All updates by one start of so many processes."""
    lines = folder / "updates.json"
    lines.write_text(json.dumps([arguments(one) for one in requests]))
    command = [*start_of_command(UpdateConfig(processes=processes))[:-2], str(PROGRAM), str(lines)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def check_equal(alone: Request, together: Request) -> None:
    """The two versions are equal up to the order of additions."""
    folder, other = (one.policies / f"v{one.version:04d}" for one in (alone, together))
    expected, found = read_report(alone.report), read_report(together.report)
    assert (found.steps, found.counts, found.skipped) == (expected.steps, expected.counts, None)
    assert found.metrics.keys() == expected.metrics.keys()
    for name in expected.metrics.keys() - {"tokens_per_second"}:
        assert found.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-4, rel=1e-3), name
    assert read_checkpoint(other).sha256.keys() == read_checkpoint(folder).sha256.keys()
    for path in sorted(folder.rglob("*.safetensors")):
        name = path.relative_to(folder)
        assert entries(other / name) == entries(path), f"{name} has other tensors"
        check_tensors(path, other / name, alone.policy / name)
    one, two = read_canary(folder), read_canary(other)
    assert one is not None and two is not None and len(one.completions) == len(two.completions) > 0
    for left, right in zip(one.completions, two.completions, strict=True):
        assert right.logprobs == pytest.approx(left.logprobs, abs=1e-4)


def check_tensors(expected: Path, found: Path, parent: Path) -> None:
    """The tensors differ by less than a thousandth of what the update changed, or of what there is without a parent's."""
    one, two = load_file(expected), load_file(found)
    before = load_file(parent) if parent.is_file() else {}
    changed = sum(float(abs(one[name] - before.get(name, 0 * one[name])).sum()) for name in one)
    apart = sum(float(abs(one[name] - two[name]).sum()) for name in one)
    assert apart < 1e-3 * changed, found


@pytest.mark.chaos
def test_two_processes_that_share_the_weights_make_the_versions_of_one(request_of: Request, tmp_path: Path) -> None:
    """One start for both, as it costs seconds: an update, and one that goes on from its moments."""
    told = story(request_of, "full")
    make_together(told.together, 2, tmp_path)
    for alone, together in zip(*told, strict=True):
        assert main(arguments(alone)) == 0
        check_equal(alone, together)


@pytest.mark.chaos
@pytest.mark.parametrize("processes", [2, 3, 4])
def test_more_processes_and_every_way_to_compute(request_of: Request, tmp_path: Path, processes: int) -> None:
    """Three: slices of unequal length. The second version comes from moments that a single process wrote, and back."""
    stories = [
        story(request_of, "checkpointed", gradient_checkpointing=True, kl_coefficient=0.01, minibatches=3),
        story(request_of, "tokens", micro_batch_tokens=200, epochs=2, entropy_coefficient=0.01),
        story(request_of, "adapter", lora=LORA, gradient_checkpointing=True),
    ]
    if VOCABULARY % processes == 0:
        # The stored tokens are of another policy: ratios are large, so steps are small.
        loose: dict[str, Any] = {
            "max_gap_mean": 100.0,
            "max_gap_fraction": 1.0,
            "max_ratio": 1e9,
            "learning_rate": 1e-4,
        }
        stories.append(story(tied(request_of), "tied", **loose))
    make_together([one for each in stories for one in each.together], processes, tmp_path)
    for each in stories:
        for alone, together in zip(*each, strict=True):
            assert main(arguments(alone)) == 0
            check_equal(alone, together)
    policies = tmp_path / "crossed"
    shutil.copytree(stories[0].together[0].policies, policies)
    shutil.rmtree(policies / "v0002")
    crossed = (
        stories[0].alone[1]._replace(policy=policies / "v0001", policies=policies, report=tmp_path / "crossed.json")
    )
    assert main(arguments(crossed)) == 0
    check_equal(crossed, stories[0].together[1])


def test_an_embedding_that_is_the_head_too_must_be_cut_evenly(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = json.loads((model_directory / "config.json").read_text())
    assert description["text_config"]["vocab_size"] == VOCABULARY
    description["text_config"]["tie_word_embeddings"] = description["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(description))
    for processes in (2, 4):
        monkeypatch.setenv("WORLD_SIZE", str(processes))
        with pytest.raises(ModelError, match=f"291 rows .* {processes} equal slices; set update.processes"):
            loading_options(tmp_path, pick_device("cpu"))
        loading_options(model_directory, pick_device("cpu"))
    monkeypatch.setenv("WORLD_SIZE", "3")
    loading_options(tmp_path, pick_device("cpu"))


def test_sharing_the_weights_needs_several_processes() -> None:
    assert "set processes" in (UpdateConfig(sharding="fsdp2").why_refused() or "")
    assert UpdateConfig(sharding="fsdp2", processes=2).why_refused() is None
    assert "set fsdp2" in (UpdateConfig(sharding="zero3", processes=2).why_refused() or "")
    assert "set update.rendezvous" in (UpdateConfig(machines=2).why_refused() or "")
    assert UpdateConfig(sharding="fsdp2", machines=2, rendezvous="node-1:29400").why_refused() is None


@pytest.mark.chaos
def test_two_machines_share_the_weights(request_of: Request, tmp_path: Path) -> None:
    """Two torchruns of one process each that meet at a port of this machine."""
    told = story(request_of, "machines")
    lines = tmp_path / "updates.json"
    lines.write_text(json.dumps([arguments(one) for one in told.together]))
    update = UpdateConfig(machines=2, rendezvous=f"127.0.0.1:{free_port()}", sharding="fsdp2")
    command = [*start_of_command(update, name="run-1")[:-2], str(PROGRAM), str(lines)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    with ExitStack() as stack:
        outputs = [stack.enter_context(log.open("wb")) for log in logs]
        machines = [subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT) for out in outputs]
        try:
            assert [one.wait(DEADLINE_S) for one in machines] == [0, 0], "".join(
                log.read_text()[-2000:] for log in logs
            )
        finally:
            for one in machines:
                one.kill()
                one.wait()
    for alone, together in zip(*told, strict=True):
        assert main(arguments(alone)) == 0
        check_equal(alone, together)
