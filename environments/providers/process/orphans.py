"""Removes what killed owners left on this machine: server processes with all their children, and folders."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

from environments.providers.owners import MARK, is_orphan
from environments.providers.process.server import FOLDER
from environments.providers.scratch import scratch_folders


def sweep() -> int:
    """Kills orphaned processes and removes orphaned folders; returns how many there were.

    Two sweeps at once do no harm: what is gone already is skipped.
    """
    found = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and is_orphan(mark_of(folder)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(folder.name), signal.SIGKILL)
                found += 1
    for folder in scratch_folders(FOLDER):
        if is_orphan(folder.name.removeprefix(FOLDER).rpartition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)
            found += 1
    return found


def mark_of(process: Path) -> str | None:
    """The owner's mark in the environment of a process, which its children inherit; None without one."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = f"{MARK}=".encode()
    found = next((variable for variable in variables if variable.startswith(prefix)), None)
    return found.removeprefix(prefix).decode(errors="replace") if found else None
