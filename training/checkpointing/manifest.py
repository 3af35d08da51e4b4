"""The manifest of a checkpoint: its files with size and sha256, and the inputs they were made from.

Readers accept only a manifest whose files are all there as stated, and a folder without any other file: a server takes
every file of certain names for a part of the policy, also one that the manifest does not list.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training import failpoints
from training.checkpointing.recipe import Recipe
from training.errors import CheckpointError

MANIFEST = "manifest.json"
VERSION_NAME = re.compile(r"v(\d{4,})")
ABOUT_ITS_MAKING = {MANIFEST, "canary.json", "update.json", "samples.jsonl"}
"""Files that the update writes beside a model about its making: not part of the model."""


class Checkpoint(BaseModel):
    """A complete policy. Example: `Checkpoint(version=4, path=Path("policies/v0004"), parent=3, step=16, sha256={...}, ...)`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Annotated[int, Field(ge=0)]
    path: Path
    parent: int | None
    """Version that was trained to make this one; None for an imported policy."""
    step: Annotated[int, Field(ge=0)]
    """Optimiser steps since the imported policy."""
    sha256: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    """Digest per file, by its path inside the checkpoint."""
    sizes: dict[str, Annotated[int, Field(ge=0)]]
    """Bytes per file."""
    samples: str | None = None
    """Digest of the training samples: identifies a repeated update."""
    recipe: Recipe | None = None
    """The other inputs that decided the result; None for an imported policy, and in checkpoints older than this
    field."""
    created: float
    """Seconds since 1970, at the end of writing."""

    @property
    def digest(self) -> str:
        """sha256 over the policy's own files, optimiser's state included: equal for equal policies, whatever their version."""
        files = sorted((name, sha256) for name, sha256 in self.sha256.items() if name not in ABOUT_ITS_MAKING)
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()

    @model_validator(mode="after")
    def _names_are_of_this_folder(self) -> Self:
        if self.sha256.keys() != self.sizes.keys():
            odd = min(self.sha256.keys() ^ self.sizes.keys())
            raise ValueError(f"{odd!r} has a size or a sha256, but not both")
        for name in self.sizes:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or name != str(path) or name in ("", ".", MANIFEST):
                raise ValueError(f"{name!r} is no path of a file inside the checkpoint")
        return self


def read_checkpoint(path: Path, *, verify: bool = True) -> Checkpoint:
    """Reads the checkpoint in a directory; checks names and sizes of its files and, with `verify`, their sha256.

    Raises CheckpointError when it is missing, incomplete, damaged, or holds files that its manifest does not name.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; expected the directory of a checkpoint")
    checkpoint = _read_manifest(path)
    _refuse_others(checkpoint)
    for name, size in checkpoint.sizes.items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            raise CheckpointError(
                f"{file} is missing or has not the {size} bytes of the manifest; delete {path} and make it again"
            )
        if verify and sha256_of(file) != checkpoint.sha256[name]:
            raise CheckpointError(f"{file} does not match the sha256 in the manifest; delete {path} and make it again")
    return checkpoint


def write_manifest(
    folder: Path, *, version: int, parent: int | None, step: int, samples: str | None, recipe: Recipe | None
) -> None:
    """Flushes all files of a folder, then writes their manifest, last."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for path in files.values():
        sync(path)
    manifest = {
        "version": version,
        "parent": parent,
        "step": step,
        "samples": samples,
        "recipe": recipe.model_dump(mode="json") if recipe else None,
        "created": time.time(),
        "sha256": {name: sha256_of(path) for name, path in files.items()},
        "sizes": {name: path.stat().st_size for name, path in files.items()},
    }
    failpoints.reach("checkpoint.before_manifest")
    with (folder / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync(directory)


def sync(path: Path) -> None:
    """Flushes a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(path: Path) -> Checkpoint:
    manifest = path / MANIFEST
    try:
        fields = json.loads(manifest.read_bytes())
        checkpoint = Checkpoint.model_validate({**fields, "path": path})
    except FileNotFoundError:
        raise CheckpointError(f"{path} has no {MANIFEST}, so it is no complete checkpoint; import it first") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"{manifest} is not a checkpoint's manifest: {f'{where}: ' * bool(where)}{' '.join(first['msg'].split())}"
        ) from error
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{manifest} is not a checkpoint's manifest: {' '.join(str(error).split())[:200]}"
        ) from error
    named = VERSION_NAME.fullmatch(path.name)
    if named and int(named[1]) != checkpoint.version:
        raise CheckpointError(
            f"{manifest} is that of version {checkpoint.version}; the folder has been renamed or copied"
        )
    return checkpoint


def _refuse_others(checkpoint: Checkpoint) -> None:
    """Raises CheckpointError for any path in the folder that is neither a file of the manifest nor a parent of one."""
    folders = {str(above) for name in checkpoint.sizes for above in PurePosixPath(name).parents}
    for path, is_folder in _everything_below(checkpoint.path):
        name = path.relative_to(checkpoint.path).as_posix()
        if path.is_symlink():
            raise CheckpointError(
                f"{path} is a symbolic link; a checkpoint holds its files itself: replace it by the file"
            )
        if name != MANIFEST and name not in (folders if is_folder else checkpoint.sizes):
            raise CheckpointError(
                f"{path} is not in the manifest, so it is no part of this checkpoint, but a server might take it for one; "
                "delete it"
            )


def _everything_below(folder: Path) -> Iterator[tuple[Path, bool]]:
    for path in sorted(folder.iterdir()):
        is_folder = path.is_dir() and not path.is_symlink()
        yield path, is_folder
        if is_folder:
            yield from _everything_below(path)
