"""How well slots and model server were used: time integrals, kept by each shard and summed over a stage.

iterations/0003/rollout/usage-00.json     added to when a stage is played in several rounds
"""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.store import write_atomically


class Usage(BaseModel):
    """Seconds, weighted where it says so."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = 0.0
    slot_seconds: float = 0.0
    """Slots times seconds: what there was."""
    busy_slot_seconds: float = 0.0
    queued_slot_seconds: float = 0.0
    """Slots times seconds while an episode waited."""
    busy_while_queued: float = 0.0
    server_idle_seconds: float = 0.0
    """While no turn was asked for."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})

    def metrics(self) -> dict[str, float]:
        """Shares, each only where there was something to share."""
        found = {}
        if self.slot_seconds:
            found["slots_idle_share"] = 1 - self.busy_slot_seconds / self.slot_seconds
        if self.queued_slot_seconds:
            found["slots_busy_while_queued"] = self.busy_while_queued / self.queued_slot_seconds
        if self.seconds:
            found["server_idle_share"] = self.server_idle_seconds / self.seconds
        return found


class UsageMeter:
    """Integrates while a stage is being played. Call `note` before each change of what it is told."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._usage = Usage()
        self._since: float | None = None

    def start(self) -> None:
        """The stage begins."""
        self._usage, self._since = Usage(), time.monotonic()

    def note(self, *, running: int, queued: int, asking: int) -> None:
        """What was true since the last call."""
        if self._since is None:
            return
        now = time.monotonic()
        span, self._since = now - self._since, now
        usage, busy = self._usage, min(running, self._slots)
        usage.seconds += span
        usage.slot_seconds += span * self._slots
        usage.busy_slot_seconds += span * busy
        if queued:
            usage.queued_slot_seconds += span * self._slots
            usage.busy_while_queued += span * busy
        if not asking:
            usage.server_idle_seconds += span

    def stop(self, stage_dir: Path, shard: int) -> None:
        """The stage is over for this shard: what was measured goes to its file."""
        self._since = None
        path = stage_dir / f"usage-{shard:02d}.json"
        write_atomically(path, (_read(path) + self._usage).model_dump_json().encode())


def read_usage(stage_dir: Path) -> Usage:
    """The sum over a stage's shards."""
    total = Usage()
    for path in sorted(stage_dir.glob("usage-*.json")):
        total = total + _read(path)
    return total


def _read(path: Path) -> Usage:
    try:
        return Usage.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # none yet; a measurement is not worth a stage
        return Usage()
