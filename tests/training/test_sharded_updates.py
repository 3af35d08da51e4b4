"""Updates whose weights, gradients and moments are shared between processes make the versions of one process alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from safetensors.numpy import load_file
from test_update import CONFIG, arguments, request_of
from test_update_processes import DEADLINE_S, beside

from flows.stages.policy_update import start_of_command
from training.checkpointing.canary import read_canary
from training.checkpointing.checkpoints import read_checkpoint
from training.checkpointing.tensor_files import entries
from training.config import UpdateConfig
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["request_of"]  # a fixture
PROGRAM = Path(__file__).with_name("several_updates.py")
LORA = {"rank": 4, "alpha": 8}


class Story(NamedTuple):
    """Two versions, the second from the first and its moments: made by one process, and by several."""

    alone: list[Request]
    together: list[Request]


def story(request: Request, name: str, **settings: object) -> Story:
    """`settings` are those of both; the micro batches are so small that some have pictures and others none."""
    shared = CONFIG | {"micro_batch_size": 3, "max_staleness": 1, "max_grad_norm": 0.05} | settings
    found: list[list[Request]] = []
    for kind, sharding in (("alone", {}), ("together", {"sharding": "fsdp2", "processes": 2})):
        first = beside(request, f"{name}-{kind}")
        config = request.config.with_name(f"{name}-{kind}-config.json")
        config.write_text(json.dumps(shared | sharding))
        first = first._replace(config=config)
        report = first.report.with_name(f"{name}-{kind}-2.json")
        found.append([first, first._replace(policy=first.policies / "v0001", version=2, report=report)])
    return Story(*found)


def make_together(requests: list[Request], processes: int, folder: Path) -> None:
    """All updates by one start of so many processes."""
    lines = folder / "updates.json"
    lines.write_text(json.dumps([arguments(one) for one in requests]))
    command = [*start_of_command(UpdateConfig(processes=processes))[:-2], str(PROGRAM), str(lines)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]


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


def test_two_processes_that_share_the_weights_make_the_versions_of_one(request_of: Request, tmp_path: Path) -> None:
    """One start for all, as it costs seconds: a full update and one from its moments, and an adapter and one from that."""
    stories = [story(request_of, "full"), story(request_of, "adapter", lora=LORA)]
    make_together([one for each in stories for one in each.together], 2, tmp_path)
    for each in stories:
        for alone, together in zip(*each, strict=True):
            assert main(arguments(alone)) == 0
            check_equal(alone, together)


@pytest.mark.chaos
@pytest.mark.parametrize("processes", [3, 4])
def test_more_processes_and_every_way_to_compute(request_of: Request, tmp_path: Path, processes: int) -> None:
    """Three: slices of unequal length. The second version comes from moments that a single process wrote, and back."""
    stories = [
        story(request_of, "checkpointed", gradient_checkpointing=True, kl_coefficient=0.01, minibatches=3),
        story(request_of, "tokens", micro_batch_tokens=200, epochs=2, entropy_coefficient=0.01),
        story(request_of, "adapter", lora=LORA, gradient_checkpointing=True),
    ]
    make_together([one for each in stories for one in each.together], processes, tmp_path)
    for each in stories:
        for alone, together in zip(*each, strict=True):
            assert main(arguments(alone)) == 0
            check_equal(alone, together)
    crossed = stories[0].alone[1]._replace(policy=stories[0].together[0].policies / "v0001")
    policies, report = tmp_path / "crossed", tmp_path / "crossed.json"
    policies.mkdir()
    crossed = crossed._replace(policies=policies, report=report)
    assert main(arguments(crossed)) == 0
    check_equal(crossed, stories[0].together[1])


def test_sharing_the_weights_needs_several_processes() -> None:
    assert "set processes" in (UpdateConfig(sharding="fsdp2").why_refused() or "")
    assert UpdateConfig(sharding="fsdp2", processes=2).why_refused() is None
    assert start_of_command(UpdateConfig())[:1] == [sys.executable]
