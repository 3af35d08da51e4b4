"""Unambiguous process ids: a pid alone may be reused, a pid with its start time may not."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class ProcessId(BaseModel):
    """An unambiguous process id. Example: `ProcessId(pid=4711, started=88213456)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pid: int
    started: int
    """Start time in clock ticks since boot, field 22 of /proc/PID/stat."""

    def is_alive(self) -> bool:
        """True if this very process still runs (a zombie does not)."""
        return process_id(self.pid) == self


def process_id(pid: int) -> ProcessId | None:
    """The identity of a running process, None if there is none with this pid."""
    stat = stat_of(pid)
    return ProcessId(pid=pid, started=int(stat[19])) if stat and stat[0] not in ("Z", "X") else None


def stat_of(pid: int) -> list[str] | None:
    """Fields 3.. of /proc/PID/stat (state first); the command name before them may contain spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
