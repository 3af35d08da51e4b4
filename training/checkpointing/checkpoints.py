"""Policies on disk: `policies/v0004/` is complete or does not exist.

Files are written to `v0004.partial-<pid>/` and flushed, `manifest.json` last, then the folder gets its name in one
rename. Readers believe only a manifest whose files have the stated sizes and hashes.
"""

import errno
import json
import os
import shutil
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from training import failpoints
from training.checkpointing.manifest import (
    ABOUT_ITS_MAKING,
    VERSION_NAME,
    Checkpoint,
    read_checkpoint,
    sync,
    write_manifest,
)
from training.checkpointing.recipe import Recipe
from training.checkpointing.soundness import why_unsound
from training.errors import CheckpointError

_WEIGHTS_OF_OTHER_LIBRARIES = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf"}
_ASIDE = ".unsound"
"""Suffix of the name of a version that was set aside."""


def checkpoint_path(policies: Path, version: int) -> Path:
    """Path of a version, whether it exists or not."""
    return policies / f"v{version:04d}"


def versions(policies: Path) -> list[int]:
    """Versions that have a directory, ascending."""
    names = (VERSION_NAME.fullmatch(path.name) for path in policies.iterdir()) if policies.is_dir() else ()
    return sorted(int(name[1]) for name in names if name)


def latest(policies: Path, *, verify: bool = False) -> Checkpoint | None:
    """The newest checkpoint, or None. Raises CheckpointError if the newest is damaged: training from an older one would hide it."""
    found = versions(policies)
    return read_checkpoint(checkpoint_path(policies, found[-1]), verify=verify) if found else None


@contextmanager
def write_checkpoint(
    policies: Path,
    version: int,
    *,
    parent: int | None,
    step: int,
    samples: str | None = None,
    recipe: Recipe | None = None,
) -> Generator[Path]:
    """Yields an empty folder to write a policy into; leaving the block makes it the checkpoint `version`.

    When the block raises, nothing remains. Raises CheckpointError when the version exists or the disk is full.
    """
    target = checkpoint_path(policies, version)
    if target.exists():
        raise CheckpointError(f"{target} exists already; a version is written once")
    remove_partials(policies)
    partial = policies / f"{target.name}.partial-{os.getpid()}"
    try:
        partial.mkdir(parents=True)
        yield partial
        write_manifest(partial, version=version, parent=parent, step=step, samples=samples, recipe=recipe)
        failpoints.reach("checkpoint.before_rename")
        partial.rename(target)
        sync(policies)
    except (OSError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        raise CheckpointError(
            f"no space left for {target}; free some (old versions can be deleted) and resume"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    failpoints.reach("checkpoint.after_rename")


def remove_partials(policies: Path) -> list[Path]:
    """Deletes the folders of writers that were killed; a writer that still runs keeps its folder."""
    written = ((path, path.name.rpartition("-")[2]) for path in policies.glob("*.partial-*"))
    leftovers = [path for path, pid in written if pid.isdecimal() and not _is_alive(int(pid))]
    for path in leftovers:
        shutil.rmtree(path, ignore_errors=True)
    return leftovers


def set_aside(policies: Path, version: int) -> Path:
    """Renames a version so that it can be made again; returns its new path, for inspection.

    One folder per version is kept, until `prune` finds a newer version.
    """
    place = policies / f"{checkpoint_path(policies, version).name}{_ASIDE}"
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    checkpoint_path(policies, version).rename(place)
    sync(policies)
    return place


def prune(policies: Path, keep_last: int, *, keep: Collection[int] = ()) -> list[int]:
    """Deletes all versions but the newest `keep_last` and those in `keep`; returns the deleted ones."""
    if keep_last < 1:
        raise ValueError(f"keep_last must be at least 1, found {keep_last}: the policy in use would be deleted")
    remove_partials(policies)
    old = [version for version in versions(policies)[:-keep_last] if version not in keep]
    for version in old:
        # Renamed first: a crash during the deletion leaves no directory with a checkpoint's name.
        path = checkpoint_path(policies, version)
        shutil.rmtree(path.rename(policies / f"{path.name}.partial-{os.getpid()}"))
    newest = max(versions(policies), default=0)
    for path in policies.glob(f"v*{_ASIDE}"):
        if (named := VERSION_NAME.fullmatch(path.name.removesuffix(_ASIDE))) and int(named[1]) < newest:
            shutil.rmtree(path, ignore_errors=True)
    return old


def import_policy(source: Path, policies: Path) -> Checkpoint:
    """Makes `v0000` from a Hugging Face model directory; its weights are hard links where the file system allows it.

    Repeating it returns the existing v0000. Raises CheckpointError when `source` is no complete model directory.
    """
    target = checkpoint_path(policies, 0)
    if target.exists():
        return read_checkpoint(target, verify=False)
    files = _model_files(source)
    with write_checkpoint(policies, 0, parent=None, step=0) as folder:
        for file in files:
            # Only files that are never rewritten in place may be hard links: a model made again rewrites config.json.
            place = _link_or_copy if file.suffix == ".safetensors" else shutil.copyfile
            place(file.resolve(), folder / file.name)
    return read_checkpoint(target, verify=False)


def _model_files(source: Path) -> list[Path]:
    if not source.is_dir():
        raise CheckpointError(f"{source} does not exist; expected a model directory with config.json and *.safetensors")
    files = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
    files = [
        path for path in files if path.suffix not in _WEIGHTS_OF_OTHER_LIBRARIES and path.name not in ABOUT_ITS_MAKING
    ]
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights or not (source / "config.json").is_file():
        raise CheckpointError(f"{source} is no model directory: expected config.json and *.safetensors in it")
    try:
        json.loads((source / "config.json").read_bytes())
    except ValueError as error:
        raise CheckpointError(
            f"{source / 'config.json'} is damaged ({error}); fetch or make the model again"
        ) from error
    if why := why_unsound(source, optimizer=False):
        raise CheckpointError(f"{source} can't be a policy: {why}; fetch or make the model again")
    return files


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)


def is_disk_full(error: Exception) -> bool:
    """True if an error of writing, from this package or from safetensors, means that the disk or the quota is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "No space left" in str(error)  # safetensors reports the operating system's error as text


def _is_alive(pid: int) -> bool:
    """True if another process with this id runs. This process's own id on a leftover is from an earlier one."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
