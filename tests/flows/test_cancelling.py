"""Cancelling a run that a real process writes, and the end of a flow's process whose cleanup hangs."""

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from flows.settings.loop_config import LoopConfig
from flows.settings.run_folder import RunFolder
from flows.starting.cancelling import cancel_run
from storage.errors import RunFolderError

WRITER = """
import signal, sys, time
from pathlib import Path
from flows.settings.run_folder import RunFolder
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
with RunFolder.open(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""
HANGS = """
import signal, time
from flows.starting.cancelling import leaving_within
signal.signal(signal.SIGTERM, lambda number, frame: time.sleep(60))
with leaving_within(0.5):
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def program(text: str, *arguments: object) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline().strip() in ("locked", "ready")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("hearing", "how"), [("hears", "ended by itself"), ("deaf", "was killed")])
def test_a_writer_ends_by_itself_or_is_killed(config: LoopConfig, hearing: str, how: str) -> None:
    folder = RunFolder.create("a", config)
    with program(WRITER, folder.root, hearing) as writer:
        said = cancel_run(folder, None, deadline_s=1.0)
        assert writer.wait(5) != 0

    assert said.startswith("run a is cancelled after ") and said.endswith(f"its process {how}")
    with folder.lock():
        pass


def test_a_run_that_nobody_plays_is_a_sentence(config: LoopConfig) -> None:
    with pytest.raises(RunFolderError, match="run a is not being played; there is nothing to cancel"):
        cancel_run(RunFolder.create("a", config), None)


def test_a_process_leaves_although_its_cleanup_hangs() -> None:
    with program(HANGS) as process:
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(10) == 128 + signal.SIGTERM
        assert time.monotonic() - began >= 0.4
