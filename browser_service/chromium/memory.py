"""What the browsers' processes use: read from /proc, quickly where it is done often and exactly where it is done rarely.

- resident memory of each renderer, several times a second: a page that eats memory is stopped before the machine feels it
- proportional memory (PSS) of a whole Chromium, every few seconds: shared pages are counted once, so it may be added up
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def families(roots: Iterable[int]) -> dict[int, list[int]]:
    """Each root's process id with those of all its descendants, in one pass over the process table."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir(PROC):
        if entry.name.isdigit() and (parent := _parent(entry.name)) is not None:
            children[parent].append(int(entry.name))
    return {root: _descendants(root, children) for root in roots}


def renderers(pids: Iterable[int]) -> list[int]:
    """Those of the processes that run pages."""
    return [pid for pid in pids if b"--type=renderer" in _read(f"{pid}/cmdline")]


def resident_bytes(pid: int) -> int:
    """Memory of the process that is in RAM, shared pages included; 0 when it is gone. Takes some microseconds."""
    fields = _read(f"{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if len(fields) > 1 else 0


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of the processes together, shared pages counted once among all that share them. Takes milliseconds each."""
    return sum(_proportional(pid) for pid in pids)


class Usage(NamedTuple):
    """What a number of processes use together."""

    processes: int
    resident_bytes: int
    proportional_bytes: int


def usage_of(roots: Iterable[int]) -> Usage:
    """Of the root processes with all their descendants."""
    pids = [pid for family in families(roots).values() for pid in family]
    return Usage(len(pids), sum(map(resident_bytes, pids)), proportional_bytes(pids))


def folder_bytes(folder: Path) -> int:
    """Size of the files below a folder."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(path) / name).lstat().st_size
    return total


def _proportional(pid: int) -> int:
    for line in _read(f"{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _parent(pid: str) -> int | None:
    # The command's name stands in brackets and may hold anything; the parent is the second word after it.
    words = _read(f"{pid}/stat").rpartition(b")")[2].split()
    return int(words[1]) if len(words) > 1 else None


def _descendants(root: int, children: dict[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _read(name: str) -> bytes:
    """The file below /proc, or nothing when the process is gone."""
    try:
        with (PROC / name).open("rb") as file:
            return file.read()
    except OSError:
        return b""
