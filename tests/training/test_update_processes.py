"""An update in a process that is kept warm, and in several processes, makes the version of one process alone."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from test_update import CONFIG, arguments, request_of

from flows.policy.update_process import WarmUpdates, last_line
from flows.stages.policy_update import start_of_command
from training.checkpointing.checkpoints import read_checkpoint, versions
from training.config import UpdateConfig
from training.learning.report import read_report
from training.learning.update import main
from training.learning.update_inputs import Request

__all__ = ["request_of"]  # a fixture
DEADLINE_S = 240


def beside(request: Request, name: str) -> Request:
    """The same update with a result of its own."""
    shutil.copytree(request.policies, request.policies.with_name(name))
    policies = request.policies.with_name(name)
    return request._replace(
        policies=policies, policy=policies / "v0000", report=request.report.with_name(f"{name}.json")
    )


def made(request: Request) -> dict[str, str]:
    """The digests of the version's files, without those that hold times."""
    digests = read_checkpoint(request.policies / "v0001").sha256
    return {name: digest for name, digest in digests.items() if name != "update.json"}


async def test_an_update_in_a_warm_process_is_bit_for_bit_that_of_its_own(request_of: Request, tmp_path: Path) -> None:
    alone = beside(request_of, "alone")
    assert main(arguments(alone)) == 0
    warm, log = WarmUpdates(request_of.policy, tmp_path / "warm.log"), tmp_path / "update.log"
    try:
        async with asyncio.timeout(DEADLINE_S):
            bad = request_of._replace(verdicts=tmp_path / "none.jsonl")
            assert await warm.run(arguments(bad), log) == 2
            assert "none.jsonl does not exist; judge the trajectories first" in log.read_text()
            for name in ("first", "second"):  # nothing of the first may be left in the process
                request = beside(request_of, name)
                assert await warm.run(arguments(request), log) == 0, log.read_text()
                assert made(request) == made(alone)
                assert read_report(request.report).seconds["imports"] < 1
            await dies_and_starts_again(warm, arguments(beside(request_of, "third")), log)
    finally:
        await warm.stop()


async def dies_and_starts_again(warm: WarmUpdates, arguments: list[str], log: Path) -> None:
    """A kept process that is killed is noticed by the next update, and its update dies with it."""
    process = warm._process
    assert process is not None
    update = asyncio.create_task(warm.run(arguments, log))
    await asyncio.sleep(0)
    os.kill(process.pid, signal.SIGKILL)
    assert await update is None
    assert process.returncode == -signal.SIGKILL


@pytest.mark.chaos
async def test_a_killed_warm_process_is_started_again(request_of: Request, tmp_path: Path) -> None:
    warm, log = WarmUpdates(request_of.policy, tmp_path / "warm.log"), tmp_path / "update.log"
    try:
        async with asyncio.timeout(DEADLINE_S):
            await warm.start()
            await dies_and_starts_again(warm, arguments(request_of), log)
            assert await warm.run(arguments(request_of), log) == 0
            assert read_checkpoint(request_of.policies / "v0001").step == 2
    finally:
        await warm.stop()


@pytest.mark.chaos
async def test_an_update_that_is_killed_leaves_the_warm_process_alive(
    request_of: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RL_LOOP_FAILPOINT", "update.before_write:kill")
    warm, log = WarmUpdates(request_of.policy, tmp_path / "warm.log"), tmp_path / "update.log"
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert await warm.run(arguments(request_of), log) == -signal.SIGKILL
            assert versions(request_of.policies) == [0]
            assert await warm.run(arguments(request_of._replace(version=0)), log) == 2
            assert "version 0 can't be made from version 0" in log.read_text()
    finally:
        await warm.stop()


def run_processes(request: Request, count: int, log: Path) -> int:
    command = [*start_of_command(UpdateConfig(processes=count)), *arguments(request)]
    with log.open("wb") as output:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, timeout=DEADLINE_S, check=False
        ).returncode


@pytest.mark.chaos
@pytest.mark.parametrize(("count", "sharding"), [(2, "none"), (4, "none"), (2, "fsdp2"), (4, "fsdp2")])
def test_several_processes_make_the_version_of_one(
    request_of: Request, tmp_path: Path, count: int, sharding: str
) -> None:
    """Up to the order of additions: Adam's step is the same where a gradient is not tiny."""
    config = CONFIG | {"micro_batch_size": 3, "epochs": 2, "kl_coefficient": 0.01, "sharding": sharding}
    request_of.config.write_text(json.dumps(config))
    one, several, log = beside(request_of, "one"), beside(request_of, "several"), tmp_path / "log"
    assert main(arguments(one)) == 0
    assert run_processes(several, count, log) == 0, log.read_text()
    alone, together = read_report(one.report), read_report(several.report)
    assert together.steps == alone.steps == 4
    assert together.counts == alone.counts
    assert together.metrics.keys() == alone.metrics.keys()
    for name in together.metrics.keys() - {"tokens_per_second"}:
        assert together.metrics[name] == pytest.approx(alone.metrics[name], abs=1e-4, rel=1e-3), name
    before, expected, found = (
        load_file(request.policies / version / "model.safetensors")
        for request, version in ((one, "v0000"), (one, "v0001"), (several, "v0001"))
    )
    moved = sum(float(abs(expected[name] - before[name]).sum()) for name in before)
    apart = sum(float(abs(expected[name] - found[name]).sum()) for name in before)
    assert apart < 1e-3 * moved


@pytest.mark.chaos
def test_a_sentence_of_one_of_several_processes_is_the_reason(request_of: Request, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run_processes(request_of._replace(verdicts=tmp_path / "none.jsonl"), 2, log) != 0
    assert re.fullmatch(r"/\S+none.jsonl does not exist; judge the trajectories first", last_line(log))


def test_one_process_is_plain_python() -> None:
    assert start_of_command(UpdateConfig()) == [sys.executable, "-m", "training.learning.update"]


def test_a_warm_process_and_several_are_refused_together() -> None:
    assert UpdateConfig(keep_warm=True).why_refused() is None
    assert "set keep_warm: false, or processes: 1" in (UpdateConfig(keep_warm=True, processes=2).why_refused() or "")
