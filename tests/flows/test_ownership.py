"""A served policy has one owner: the second run is refused with the first one's name, or waits for its end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from loop_configs import WriteConfig

from flows.commands import operations
from flows.policy.ownership import PolicyOwned, owner_of, policy_owned
from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.loop import run_alone
from storage.errors import LoopError

OWN = """
import asyncio, sys
from pathlib import Path
from flows.policy.ownership import policy_owned
from flows.settings.run_folder import RunFolder

async def own() -> None:
    async with policy_owned(RunFolder.open(Path(sys.argv[1]))):
        print("owned", flush=True)
        await asyncio.sleep(float(sys.argv[2]))

asyncio.run(own())
"""


@contextmanager
def another_process(folder: RunFolder, seconds: float) -> Generator[subprocess.Popen[str]]:
    """A process that owns the policy for a run."""
    command = [sys.executable, "-c", OWN, str(folder.root), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "owned\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def first(write_config: WriteConfig) -> RunFolder:
    return RunFolder.create("first", load_config(write_config()))


@pytest.fixture
def second(write_config: WriteConfig) -> RunFolder:
    return RunFolder.create("second", load_config(write_config(), ["services.owner_wait_s=30"]))


def hasty(folder: RunFolder) -> RunFolder:
    """The run with the default: no waiting."""
    services = folder.config.services.model_copy(update={"owner_wait_s": 0.0})
    return RunFolder(folder.root, folder.config.model_copy(update={"services": services}))


async def test_a_second_run_is_refused_with_the_owner_s_name(first: RunFolder, second: RunFolder) -> None:
    with another_process(first, 60) as owner:
        with pytest.raises(PolicyOwned) as refused:
            await run_alone(hasty(second))
        assert f"belongs to run first ({first.root}, process {owner.pid}, since " in str(refused.value)
        assert "run second would publish over it" in str(refused.value) and "\n" not in str(refused.value)
        assert isinstance(refused.value, LoopError)  # one sentence on the command line
        assert owner_of(first.config.services.state_dir) is not None
        assert not (second.root / "iterations").exists(), "nothing began"


def test_an_evaluation_beside_a_run_is_refused_too(first: RunFolder, second: RunFolder) -> None:
    with another_process(first, 60), pytest.raises(PolicyOwned, match="belongs to run first"):
        operations.evaluate_now(hasty(second))


async def test_whoever_waits_goes_on_when_the_owner_is_over(first: RunFolder, second: RunFolder) -> None:
    with another_process(first, 1.0):
        async with policy_owned(second):
            owner = owner_of(second.config.services.state_dir)
            assert owner is not None and (owner.run, owner.pid) == (str(second.root), os.getpid())
    assert owner_of(second.config.services.state_dir) is None


async def test_a_killed_owner_owns_nothing_and_its_run_goes_on(first: RunFolder) -> None:
    with another_process(first, 60) as owner:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert owner_of(first.config.services.state_dir) is None
        async with policy_owned(hasty(first)):
            pass


async def test_in_one_process_a_run_may_ask_twice_and_another_may_not(first: RunFolder, second: RunFolder) -> None:
    async with policy_owned(first):
        async with policy_owned(first):
            pass
        with pytest.raises(PolicyOwned, match="belongs to run first"):
            async with policy_owned(hasty(second)):
                pass
        began = time.monotonic()
        waiting = asyncio.create_task(_own(second))
        await asyncio.sleep(0)
    await waiting
    assert time.monotonic() - began < 25


async def _own(folder: RunFolder) -> None:
    async with policy_owned(folder):
        pass


async def test_services_of_its_own_are_nobody_else_s(first: RunFolder, second: RunFolder, tmp_path: Path) -> None:
    services = second.config.services.model_copy(update={"state_dir": tmp_path / "other"})
    elsewhere = RunFolder(second.root, second.config.model_copy(update={"services": services}))
    async with policy_owned(first), policy_owned(elsewhere):
        pass
