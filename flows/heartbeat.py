"""Proof of life of the process that writes a run: a file beside its lock, written again every few seconds.

    runs/<name>/heartbeat.json    {"process": {"pid": 4711, ..}, "host": "a", "boot": "7c9e..", "at": 1764374.2, "ended": false}

The lock tells a reader on the same machine who writes now; this file also tells one on another machine, and it stays when
the process is killed: not ended and not alive is a process that was lost.
"""

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.processes import ProcessId, process_id

FILE = "heartbeat.json"
BEAT_S = 2.0
"""Seconds between two beats."""
SILENT_S = 20.0
"""Seconds without a beat after which a process on another machine is believed to be gone; the clocks differ by less."""


class Heartbeat(BaseModel):
    """Who writes, and when that was last said."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    process: ProcessId
    host: str
    boot: str
    """Of the machine: a pid from before a restart of it means nothing."""
    at: float
    """Seconds since 1970 of the latest beat."""
    ended: bool = False
    """The process has let go of the run by itself."""

    def is_of(self, other: "Heartbeat | None") -> bool:
        """Whether both are of one process."""
        mine = (self.process, self.host, self.boot)
        return other is not None and mine == (other.process, other.host, other.boot)

    def was_lost(self) -> bool:
        """Whether the process is gone without having let go: at once on its own machine, by its silence on another."""
        if self.ended:
            return False
        if self.host == socket.gethostname() and self.boot == boot_id():
            return not self.process.is_alive()
        return time.time() - self.at > SILENT_S

    def __str__(self) -> str:
        return f"process {self.process.pid} on {self.host}"


@contextmanager
def beating(directory: Path, *, every_s: float = BEAT_S) -> Generator[None]:
    """This process proves that it lives as long as the block lasts; a thread does, whatever the event loop is busy with."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(directory, over, every_s), name="heartbeat", daemon=True)
    _write(directory, ended=False)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _write(directory, ended=True)


def read_heartbeat(directory: Path) -> Heartbeat | None:
    """The latest beat, None when there was none or it cannot be read."""
    try:
        return Heartbeat.model_validate_json((directory / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def lost(directory: Path) -> Heartbeat | None:
    """The last beat of a process that was lost, None when the latest one lives or has let go."""
    beat = read_heartbeat(directory)
    return beat if beat is not None and beat.was_lost() else None


@cache
def boot_id() -> str:
    """What Linux calls this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _beat(directory: Path, over: threading.Event, every_s: float) -> None:
    while not over.wait(every_s):
        _write(directory, ended=False)


def _write(directory: Path, *, ended: bool) -> None:
    """Replaces the file. Without fsync, as a beat is worth nothing after a crash of the machine; a full disk must not stop the run."""
    me = process_id(os.getpid())
    assert me is not None, "this process runs"
    beat = Heartbeat(process=me, host=socket.gethostname(), boot=boot_id(), at=time.time(), ended=ended)
    partial = directory / f".{FILE}.partial"
    with suppress(OSError):
        partial.write_text(beat.model_dump_json())
        partial.replace(directory / FILE)
