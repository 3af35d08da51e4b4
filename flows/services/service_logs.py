"""The logs of the services as lines: the newest ones, and those that are still to come."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from flows.services.service_files import read_status
from flows.services.services import HOW_TO_START
from storage.errors import ServicesError

PAUSE_S = 0.25
"""Seconds between two looks for new lines. inotify would save them, for one more dependency."""


def newest(state_dir: Path, service: str | None = None) -> dict[str, Path]:
    """The log file of each service that was started last from this state directory, or of one.

    Raises `ServicesError` if none was started there, and for an unknown service.
    """
    status = read_status(state_dir)
    if status is None:
        raise ServicesError(f"no services were started from {state_dir}; {HOW_TO_START}")
    logs = {one.name: Path(one.log) for one in status.services}
    if service is None:
        return logs
    if service not in logs:
        raise ServicesError(f"no service {service} was started from {state_dir}; services there: {', '.join(logs)}")
    return {service: logs[service]}


def shown(logs: dict[str, Path], *, lines: int, follow: bool) -> Iterator[str]:
    """The last `lines` lines of each log, then with `follow` every further line, for ever.

    Lines of several services begin with the service's name. A service that has not written yet has no lines.
    """
    width = max(map(len, logs), default=0)
    before = {name: f"{name:{width}} | " if len(logs) > 1 else "" for name in logs}
    parts = dict.fromkeys(logs, "")
    files: dict[str, TextIO] = {}
    with ExitStack() as opened:
        while True:
            for name, path in logs.items():
                if name not in files and path.exists():
                    files[name] = opened.enter_context(path.open(errors="replace"))
                    first = deque(_whole(files[name], parts, name), maxlen=lines)
                    yield from (before[name] + line for line in first)
                elif name in files:
                    yield from (before[name] + line for line in _whole(files[name], parts, name))
            if not follow:
                break
            time.sleep(PAUSE_S)
    yield from (before[name] + part for name, part in parts.items() if part)


def _whole(file: TextIO, parts: dict[str, str], name: str) -> Iterator[str]:
    """The complete lines that were not read yet; the beginning of the next one stays in `parts`."""
    for piece in file:
        if not piece.endswith("\n"):
            parts[name] += piece
            return
        yield parts[name] + piece.rstrip("\r\n")
        parts[name] = ""
