"""The contents of a mirror for a run: folders as lists of their files, and the head that names the folders.

    head of a run ──> folder "iterations/0003/rollout" ──> {"trajectory.json": sha256, "images/9f/9f86..png": sha256, ..}

A folder's list is a content itself, so that a folder that did not change is not stored again.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from storage.lock import LOCK
from storage.mirror.errors import MirrorError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
UNFINISHED = ".partial"
NOT_COPIED = frozenset({LOCK, "heartbeat.json", "mirror.json"})
"""Files that belong to the process that writes a run, on its machine."""
BLOCK = 1 << 20


def _below(path: str) -> str:
    """Checks a path from a store: relative, without a way up. Raises ValueError."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise ValueError(f"expected a path below the folder, found {path!r}")
    return path


Below = Annotated[str, AfterValidator(_below)]
Folder = Annotated[str, AfterValidator(lambda path: path and _below(path))]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Tree(_Stored):
    """The files of a folder: path -> sha256. Example: `Tree(files={"done.json": "9f86d081.."})`."""

    files: dict[Below, Sha256]


class Head(_Stored):
    """A run in a mirror. Example: `Head(run="demo", writer="7f3a..", host="a", written_at="..", folders={"": "9f86.."})`."""

    run: str
    writer: str
    """Random name of the run folder that writes it: another folder with the run, after a fetch, has another one."""
    host: str
    written_at: str
    """UTC, ISO 8601."""
    folders: dict[Folder, Sha256]
    """Digest of the `Tree` of each folder, by its path below the run folder; `""` is the run folder itself."""


def parse(data: bytes, kind: type[Tree] | type[Head], where: str) -> Tree | Head:
    """A tree or a head. Raises `MirrorError` when the store holds something else there."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise MirrorError(f"{where} is not what a mirror holds there: {error.errors()[0]['msg']}") from error


def files_of(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """The files of a folder that are copied, in order; without those below it unless `deep`."""
    for path in sorted(folder.rglob("*") if deep else folder.glob("*")):
        if path.is_file() and not path.is_symlink() and UNFINISHED not in path.name and path.name not in NOT_COPIED:
            yield path


def signature_of(folder: Path, *, deep: bool = True) -> str:
    """A digest of names, sizes and times: equal while the folder did not change."""
    hashed = hashlib.sha256()
    for path in files_of(folder, deep=deep):
        found = path.stat()
        hashed.update(f"{path.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return hashed.hexdigest()


def digest_of(path: Path) -> str:
    """sha256 of a file's bytes; a picture is not trusted to be what its name says."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashed.update(block)
    return hashed.hexdigest()
