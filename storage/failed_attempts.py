"""The log of broken attempts at episodes: a line per attempt, whether or not it was retried.

iterations/0003/rollout/failures.jsonl
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.types import Failure

FAILURES = "failures.jsonl"


class FailedAttempt(BaseModel):
    """A line of failures.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trajectory_id: str
    attempt: int
    at: str
    failure: Failure
    steps: int = 0
    """Steps whose work was lost."""
    seconds: float = 0.0
    """Duration of the attempt, in seconds."""


def append_line(path: Path, line: str) -> None:
    """Append one line in one write, since the shards of one process share the file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode() + b"\n")
    finally:
        os.close(handle)


def read_failures(path: Path) -> list[FailedAttempt]:
    """The lines of a failures.jsonl; a last line that a crash truncated is skipped."""
    if not path.exists():
        return []
    found: list[FailedAttempt] = []
    for line in path.read_bytes().splitlines():  # as bytes: a line of text may hold U+2028, or end inside a character
        try:
            found.append(FailedAttempt.model_validate_json(line))
        except ValidationError:
            continue
    return found
