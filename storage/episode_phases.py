"""The current phase of each episode of a stage, for monitors: one small file per shard, replaced twice a second.

    iterations/0003/rollout/live-00.json   {"at": 1760000000.0, "slots": 4, "queued": 31, "episodes": {"i0003-..-m02":
                                            {"phase": "model", "step": 3, "since": 1759999998.5, "attempt": 1}}}

An episode that ended is not in it: its trajectory is in the store. `monitor.py` joins both.
"""

import asyncio
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically

Phase = Literal["serve", "allocate", "navigate", "model", "act", "record", "parked", "judge"]
"""`parked`: carried over from an earlier iteration, waiting between two turns while a new policy is published."""
WRITE_EVERY_S = 0.5
BEAT_S = 20.0


class Cell(BaseModel):
    """One episode that is being played."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    phase: Phase
    step: int = 0
    """Completed steps."""
    since: float
    """Start of this phase, in seconds of the epoch."""
    attempt: int = 1


class Live(BaseModel):
    """The current state of one shard."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    at: float = 0.0
    """Time of writing, in seconds of the epoch; an old time means that the process was killed."""
    slots: int = 0
    """Episodes that the shard may play at the same time."""
    queued: int = 0
    """Episodes that wait for a slot."""
    episodes: dict[str, Cell] = {}
    """By trajectory id."""


class LiveFile:
    """Writes one shard's file, at most every `WRITE_EVERY_S` seconds. Belongs to an event loop."""

    def __init__(self, stage_dir: Path, shard: int, *, slots: int) -> None:
        self._path = stage_dir / f"live-{shard:02d}.json"
        self._written = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._now = Live(slots=slots)
        stage_dir.mkdir(parents=True, exist_ok=True)

    def tell(self, trajectory_id: str, phase: Phase, step: int, attempt: int = 1) -> None:
        """Records that an episode enters a phase."""
        self._now.episodes[trajectory_id] = Cell(phase=phase, step=step, since=time.time(), attempt=attempt)
        self._save_now_and_then()

    def forget(self, trajectory_id: str) -> None:
        """Removes an episode that ended or was given back to the queue."""
        self._now.episodes.pop(trajectory_id, None)
        self._save_now_and_then()

    def hand_over(self, to: "LiveFile") -> None:
        """Moves the episodes to another file, which reports them from now on; this file is written a last time."""
        to._now.episodes |= self._now.episodes
        self._now.episodes, self._now.queued = {}, 0
        self.save()
        to.save()

    def queue(self, length: int) -> None:
        """Records the number of waiting episodes."""
        self._now.queued = length

    def save(self) -> None:
        """Write now, and again after `BEAT_S` while there are episodes, so that the process does not count as dead."""
        self._now.at = time.time()
        write_atomically(self._path, self._now.model_dump_json().encode())
        self._written = time.monotonic()
        self._save_in(BEAT_S if self._now.episodes else None)

    def _save_now_and_then(self) -> None:
        left = self._written + WRITE_EVERY_S - time.monotonic()
        if left <= 0:
            self.save()
        else:  # the last change of a burst is written too
            self._save_in(left)

    def _save_in(self, seconds: float | None) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.save)


def read_live(stage_dir: Path) -> dict[int, Live]:
    """The state of each shard, by its number."""
    found = {}
    for path in sorted(stage_dir.glob("live-*.json")):
        try:
            found[int(path.stem.removeprefix("live-"))] = Live.model_validate_json(path.read_bytes())
        except (
            OSError,
            ValidationError,
            ValueError,
        ):  # a display must not fail over a file that is just being replaced
            continue
    return found
