"""The lock of a run folder: one process may write, any process may ask for the holder."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import RunFolderError

LOCK = "lock"
TRIES = 5
PAUSE_S = 0.05
"""Seconds between two tries to lock: `holder_of` in another process holds a shared lock for an instant."""


@contextmanager
def locked(root: Path) -> Generator[None]:
    """The right to write a run, until the context or the process ends.

    Raises `RunFolderError` naming the pid of the holder, or saying that the folder is not writable.
    """
    try:
        file = (root / LOCK).open("a+", errors="replace")
    except OSError as error:
        raise RunFolderError(
            f"run {root.name} cannot be written: {root / LOCK}: {error.strerror or error}; make the folder writable for "
            f"this user, or copy it and name the copy's path"
        ) from error
    with file:
        for tried in range(TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(PAUSE_S if tried < TRIES - 1 else 0)
        else:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunFolderError(f"run {root.name} is being written by process {holder}; wait for it or stop it first")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder_of(lock: Path) -> int | None:
    """Pid of the process that holds a lock file, None if none does, 0 if unknown. Needs no write permission."""
    try:
        with lock.open(errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdecimal() else 0
    except (FileNotFoundError, NotADirectoryError):  # never locked
        return None
    except OSError as error:
        raise RunFolderError(f"{lock} cannot be read ({error.strerror or error})") from error
