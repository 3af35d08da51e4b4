"""Work on another machine ends with the loop that asked for it: real heartbeats of real processes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from flows.loop_tether import LoopGone, ending_with_loop
from storage.heartbeat import FILE, beating, read_heartbeat

LOOP = """
import sys, time
from pathlib import Path
from storage.heartbeat import beating
with beating(Path(sys.argv[1])):
    print("runs", flush=True)
    time.sleep(60)
"""


def started_loop(root: Path) -> "subprocess.Popen[bytes]":
    loop = subprocess.Popen([sys.executable, "-c", LOOP, str(root)], stdout=subprocess.PIPE)
    assert loop.stdout is not None and loop.stdout.readline() == b"runs\n"
    return loop


async def test_work_ends_when_its_loop_is_killed(tmp_path: Path) -> None:
    with started_loop(tmp_path) as loop, pytest.raises(LoopGone, match=r"^the loop is lost .*, so this work is ended"):
        async with asyncio.timeout(60), ending_with_loop(tmp_path, poll_s=0.05):
            await asyncio.sleep(0.3)
            loop.kill()
            await asyncio.sleep(60)


async def test_work_ends_when_another_process_goes_on_with_the_run(tmp_path: Path) -> None:
    with (
        started_loop(tmp_path) as loop,
        pytest.raises(LoopGone, match=rf"goes on with the run and not process {loop.pid} on "),
    ):
        async with asyncio.timeout(60), ending_with_loop(tmp_path, poll_s=0.05):
            loop.kill()
            with beating(tmp_path):
                await asyncio.sleep(60)


async def test_work_goes_on_while_the_loop_lives_and_its_own_cancellation_stays_one(tmp_path: Path) -> None:
    async def work() -> str:
        async with ending_with_loop(tmp_path, poll_s=0.05):
            await asyncio.sleep(0.5)
            return "done"

    with beating(tmp_path):
        assert await work() == "done"
        cancelled = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    ended = read_heartbeat(tmp_path)
    assert ended is not None and ended.ended
    with pytest.raises(LoopGone, match="the loop has ended"):
        await work()
    (tmp_path / FILE).unlink()
    assert await work() == "done", "a run without a heartbeat says nothing"
