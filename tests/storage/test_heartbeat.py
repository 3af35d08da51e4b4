"""Heartbeats of a run's writer; a killed writer counts as lost, at once on its machine and by silence elsewhere."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import heartbeat
from storage.heartbeat import Heartbeat, beating, lost, read_heartbeat
from storage.run_layout import RunLayout

HOLDER = """
import sys, time
from pathlib import Path
from storage.run_layout import RunLayout
with RunLayout(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def beat_of(directory: Path) -> Heartbeat:
    beat = read_heartbeat(directory)
    assert beat is not None
    return beat


def test_a_killed_writer_is_lost_until_the_next_one_comes(tmp_path: Path) -> None:
    folder = RunLayout(tmp_path)
    assert lost(folder.root) is None, "nobody has written yet"
    command = [sys.executable, "-c", HOLDER, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        assert lost(folder.root) is None and beat_of(folder.root).process.pid == holder.pid
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()

    gone = lost(folder.root)
    assert gone is not None and str(gone).startswith(f"process {holder.pid} on ")
    assert folder.writer() is None and lost(folder.root) == gone, "looking clears nothing"
    with folder.lock():
        assert lost(folder.root) is None and not beat_of(folder.root).is_of(gone)
    assert lost(folder.root) is None and beat_of(folder.root).ended


def test_it_beats_while_the_process_is_busy(tmp_path: Path) -> None:
    with beating(tmp_path, every_s=0.01):
        first, deadline = beat_of(tmp_path), time.monotonic() + 30
        while beat_of(tmp_path).at == first.at:
            assert time.monotonic() < deadline, "no second beat"
        assert beat_of(tmp_path).is_of(first)


@pytest.mark.parametrize(
    "elsewhere", [{"host": "another"}, {"boot": "an earlier start"}, {"namespace": "of a container"}]
)
def test_on_another_machine_or_in_another_container_silence_tells(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    with beating(tmp_path):
        beat = beat_of(tmp_path).model_copy(update=elsewhere)
    assert not beat.was_lost()
    assert beat.model_copy(update={"at": time.time() - heartbeat.SILENT_S - 1}).was_lost()


def test_a_pid_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    with beating(tmp_path):
        beat = beat_of(tmp_path)
    earlier = beat.process.model_copy(update={"started": beat.process.started - 1})
    assert beat.model_copy(update={"process": earlier}).was_lost()


@pytest.mark.parametrize("content", [b"", b"{", b'{"at": NaN}'])
def test_a_damaged_file_is_no_proof(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "heartbeat.json").write_bytes(content)
    assert read_heartbeat(tmp_path) is None and lost(tmp_path) is None


def test_a_full_disk_stops_no_run(tmp_path: Path) -> None:
    with beating(tmp_path / "missing", every_s=0.01):
        time.sleep(0.05)
    assert read_heartbeat(tmp_path / "missing") is None
