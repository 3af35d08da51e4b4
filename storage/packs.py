"""Packs: the many small files of a finished stage folder in one zip, with random access. Pictures stay uncompressed.

A zip opens with any tool, finds a name without reading the rest, and has a checksum of every file.
"""

import zipfile
import zlib
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from storage.atomic import replacing

PACK = "pack.zip"


class CorruptPack(ValueError):
    """A pack that can't be read. The message has the file and the remedy."""


class Member(NamedTuple):
    """A file for a pack. Example: `Member("i0001-a-m00/trajectory.json", b"{...}", compress=True)`."""

    name: str
    data: bytes
    compress: bool


class Pack:
    """The files of a pack by name; a missing pack has none."""

    def __init__(self, path: Path, zipped: zipfile.ZipFile | None) -> None:
        self._path, self._zip = path, zipped
        self._names = frozenset(zipped.namelist()) if zipped else frozenset[str]()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def names(self) -> Collection[str]:
        """Names of all files."""
        return self._names

    def size(self, name: str) -> int:
        """Bytes that a file takes in the pack. Raises KeyError if there is none."""
        if self._zip is None:
            raise KeyError(name)
        return self._zip.getinfo(name).compress_size

    def read(self, name: str) -> bytes:
        """A file's content. Raises KeyError if there is none, `CorruptPack` if it is damaged."""
        if self._zip is None or name not in self._names:
            raise KeyError(name)
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise CorruptPack(f"{self._path} is damaged at {name} ({error}); restore it from a backup") from error


def open_pack(path: Path) -> Pack:
    """Opens a pack; its table of contents is cached until the file changes. Raises `CorruptPack`."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return Pack(path, None)
    return _opened(path, (status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=32)
def _opened(path: Path, stamp: tuple[int, int, int]) -> Pack:
    try:
        return Pack(path, zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError) as error:
        raise CorruptPack(f"{path} is no zip that can be read ({error}); restore it from a backup") from error


def write_pack(path: Path, members: Iterable[Member]) -> int:
    """Writes a pack, reads it back, and only then renames it into place. Returns its size in bytes.

    Raises OSError when the disk is full: then the pack is as it was before.
    """
    with replacing(path) as partial:
        with zipfile.ZipFile(partial, "w") as zipped:
            for member in members:
                how = zipfile.ZIP_DEFLATED if member.compress else zipfile.ZIP_STORED
                info = zipfile.ZipInfo(member.name)  # with a fixed time: equal content gives equal packs
                info.external_attr = 0o644 << 16
                zipped.writestr(info, member.data, compress_type=how)
        with zipfile.ZipFile(partial) as zipped:
            if (bad := zipped.testzip()) is not None:
                raise OSError(f"{partial}: {bad} does not read back; is the disk failing?")
    return path.stat().st_size
