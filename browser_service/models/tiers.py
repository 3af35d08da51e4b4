"""What is said between the tiers of the service, and to whoever runs it."""

from typing import Literal

from browser_service.models.status import SessionStatus
from browser_service.models.wire import Name, Wire


class LeaseReference(Wire):
    """Names a lease and proves the right to it."""

    instance_id: str
    token: str | None = None


class ReleaseRequest(Wire):
    """Ends a lease; or what was asked for with an idempotency key, by a client that never saw the answer."""

    instance_id: str | None = None
    token: str | None = None
    idempotency_key: Name | None = None


class EndRequest(Wire):
    """End this lease at its instance, whoever holds it."""

    lease_id: str


class Done(Wire):
    """Plain success."""

    status: Literal["success"] = "success"


class Readiness(Wire):
    """Whether a lease could be given out, were a slot free."""

    ready: bool


class Sessions(Wire):
    """The live leases."""

    sessions: list[SessionStatus]


class PlaceStatus(Wire):
    """What a process with browsers tells of itself when it is asked."""

    browser: str
    """Name and version; empty while it is down."""
    sessions: list[SessionStatus]


class OldLease(Wire):
    """What old clients get for a lease: exactly two keys, which they send back with every call."""

    instance_id: str
    node: str


class OldMetadata(Wire):
    """Answer of `GET /metadata`: viewport in CSS pixels, title and address of the page."""

    width: int
    height: int
    title: str
    url: str


class OldProbe(Wire):
    """Answer of `GET /probe`: whether the browser answered."""

    status: Literal["success", "error"] = "success"
    message: str
