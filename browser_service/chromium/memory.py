"""Memory use of the browsers' processes from /proc: a fast reading for frequent checks, an exact one for rare checks.

- resident memory of each renderer, several times a second: a page with runaway memory is stopped before the machine
  runs out
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
    """The process ids of each root and all its descendants, in one pass over the process table."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir(PROC):
        if entry.name.isdigit() and (parent := _parent(entry.name)) is not None:
            children[parent].append(int(entry.name))
    return {root: _descendants(root, children) for root in roots}


def renderers(pids: Iterable[int]) -> list[int]:
    """The processes that run pages (renderers)."""
    return [pid for pid in pids if b"--type=renderer" in _read(f"{pid}/cmdline")]


def resident_bytes(pid: int) -> int:
    """Memory of the process in RAM, shared pages included; 0 when it is gone. Takes some microseconds."""
    fields = _read(f"{pid}/statm").split()
    return int(fields[1]) * PAGE_BYTES if len(fields) > 1 else 0


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of the processes together, each shared page divided among its users. Takes milliseconds per process."""
    return sum(_proportional(pid) for pid in pids)


class Usage(NamedTuple):
    """Total resource use of a number of processes."""

    processes: int
    resident_bytes: int
    proportional_bytes: int


def usage_of(roots: Iterable[int]) -> Usage:
    """The usage of the root processes with all their descendants."""
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
    # The command's name is in brackets and may contain anything; the parent is the second field after it.
    words = _read(f"{pid}/stat").rpartition(b")")[2].split()
    return int(words[1]) if len(words) > 1 else None


def _descendants(root: int, children: dict[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _read(name: str) -> bytes:
    """The content of a file below /proc, empty when the process is gone."""
    try:
        with (PROC / name).open("rb") as file:
            return file.read()
    except OSError:
        return b""
