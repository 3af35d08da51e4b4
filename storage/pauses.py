"""The pauses of hosts in a stage: a line for each, for monitors and metrics.

iterations/0003/rollout/pauses.jsonl    {"host": "shop.example", "at": 1760000000.0, "until": 1760000120.0}
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.failed_attempts import append_line

PAUSES = "pauses.jsonl"


class Pause(BaseModel):
    """No episode began on a host for a while, because it blocked visits or could not be reached."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str
    at: float
    """Beginning, in seconds of the epoch."""
    until: float


def append_pause(stage_dir: Path, pause: Pause) -> None:
    """Appends a pause to the stage's file."""
    append_line(stage_dir / PAUSES, pause.model_dump_json())


def read_pauses(stage_dir: Path) -> list[Pause]:
    """The pauses of a stage, in their order; a line that a crash truncated is skipped."""
    try:
        lines = (stage_dir / PAUSES).read_bytes().splitlines()
    except OSError:
        return []
    found: list[Pause] = []
    for line in lines:
        try:
            found.append(Pause.model_validate_json(line))
        except ValidationError:
            continue
    return found
