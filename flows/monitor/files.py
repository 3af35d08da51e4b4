"""Repeated reading of a stage's files while another process writes them: each change once, and no half-written data.

A finished trajectory never changes, so it is read once; any other file is read again when its size or time has changed.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.types import Failure, Side
from storage.packs import PACK, CorruptPack, open_pack
from storage.store import TRAJECTORY

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Watched(Generic[T]):
    """A file's parsed content, read again only when the file has changed. An unreadable file keeps its last content."""

    def __init__(self, path: Path, read: Callable[[Path], T], *, before: T) -> None:
        """`before`: the value while there is no such file."""
        self._path, self._read, self._said = path, read, before
        self._stamp: tuple[int, int, int] | None = None

    def look(self) -> T:
        """The current content of the file."""
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._said, self._stamp = self._read(self._path), stamp
        except (OSError, ValueError):  # missing or half-written: a display must not fail over it
            pass
        return self._said


def whole_lines(path: Path, model: type[M]) -> list[M]:
    """The lines of a JSONL file that can be parsed; a half-written line is skipped."""
    found: list[M] = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(model.model_validate_json(line))
        except ValidationError:
            continue
    return found


class Ended(NamedTuple):
    """A stored trajectory, as far as it has been read."""

    at: float | None
    """Time of storing, in seconds of the epoch; None in a pack."""
    steps: int | None = None
    """None before the file has been read."""
    broken: Side | None = None


class _Step(BaseModel):
    """A step that is counted without being validated."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Trajectory(BaseModel):
    """The fields of a trajectory that are shown; validating all of it would take three times as long."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    steps: list[_Step]
    failure: Failure | None = None


class EndedEpisodes:
    """The finished trajectories of one stage folder; each is searched for until it exists, and read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unread: list[str] = []
        self._packed: frozenset[str] = frozenset()
        self.by_id: dict[str, Ended] = {}

    def look(self, *, read_s: float | None = None) -> dict[str, Ended]:
        """The finished episodes. Reading stops after `read_s` seconds and continues at the next call; None: all."""
        self._find_loose()
        self._find_packed()
        deadline = None if read_s is None else time.monotonic() + read_s
        while self._unread and (deadline is None or time.monotonic() < deadline):
            self._read(self._unread.pop())
        return self.by_id

    def _find_loose(self) -> None:
        try:
            names = [path.name for path in self._directory.iterdir() if path.name not in self.by_id]
        except OSError:  # the stage has not begun
            return
        for name in names:
            try:
                written = (self._directory / name / TRAJECTORY).stat().st_mtime
            except OSError:  # being played, or not an episode's folder
                continue
            self._add(name, Ended(at=written))

    def _find_packed(self) -> None:
        try:
            members = open_pack(self._directory / PACK).names()
        except (CorruptPack, OSError):  # reported by the doctor
            return
        if len(members) == len(self._packed):
            return
        self._packed = frozenset(members)
        for member in members:
            name, _, file = member.partition("/")
            if file == TRAJECTORY and name not in self.by_id:
                self._add(name, Ended(at=None))

    def _add(self, name: str, ended: Ended) -> None:
        self.by_id[name] = ended
        self._unread.append(name)

    def _read(self, name: str) -> None:
        try:
            data = self._bytes(name)
            read = _Trajectory.model_validate_json(data)
        except (OSError, KeyError, CorruptPack, ValidationError):  # it is finished all the same
            return
        side = read.failure.side if read.failure else None
        self.by_id[name] = self.by_id[name]._replace(steps=len(read.steps), broken=side)

    def _bytes(self, name: str) -> bytes:
        try:
            return (self._directory / name / TRAJECTORY).read_bytes()
        except FileNotFoundError:  # packed, perhaps since it was found
            return open_pack(self._directory / PACK).read(f"{name}/{TRAJECTORY}")
