"""Utilization of slots and model server: time integrals, kept by each shard and summed over a stage.

iterations/0003/rollout/usage-00.json     accumulated when a stage is played in several rounds
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically


class Usage(BaseModel):
    """Seconds, or slots times seconds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    slot_seconds: float = 0.0
    """Slots times seconds: the capacity."""
    busy_slot_seconds: float = 0.0
    queued_slot_seconds: float = 0.0
    """Slots times seconds while an episode waited."""
    busy_while_queued: float = 0.0
    server_seconds: float = 0.0
    """Seconds while any rank of the process played; each second is in the file of one rank only."""
    server_idle_seconds: float = 0.0
    """The part of `server_seconds` in which no turn was running."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})

    def metrics(self) -> dict[str, float]:
        """Utilization shares, each only if its denominator is not zero."""
        found = {}
        if self.slot_seconds:
            found["slots_idle_share"] = 1 - self.busy_slot_seconds / self.slot_seconds
        if self.queued_slot_seconds:
            found["slots_busy_while_queued"] = self.busy_while_queued / self.queued_slot_seconds
        if self.server_seconds:
            found["server_idle_share"] = self.server_idle_seconds / self.server_seconds
        return found


class ServerMeter:
    """Measures the time in which no rank of a process has a turn running in the model server; shared by the ranks.

    Belongs to an event loop, whose clock it reads.
    """

    def __init__(self) -> None:
        self._playing = self._asking = 0
        self._since = 0.0
        self._usage = Usage()

    @contextmanager
    def playing(self) -> Generator[None]:
        """A rank plays a stage during the block."""
        self._note()
        self._playing += 1
        try:
            yield
        finally:
            self._note()
            self._playing -= 1

    @contextmanager
    def asking(self) -> Generator[None]:
        """A turn runs during the block."""
        self._note()
        self._asking += 1
        try:
            yield
        finally:
            self._note()
            self._asking -= 1

    def take(self) -> Usage:
        """The measurement since the last call, so that the ranks can record it without counting a second twice."""
        self._note()
        taken, self._usage = self._usage, Usage()
        return taken

    def _note(self) -> None:
        """Adds the time since the last change to the measurement."""
        now = asyncio.get_running_loop().time()
        span, self._since = now - self._since, now
        if self._playing:
            self._usage.server_seconds += span
            if not self._asking:
                self._usage.server_idle_seconds += span


class SlotMeter:
    """Integrates over a rank's slots while a stage is played. Call `note` before each change of its arguments."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._usage = Usage()
        self._since: float | None = None

    def start(self) -> None:
        """Begins the measurement of a stage."""
        self._usage, self._since = Usage(), asyncio.get_running_loop().time()

    def note(self, *, running: int, queued: int) -> None:
        """Adds the time since the last call, during which these numbers held."""
        if self._since is None:
            return
        now = asyncio.get_running_loop().time()
        span, self._since = now - self._since, now
        usage, busy = self._usage, min(running, self._slots)
        usage.slot_seconds += span * self._slots
        usage.busy_slot_seconds += span * busy
        if queued:
            usage.queued_slot_seconds += span * self._slots
            usage.busy_while_queued += span * busy

    def stop(self) -> Usage:
        """Ends the measurement of a stage; returns it."""
        self._since = None
        return self._usage


def add_usage(stage_dir: Path, shard: int, usage: Usage) -> None:
    """Adds a measurement to a shard's file."""
    path = stage_dir / f"usage-{shard:02d}.json"
    write_atomically(path, (_read(path) + usage).model_dump_json().encode())


def read_usage(stage_dir: Path) -> Usage:
    """The sum over a stage's shards."""
    total = Usage()
    for path in sorted(stage_dir.glob("usage-*.json")):
        total = total + _read(path)
    return total


def _read(path: Path) -> Usage:
    try:
        return Usage.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):  # none yet; a measurement must not fail a stage
        return Usage()
