"""Reads and checks everything of a checkpoint that a publish needs before the server is touched.

Errors that show in the files alone are raised here, while the earlier policy stays served.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from storage.store import CorruptTrajectory, TrajectoryStore
from training.checkpointing.canary import Canary, ScoredCompletion, read_canary
from training.checkpointing.checkpoints import read_checkpoint
from training.checkpointing.manifest import MANIFEST
from training.checkpointing.weight_digests import Shapes, Weights, read_weights
from training.errors import CheckpointError

KIND = ("architectures", "model_type")
"""Keys of a config.json that say which model class reads the weights."""
TIED = "lm_head.weight"
"""A tensor that models with tied embeddings may write or leave out."""
GUESSING = "mtp."
"""Start of the names of heads for multi-token prediction (Qwen3.5): transformers neither loads nor writes them, and a server uses
them only to guess tokens that the model then checks."""
SERVED_TEMPERATURE = 1.0
"""Temperature at which the server scores, whatever the policy is sampled at."""


class Probe(NamedTuple):
    """A stored completion with its pictures, ready to be scored."""

    completion: ScoredCompletion
    pictures: tuple[bytes, ...]


class Prepared(NamedTuple):
    """A policy that may be published. Example: `Prepared(version="demo:3", path=Path("policies/v0003"), ...)`."""

    version: str
    """Version name that the server will report."""
    path: Path
    """Absolute path of the checkpoint."""
    manifest_sha256: str
    pictures: Path
    """Folder of trajectories with the canaries' pictures."""
    weights: Weights
    dtype: str
    """Data type of the checkpoint, as in its config.json. Example: `float32`."""
    image_token: int | None
    """Token id of the image placeholder; None for a text-only policy."""
    probes: tuple[Probe, ...]
    canary_skipped: str
    """Reason why the canaries are not compared; empty when they are compared, or there are none."""


def prepare(path: Path, version: str, *, pictures: Path) -> Prepared:
    """Reads and checks a checkpoint; takes seconds for a large one, so call it in a thread.

    Raises `CheckpointError` when a file is missing, damaged or holds a number that is not finite.
    """
    read_checkpoint(path)
    config = _model_config(path)
    image_token = config.get("image_token_id")
    canary = read_canary(path)
    skipped = _why_skipped(canary)
    probes = () if canary is None or skipped else tuple(_probes(path, canary, TrajectoryStore(pictures), image_token))
    return Prepared(
        version=version,
        path=path.resolve(),
        manifest_sha256=manifest_digest(path),
        pictures=pictures.resolve(),
        weights=read_weights(path),
        dtype=_dtype_of(config),
        image_token=image_token,
        probes=probes,
        canary_skipped=skipped,
    )


def manifest_digest(path: Path) -> str:
    """sha256 of the manifest, which holds each file's digest: identifies a checkpoint. Raises `CheckpointError`."""
    try:
        return hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path / MANIFEST} can't be read: {error}; is the checkpoint still there?") from error


def check_shapes(wanted: Prepared, other: Path, shapes: Shapes) -> None:
    """Raises `CheckpointError` if a server that holds the tensors of `other` can't load `wanted` in their place.

    A reload of another architecture, or with other shapes, fails half-way and leaves an engine that must be restarted.
    """
    _check_kind(wanted.path, other)
    mine = wanted.weights.shapes
    for name in sorted(mine.keys() & shapes.keys()):
        if mine[name] != shapes[name]:
            raise CheckpointError(
                f"{wanted.path}: {name} has the shape {list(mine[name])}, in the policy that is served ({other}) it has "
                f"{list(shapes[name])}; a policy of another shape needs services of its own"
            )
    missing = sorted(name for name in shapes.keys() - mine.keys() - {TIED} if not name.startswith(GUESSING))
    unknown = sorted(mine.keys() - shapes.keys() - {TIED})
    if missing and unknown:  # transformers may write other names than it has read; the architecture is the same
        return
    if missing:
        raise CheckpointError(
            f"{wanted.path} lacks {missing[0]} and {len(missing) - 1} other tensors of the policy that is served ({other}); "
            "the server would keep the old ones"
        )
    if unknown:
        raise CheckpointError(
            f"{wanted.path} has {unknown[0]} and {len(unknown) - 1} other tensors that the policy that is served ({other}) has not; "
            "a policy of another shape needs services of its own"
        )


def _check_kind(wanted: Path, other: Path) -> None:
    """Raises `CheckpointError` if two models say that they are of different classes; what either does not say is not compared."""
    mine, theirs = _model_config(wanted), _model_config_if_any(other)
    for key in KIND:
        if mine.get(key) and theirs.get(key) and mine[key] != theirs[key]:
            raise CheckpointError(
                f"{wanted} is of another architecture: its config.json has {key}={json.dumps(mine[key])}, in the policy that is "
                f"served ({other}) it is {json.dumps(theirs[key])}; stop the services (rl-loop down) and start them with "
                "`policy.model` set to it"
            )


def _model_config_if_any(path: Path) -> dict[str, Any]:
    try:
        return _model_config(path)
    except CheckpointError:  # it is served whatever this file has become
        return {}


def _model_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path / 'config.json'} can't be read ({error}); make {path} again") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path / 'config.json'} is no model's configuration: expected an object")
    return config


def _dtype_of(config: dict[str, Any]) -> str:
    return str(config.get("dtype") or config.get("torch_dtype") or "unknown")


def _why_skipped(canary: Canary | None) -> str:
    if canary is None or canary.temperature == SERVED_TEMPERATURE:
        return ""
    return f"written at temperature {canary.temperature:g}, while the server scores at {SERVED_TEMPERATURE:g}"


def _probes(path: Path, canary: Canary, store: TrajectoryStore, image_token: int | None) -> Iterator[Probe]:
    for completion in canary.completions:
        if completion.images and image_token is None:
            raise CheckpointError(
                f"{path}: the canary of {completion.trajectory_id}, step {completion.step} has pictures, but config.json "
                "names no image_token_id, so the policy is text-only"
            )
        if completion.token_ids:
            yield Probe(completion, tuple(_picture(path, store.image, sha256) for sha256 in completion.images))


def _picture(path: Path, image: Callable[[str], bytes], sha256: str) -> bytes:
    try:
        return image(sha256)
    except (OSError, CorruptTrajectory) as error:
        raise CheckpointError(
            f"{path}: picture {sha256[:12]} of a canary can't be read ({error}); put the rollout it belongs to back in its "
            "place, or delete the version and make it again"
        ) from error
