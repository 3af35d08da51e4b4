"""Cancelling a run: its episodes, its update and its browsers end within seconds, and `rl-loop resume` goes on.

    rl-loop cancel, or the UI ── CANCELLING ──> worker ── SIGTERM ──> the flow's process, which closes what it opened
                                                              └─ `leaving_within`: it ends at the latest after LEAVE_S

A process that does not end, or whose worker is gone, is killed here. What it started dies with it (services/tether.py);
its browsers are given back when their leases expire.
"""

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from flows.services.prefect_api import PrefectServer
from flows.settings.run_folder import RunFolder
from flows.starting.aftermath import settle
from storage.errors import RunFolderError
from storage.heartbeat import read_heartbeat

LEAVE_S = 8.0
"""Seconds from SIGTERM to the end of a flow's process, cleanup included."""
DEADLINE_S = 10.0
"""Seconds from the cancellation to the kill of a process on this machine."""
POLL_S = 0.1
REPORT_S = 5.0
"""Seconds that a process, or its worker, has to report its end to Prefect."""


@contextmanager
def leaving_within(seconds: float = LEAVE_S) -> Generator[None]:
    """In the block, SIGTERM also starts a clock that ends this process, however long its cleanup hangs.

    Only in the main thread, which alone receives signals; elsewhere it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def leave(number: int, frame: FrameType | None) -> None:
        clock = threading.Timer(seconds, os._exit, args=[128 + signal.SIGTERM])
        clock.daemon = True
        clock.start()
        if callable(before):
            before(number, frame)
        else:  # no handler before: what the signal would have done
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def cancel_run(folder: RunFolder, server: PrefectServer | None, *, deadline_s: float = DEADLINE_S) -> str:
    """Cancel a run, with `server` in Prefect too. Returns what happened.

    Raises `RunFolderError` when nothing plays the run, or when it is played on another machine and goes on.
    """
    began = time.monotonic()
    asked = server.unfinished(folder.record().prefect_flow_runs) if server else []
    writer = folder.writer()
    if not asked and writer is None:
        raise RunFolderError(f"run {folder.name} is not being played; there is nothing to cancel")
    if server:
        for run in asked:
            server.cancel(run.id)
    if not asked and writer:
        os.kill(writer, signal.SIGINT)  # a run without Prefect, which ends as it does for Ctrl+C
    killed = not _ends(folder, began + deadline_s) and _kill(folder)
    took = time.monotonic() - began
    if server:
        _mark(folder, server, [run.id for run in asked])
    how = "its process was killed" if killed else "its process ended by itself"
    return f"run {folder.name} is cancelled after {took:.1f} s; {how}"


def _ends(folder: RunFolder, deadline: float) -> bool:
    """True if nobody writes the run any more; waits until then."""
    while time.monotonic() < deadline:
        beat = read_heartbeat(folder.root)
        if folder.writer() is None and (beat is None or beat.ended or beat.was_lost()):
            return True
        time.sleep(POLL_S)
    return False


def _kill(folder: RunFolder) -> bool:
    """Kill the writer on this machine. Raises `RunFolderError` if it is on another one."""
    writer = folder.writer()
    if not writer:
        beat = read_heartbeat(folder.root)
        raise RunFolderError(f"run {folder.name} is played by {beat}, which did not end; stop it there")
    os.kill(writer, signal.SIGKILL)
    return _ends(folder, time.monotonic() + DEADLINE_S)


def _mark(folder: RunFolder, server: PrefectServer, flow_runs: list[str]) -> None:
    """Have Prefect and MLflow show the end that the worker has not reported, or cannot report."""
    deadline = time.monotonic() + REPORT_S
    while server.unfinished(flow_runs) and time.monotonic() < deadline:  # the process reports its end after it let go
        time.sleep(POLL_S)
    for identity in flow_runs:
        if server.read(identity).state not in ("COMPLETED", "CANCELLED"):  # by the signal, it may have ended as a crash
            server.mark_cancelled(identity)
        settle(folder, server, identity, status="KILLED")
