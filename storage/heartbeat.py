"""Heartbeat of the process that writes a run: a file beside the lock, rewritten every few seconds.

    runs/<name>/heartbeat.json    {"process": {"pid": 4711, ..}, "host": "a", "boot": "7c9e..", ..}

The lock shows the writer to readers on the same machine; the heartbeat shows it to other machines too, and stays when
the process is killed: a heartbeat that has not ended, of a process that is not alive, means a lost process.
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

from storage.atomic import write_atomically
from storage.process_id import ProcessId, process_id

FILE = "heartbeat.json"
BEAT_S = 2.0
"""Seconds between two heartbeats."""
SILENT_S = 20.0
"""Seconds without a heartbeat after which a process on another machine counts as lost; clock skew must be smaller."""


class Heartbeat(BaseModel):
    """The writing process and the time of its latest heartbeat."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    process: ProcessId
    host: str
    boot: str
    """Boot id of the machine: a pid from before a reboot means nothing."""
    namespace: str = ""
    """The process namespace, `pid:[4026531836]`: a pid of another container means nothing here. Empty: not known."""
    at: float
    """Seconds since 1970 of the latest heartbeat."""
    ended: bool = False
    """The process released the run by itself."""

    def is_of(self, other: "Heartbeat | None") -> bool:
        """True if both are heartbeats of the same process."""
        mine = (self.process, self.host, self.boot, self.namespace)
        return other is not None and mine == (other.process, other.host, other.boot, other.namespace)

    def was_lost(self) -> bool:
        """True if the process is gone without releasing the run: at once on its own machine and in its own container, else
        after `SILENT_S`."""
        if self.ended:
            return False
        if (self.host, self.boot, self.namespace) == (socket.gethostname(), boot_id(), pid_namespace()):
            return not self.process.is_alive()
        return time.time() - self.at > SILENT_S

    def __str__(self) -> str:
        return f"process {self.process.pid} on {self.host}"


@contextmanager
def beating(directory: Path, *, every_s: float = BEAT_S) -> Generator[None]:
    """Writes heartbeats during the block, from a thread, so that a busy event loop does not stop them."""
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
    """The latest heartbeat, None when there is none or it cannot be read."""
    try:
        return Heartbeat.model_validate_json((directory / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def lost(directory: Path) -> Heartbeat | None:
    """The last heartbeat of a lost process, None when the process is alive or released the run."""
    beat = read_heartbeat(directory)
    return beat if beat is not None and beat.was_lost() else None


@cache
def boot_id() -> str:
    """Linux's id of the current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@cache
def pid_namespace() -> str:
    """Linux's name of the process namespace: containers have one of their own, also with the network of their host."""
    return str(Path("/proc/self/ns/pid").readlink())


def _beat(directory: Path, over: threading.Event, every_s: float) -> None:
    while not over.wait(every_s):
        _write(directory, ended=False)


def _write(directory: Path, *, ended: bool) -> None:
    """Replaces the file, without fsync: no heartbeat matters after a machine crash. A full disk must not stop a run."""
    me = process_id(os.getpid())
    assert me is not None, "this process runs"
    place = {"host": socket.gethostname(), "boot": boot_id(), "namespace": pid_namespace()}
    beat = Heartbeat(process=me, at=time.time(), ended=ended, **place)
    with suppress(OSError):
        write_atomically(directory / FILE, beat.model_dump_json().encode(), durable=False)
