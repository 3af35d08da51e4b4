"""Moving averages of rewards by task (`credit: ema`), in a file beside the policy that was trained with them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import CheckpointError

FILE = "baselines.json"


class _Baselines(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by_task: dict[str, float]


def write_baselines(folder: Path, by_task: dict[str, float]) -> None:
    """Writes the averages into the folder of a checkpoint that is being made."""
    (folder / FILE).write_text(_Baselines(by_task=dict(sorted(by_task.items()))).model_dump_json())


def read_baselines(folder: Path) -> dict[str, float]:
    """The averages of a checkpoint; `{}` if it has none. Raises CheckpointError for a file that can't be read."""
    path = folder / FILE
    try:
        return _Baselines.model_validate_json(path.read_bytes()).by_task
    except FileNotFoundError:
        return {}
    except (ValidationError, OSError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CheckpointError(f"{path} holds no averages of rewards: {why}; start from another version") from error
