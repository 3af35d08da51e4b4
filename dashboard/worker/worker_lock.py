"""The lock of a data directory's worker: held by the worker's process, released by its death however it dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

FILE = "worker.lock"


class Taken(RuntimeError):
    """Another process holds the lock. The message names it."""


@contextmanager
def locked(data: Path) -> Generator[None]:
    """Holds the lock. Raises `Taken`."""
    with (data / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken(f"a worker of {data} is running already (process {_pid(file.fileno())})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(data: Path) -> int | None:
    """Process id of the running worker; None: there is none."""
    try:
        with (data / FILE).open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _pid(file.fileno())
    except FileNotFoundError:
        pass
    return None


def _pid(file: int) -> int:
    text = os.pread(file, 20, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else 0
