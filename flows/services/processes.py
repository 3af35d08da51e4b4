"""Unambiguous process ids: a pid alone may be reused, a pid with its start time may not.

Every service leads its own process group and inherits an environment variable with the state directory, so that
grandchildren (vLLM's engine, Chromium, a flow run) are found again after any crash.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from storage.process_id import ProcessId, process_id, stat_of

MARKER = "RL_LOOP_STATE_DIR"
"""Environment variable of every service and its descendants; the value is the absolute state directory."""

TETHER = Path(__file__).with_name("tether.py")


def own_state_dir() -> Path | None:
    """The state directory whose services this process descends from, None if it was started by hand."""
    value = os.environ.get(MARKER)
    return Path(value) if value else None


def tethered(command: list[str]) -> list[str]:
    """The command that runs `command` and dies with this process. Start it from the main thread."""
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command]


def group_members(leader: int) -> list[int]:
    """Pids of the running members of the process group with this leader."""
    return [pid for pid in _pids() if (stat := stat_of(pid)) and int(stat[2]) == leader and stat[0] not in ("Z", "X")]


def marked(state_dir: Path) -> list[ProcessId]:
    """Running processes that descend from a service of this state directory, except this process."""
    wanted = f"{MARKER}={state_dir}".encode()
    found: list[ProcessId] = []
    for pid in _pids():
        if pid == os.getpid():
            continue
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile, or it belongs to another user and so not to us
            continue
        if wanted in environ and (identity := process_id(pid)):
            found.append(identity)
    return found


async def stop_group(leader: int, *, term_s: float) -> None:
    """Send SIGTERM to a process group, and SIGKILL to its remaining members after `term_s` seconds."""
    if not group_members(leader):
        return
    signal_group(leader, signal.SIGTERM)
    deadline = time.monotonic() + term_s
    while time.monotonic() < deadline:
        if not group_members(leader):
            return
        await asyncio.sleep(0.05)
    signal_group(leader, signal.SIGKILL)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to a process group; a group that no longer exists is no error."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return


def stop(processes: Iterable[ProcessId], *, term_s: float) -> list[ProcessId]:
    """Send SIGTERM, then SIGKILL after `term_s` seconds, to exactly these processes. Returns the running ones."""
    running = [identity for identity in processes if identity.is_alive()]
    _send(running, signal.SIGTERM)
    deadline = time.monotonic() + term_s
    while time.monotonic() < deadline and any(identity.is_alive() for identity in running):
        time.sleep(0.05)
    _send(running, signal.SIGKILL)
    return running


def _send(processes: Iterable[ProcessId], number: signal.Signals) -> None:
    for identity in processes:
        if identity.is_alive():
            try:
                os.kill(identity.pid, number)
            except ProcessLookupError:
                continue


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
