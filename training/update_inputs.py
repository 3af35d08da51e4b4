"""The input of an update, read and checked before anything heavy is imported."""

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from agent.store import TrajectoryStore
from agent.types import Verdict
from training.checkpoints import Checkpoint, read_checkpoint
from training.config import UpdateConfig
from training.errors import BadInput
from training.filters import Selection, select
from training.samples import Sample, Samples, build_samples, read_vocabulary


class Request(NamedTuple):
    """The arguments of one update."""

    trajectories: Path
    """Stage folder with the trajectories and their pictures."""
    verdicts: Path
    """JSONL, one verdict per line."""
    policy: Path
    """Checkpoint to train."""
    policies: Path
    """Folder that gets the new checkpoint."""
    version: int
    """Its version."""
    config: Path
    """JSON of an `UpdateConfig`."""
    report: Path
    """Where the report goes."""


class Batch(NamedTuple):
    """Everything that was read and checked."""

    config: UpdateConfig
    parent: Checkpoint
    store: TrajectoryStore
    selection: Selection
    samples: list[Sample]
    masked_steps: dict[str, int]


def read_batch(request: Request) -> Batch:
    """Reads and checks all input. Raises UpdateError or CorruptTrajectory, each one sentence."""
    config = _read_config(request.config)
    parent = read_checkpoint(request.policy)
    if request.version <= parent.version:
        raise BadInput(f"version {request.version} can't be made from version {parent.version}; versions count upwards")
    if not request.trajectories.is_dir():
        raise BadInput(f"{request.trajectories} does not exist; expected the stage folder of a rollout")
    store = TrajectoryStore(request.trajectories)
    selection = select(store, _read_verdicts(request.verdicts), config)
    samples, masked = _samples(selection, parent, config)
    missing = [sha for sample in samples for sha in sample.images if not store.has_image(sha)]
    if missing:
        raise BadInput(f"{store.image_path(missing[0])} does not exist, though a stored prompt shows it; play again")
    return Batch(config, parent, store, selection, samples, masked)


def _samples(selection: Selection, parent: Checkpoint, config: UpdateConfig) -> Samples:
    return build_samples(
        selection.members,
        vocabulary=read_vocabulary(parent.path),
        policy_version=parent.version,
        max_staleness=config.max_staleness,
    )


def _read_config(path: Path) -> UpdateConfig:
    try:
        return UpdateConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; expected the update's configuration as JSON") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(f"{path}: {key}: {first['msg']}") from error


def _read_verdicts(path: Path) -> dict[str, Verdict]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; judge the trajectories first") from None
    verdicts: dict[str, Verdict] = {}
    for number, line in enumerate(lines, start=1):
        try:
            verdict = Verdict.model_validate_json(line)
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {error.errors()[0]['msg']}; judge again") from error
        if verdict.trajectory_id in verdicts:
            raise BadInput(f"{path}, line {number}: a second verdict for {verdict.trajectory_id}; judge again")
        verdicts[verdict.trajectory_id] = verdict
    return verdicts
