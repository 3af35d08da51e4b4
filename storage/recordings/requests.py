"""Reads the logs beside a trajectory: the browser service's records of what the pages sent, and of their console."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from agent.types import Answer, Trajectory
from browser_service.models import ConsoleHead, ConsoleLine, RequestLogHead, RequestRecord

REQUESTS, CONSOLE = "network.jsonl", "console.jsonl"
LONGEST = 64_000_000
"""Largest size of a log that is read, in bytes; the browser service writes at most a tenth of it."""


class CorruptRequests(ValueError):
    """A log of requests that can't be read. The message has the file and the reason."""


class RequestLog(NamedTuple):
    """The requests of an episode's pages, in the order of sending."""

    head: RequestLogHead
    requests: tuple[RequestRecord, ...]


class ConsoleLog(NamedTuple):
    """The console messages of an episode's pages, in their order."""

    head: ConsoleHead
    lines: tuple[ConsoleLine, ...]


R = TypeVar("R", RequestRecord, ConsoleLine)


def read_requests(folder: Path, *, size: int) -> RequestLog | None:
    """The log in a trajectory's folder, None if there is none. Raises `CorruptRequests` if it has not `size` bytes, or
    is no log."""
    # A newer browser service may record more than this program knows.
    if (found := _lines(folder / REQUESTS, size)) is None:
        return None
    try:
        head = RequestLogHead.model_validate_json(found[0], extra="ignore")
        return RequestLog(head, tuple(RequestRecord.model_validate_json(line, extra="ignore") for line in found[1:]))
    except ValidationError as error:
        raise _corrupt(folder / REQUESTS, error) from None


def read_console(folder: Path, *, size: int) -> ConsoleLog | None:
    """The log of the console in a trajectory's folder; as `read_requests`."""
    if (found := _lines(folder / CONSOLE, size)) is None:
        return None
    try:
        head = ConsoleHead.model_validate_json(found[0], extra="ignore")
        return ConsoleLog(head, tuple(ConsoleLine.model_validate_json(line, extra="ignore") for line in found[1:]))
    except ValidationError as error:
        raise _corrupt(folder / CONSOLE, error) from None


def _lines(path: Path, size: int) -> list[bytes] | None:
    """The lines of a log, at least one; None if there is no such file. Raises `CorruptRequests`."""
    try:
        if (found := path.stat().st_size) != size or found > LONGEST:
            raise CorruptRequests(f"{path} has {found} bytes, expected {size} and at most {LONGEST}")
        return path.read_bytes().splitlines() or [b""]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptRequests(f"{path} can't be read: {error}") from None


def _corrupt(path: Path, error: ValidationError) -> CorruptRequests:
    return CorruptRequests(f"{path} can't be read: {error.errors()[0]['msg']}")


def steps_of(
    records: Iterable[R], log: RequestLog | ConsoleLog, trajectory: Trajectory
) -> Iterator[tuple[R, int | None]]:
    """Each record with the index of the trajectory's step during or after which it was made; None: before the first one.

    The lease's steps are the actions of the trajectory, after those that opened the start page.
    """
    acting = [step.index for step in trajectory.steps if step.action and not isinstance(step.action, Answer)]
    opening = log.head.steps - len(acting)
    for record in records:
        place = record.step - opening - 1
        yield record, acting[place] if opening >= 0 and 0 <= place < len(acting) else None
