"""The result of a shard that was played by another process: a file beside its trajectories.

    iterations/0003/rollout/outcome-01.json     {"round": 1, "lost": null}

Prefect could return it as a result, but then every flow run would need result storage that all machines share; the run
folder is shared already.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically


class Outcome(BaseModel):
    """The end of one shard in one round."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    round: int
    lost: str | None
    """The service that was lost, None if none was."""


def write_outcome(stage_dir: Path, shard: int, outcome: Outcome) -> None:
    """Replaces the shard's outcome."""
    write_atomically(_path(stage_dir, shard), outcome.model_dump_json().encode())


def read_outcome(stage_dir: Path, shard: int, round: int) -> str | None:
    """The service that the shard lost in this round. A shard without an outcome of this round has lost its worker."""
    try:
        outcome = Outcome.model_validate_json(_path(stage_dir, shard).read_bytes())
    except (OSError, ValidationError):
        outcome = None
    if outcome is None or outcome.round != round:
        return f"the worker of shard {shard} ended without an outcome"
    return outcome.lost


def _path(stage_dir: Path, shard: int) -> Path:
    return stage_dir / f"outcome-{shard:02d}.json"
