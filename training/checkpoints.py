"""Policies on disk: `policies/v0004/` is complete or does not exist.

Files are written to `v0004.partial-<pid>/` and flushed, `manifest.json` last, then the folder gets its name in one
rename. Readers believe only a manifest whose files have the stated sizes and hashes.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from training import failpoints
from training.errors import CheckpointError

MANIFEST = "manifest.json"
_NAME = re.compile(r"v(\d{4,})")
_OURS = {MANIFEST, "canary.json", "update.json"}
"""Written beside a model by us, about its making: not part of the model."""
_WEIGHTS_OF_OTHER_LIBRARIES = {".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf"}


class Checkpoint(BaseModel):
    """A complete policy. Example: `Checkpoint(version=4, path=Path("policies/v0004"), parent=3, step=16, sha256={...}, ...)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int
    path: Path
    parent: int | None
    """Version that was trained to make this one; None for an imported policy."""
    step: int
    """Optimiser steps since the imported policy."""
    sha256: dict[str, str]
    """Digest per file, by its path inside the checkpoint."""
    sizes: dict[str, int]
    """Bytes per file."""
    samples: str | None = None
    """Digest of the samples it was trained on: tells a repeated update from another one."""
    created: float
    """Seconds since 1970, at the end of writing."""


def checkpoint_path(policies: Path, version: int) -> Path:
    """Where a version lies, or would lie."""
    return policies / f"v{version:04d}"


def read_checkpoint(path: Path, *, verify: bool = True) -> Checkpoint:
    """The checkpoint in a directory, its files' sizes checked and, with `verify`, their sha256 too.

    Raises CheckpointError when it is missing, incomplete or damaged.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; expected the directory of a checkpoint")
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        checkpoint = Checkpoint.model_validate({**manifest, "path": path})
    except FileNotFoundError:
        raise CheckpointError(f"{path} has no {MANIFEST}, so it is no complete checkpoint; import it first") from None
    except (json.JSONDecodeError, ValidationError, TypeError) as error:
        raise CheckpointError(
            f"{path / MANIFEST} is not a checkpoint's manifest: {str(error).splitlines()[0]}"
        ) from error
    for name, size in checkpoint.sizes.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            raise CheckpointError(
                f"{file} is missing or has not the {size} bytes of the manifest; delete {path} and make it again"
            )
        if verify and _sha256(file) != checkpoint.sha256[name]:
            raise CheckpointError(f"{file} does not match the sha256 in the manifest; delete {path} and make it again")
    return checkpoint


def versions(policies: Path) -> list[int]:
    """Versions that have a directory, ascending."""
    names = (_NAME.fullmatch(path.name) for path in policies.iterdir()) if policies.is_dir() else ()
    return sorted(int(name[1]) for name in names if name)


def latest(policies: Path, *, verify: bool = False) -> Checkpoint | None:
    """The newest checkpoint, or None. Raises CheckpointError if the newest is damaged: training from an older one would hide it."""
    found = versions(policies)
    return read_checkpoint(checkpoint_path(policies, found[-1]), verify=verify) if found else None


@contextmanager
def write_checkpoint(
    policies: Path, version: int, *, parent: int | None, step: int, samples: str | None = None
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
        _write_manifest(partial, version=version, parent=parent, step=step, samples=samples)
        failpoints.reach("checkpoint.before_rename")
        partial.rename(target)
        _sync(policies)
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
    """Deletes what killed writers left; a writer that still lives keeps its folder."""
    leftovers = [path for path in policies.glob("*.partial-*") if not _is_alive(int(path.name.rpartition("-")[2]))]
    for path in leftovers:
        shutil.rmtree(path, ignore_errors=True)
    return leftovers


def prune(policies: Path, keep_last: int, *, keep: Collection[int] = ()) -> list[int]:
    """Deletes all versions but the newest `keep_last` and those in `keep`; returns the deleted ones."""
    if keep_last < 1:
        raise ValueError(f"keep_last must be at least 1, found {keep_last}: the policy in use would be deleted")
    remove_partials(policies)
    old = [version for version in versions(policies)[:-keep_last] if version not in keep]
    for version in old:
        # Renamed first: a crash in the middle of deleting leaves no directory with a checkpoint's name.
        path = checkpoint_path(policies, version)
        shutil.rmtree(path.rename(policies / f"{path.name}.partial-{os.getpid()}"))
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
            # Only what is never written in place may be shared: whoever makes the model again rewrites its config.json.
            place = _link_or_copy if file.suffix == ".safetensors" else shutil.copyfile
            place(file.resolve(), folder / file.name)
    return read_checkpoint(target, verify=False)


def _model_files(source: Path) -> list[Path]:
    if not source.is_dir():
        raise CheckpointError(f"{source} does not exist; expected a model directory with config.json and *.safetensors")
    files = [path for path in sorted(source.iterdir()) if path.is_file() and not path.name.startswith(".")]
    files = [path for path in files if path.suffix not in _WEIGHTS_OF_OTHER_LIBRARIES and path.name not in _OURS]
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights or not (source / "config.json").is_file():
        raise CheckpointError(f"{source} is no model directory: expected config.json and *.safetensors in it")
    for path in weights:
        try:
            with safe_open(path, framework="np"):
                pass  # opening checks the header against the file's length
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged ({error}); fetch or make the model again") from error
    return files


def _write_manifest(folder: Path, *, version: int, parent: int | None, step: int, samples: str | None) -> None:
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for path in files.values():
        _sync(path)
    manifest = {
        "version": version,
        "parent": parent,
        "step": step,
        "samples": samples,
        "created": time.time(),
        "sha256": {name: _sha256(path) for name, path in files.items()},
        "sizes": {name: path.stat().st_size for name, path in files.items()},
    }
    failpoints.reach("checkpoint.before_manifest")
    with (folder / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        _sync(directory)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_disk_full(error: Exception) -> bool:
    """Whether an error of writing, ours or safetensors', means that the disk or the quota is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "No space left" in str(error)  # safetensors reports the operating system's error as text


def _is_alive(pid: int) -> bool:
    """Whether another process with this id lives. Our own id on a leftover was somebody else's before."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
