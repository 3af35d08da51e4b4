"""Progress of a stage for display: small files that the stages write and the command line reads."""

import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically

WRITE_EVERY_S = 0.5
"""Seconds between two writes of one progress file."""


class Progress(BaseModel):
    """Counts of one stage, or of one shard of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    done: int = 0
    total: int = 0
    judged: int = 0
    successes: int = 0
    failures: int = 0
    """Broken attempts, including attempts that were retried."""
    note: str = ""
    """Current activity of a stage that counts nothing: `publishing`."""

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            done=self.done + other.done,
            total=self.total + other.total,
            judged=self.judged + other.judged,
            successes=self.successes + other.successes,
            failures=self.failures + other.failures,
            note=self.note or other.note,
        )


class ProgressFile:
    """Writes one shard's progress, at most every `WRITE_EVERY_S` seconds."""

    def __init__(self, stage_dir: Path, shard: int = 0) -> None:
        self._path = stage_dir / f"progress-{shard:02d}.json"
        self._written = 0.0
        self.now = Progress()
        stage_dir.mkdir(parents=True, exist_ok=True)

    def add(self, change: Progress) -> None:
        """Adds to the counts. Example: `add(Progress(done=1, judged=1))`."""
        self.now = self.now + change
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self.save()

    def say(self, note: str) -> None:
        """Records the current activity."""
        self.now = self.now.model_copy(update={"note": note})
        self.save()

    def save(self) -> None:
        """Writes the file now."""
        write_atomically(self._path, self.now.model_dump_json().encode())
        self._written = time.monotonic()


def read_progress(stage_dir: Path) -> Progress:
    """The sum over a stage's shards; zero before the stage began. A file that cannot be read counts nothing."""
    shards: list[Progress] = []
    for path in progress_files(stage_dir):
        try:
            shards.append(Progress.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):  # a display must not fail over a file that is being replaced
            continue
    return sum_of(shards)


def progress_files(stage_dir: Path) -> list[Path]:
    """The files of a stage's shards."""
    return sorted(stage_dir.glob("progress-*.json"))


def sum_of(shards: Iterable[Progress]) -> Progress:
    """The progress of several shards together."""
    return sum(shards, start=Progress())
