"""Messages between the tiers of the service, and to its operators."""

from typing import Literal

from browser_service.models.status import SessionStatus
from browser_service.models.wire import Name, Wire


class LeaseReference(Wire):
    """Names a lease and proves the right to use it."""

    instance_id: str
    token: str | None = None


class ReleaseRequest(Wire):
    """Ends a lease, or the leases of an idempotency key if the client never received the answer."""

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
    """True if a lease would be given out, provided that a slot is free."""

    ready: bool


class Sessions(Wire):
    """The live leases."""

    sessions: list[SessionStatus]


class InstanceStatus(Wire):
    """A process with browsers, as it answers the tier in front."""

    browser: str
    """Name and version; empty while it is down."""
    sessions: list[SessionStatus]


class OldLease(Wire):
    """The lease of an old client: exactly two keys, which it sends back with every call."""

    instance_id: str
    node: str


class OldMetadata(Wire):
    """Answer of `GET /metadata`: viewport in CSS pixels, title and address of the page."""

    width: int
    height: int
    title: str
    url: str


class OldProbe(Wire):
    """Answer of `GET /probe`: true if the browser answered."""

    status: Literal["success", "error"] = "success"
    message: str
