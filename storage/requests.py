"""Reads the log of requests beside a trajectory: the browser service's record of what the pages sent."""

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from browser_service.models import RequestLogHead, RequestRecord

REQUESTS = "network.jsonl"
LONGEST = 64_000_000
"""Largest size of a log that is read, in bytes; the browser service writes at most a tenth of it."""


class CorruptRequests(ValueError):
    """A log of requests that can't be read. The message has the file and the reason."""


class RequestLog(NamedTuple):
    """The requests of an episode's pages, in the order of sending."""

    head: RequestLogHead
    requests: tuple[RequestRecord, ...]


def read_requests(folder: Path, *, size: int) -> RequestLog | None:
    """The log in a trajectory's folder, None if there is none. Raises `CorruptRequests` if it has not `size` bytes, or
    is no log."""
    path = folder / REQUESTS
    try:
        if (found := path.stat().st_size) != size or found > LONGEST:
            raise CorruptRequests(f"{path} has {found} bytes, expected {size} and at most {LONGEST}")
        first, *lines = path.read_bytes().splitlines() or [b""]
        # A newer browser service may record more than this program knows.
        head = RequestLogHead.model_validate_json(first, extra="ignore")
        return RequestLog(head, tuple(RequestRecord.model_validate_json(line, extra="ignore") for line in lines))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise CorruptRequests(f"{path} can't be read: {reason}") from None
