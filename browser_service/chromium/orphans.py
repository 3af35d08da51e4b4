"""Adopts orphans: children of a killed Chromium become children of this process, which reaps them when they die.

Otherwise they would go to process 1, which in a container often does not reap: zombies accumulate until no process can
be started any more.
"""

import ctypes
import os
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
# Chromium's process names, as far as the kernel keeps them (15 characters).
NAMES = ("chrom", "headless_shell", "google-chrome", "chrome_crashpad", "nacl_helper")


def adopt() -> bool:
    """Makes this process the parent of every orphan below it. False where the system can't (not Linux)."""
    try:
        return ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except AttributeError:
        return False


def bury() -> int:
    """Reaps dead children that were a Chromium's; returns how many. Others are left to their own starter."""
    return sum(_collect(child.pid) for child in _dead_children() if _was_a_chromiums(child))


def zombies() -> int:
    """Number of dead children that are not reaped."""
    return len(_dead_children())


def _dead_children() -> list[psutil.Process]:
    dead = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.status() == psutil.STATUS_ZOMBIE:
                dead.append(child)
    return dead


def _was_a_chromiums(child: psutil.Process) -> bool:
    try:
        return child.name().startswith(NAMES)
    except psutil.Error:  # reaped meanwhile
        return False


def _collect(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # reaped meanwhile
        return False
