"""The status of a service, and its error format."""

from typing import Literal

from browser_service.models.wire import Fault, Wire


class Traffic(Wire):
    """Traffic of a lease through the proxy."""

    sent_bytes: int
    received_bytes: int
    requests: int
    """Number of plain requests and tunnels."""
    refused: dict[str, int]
    """Failed connections, by reason: `private`, `port`, `blocked`, `unresolved` ..."""
    hosts: dict[str, int]
    """Requests and tunnels of the hosts with the most."""


class SessionStatus(Wire):
    """One live lease, without its secret."""

    instance_id: str
    owner: str
    generation: int
    age_s: float
    expires_in_s: float
    share: str = ""
    slot: str = ""
    """Its location: `<address of the instance>#<slot>`."""
    steps: int = 0
    url: str = ""
    """Page of the active tab."""
    traffic: Traffic | None = None
    """None if pages reach the network without the proxy."""


class NodeStatus(Wire):
    """One machine's browsers, with the fields of OmniBoxes and ours."""

    url: str
    hash: str
    healthy: bool
    capacity: int
    available: int
    instances: list[str]
    sessions: list[SessionStatus] = []
    draining: bool = False
    down_for_s: float | None = None
    """Seconds since its last report; None while it reports."""


class FrontStatus(Wire):
    """One process that gives out leases: a master, or a node or single process without one."""

    url: str
    state: Literal["up", "draining", "down"]
    down_for_s: float | None = None
    """As in `NodeStatus`."""


class PoolStatus(Wire):
    """Answer of `GET /info`."""

    nodes: list[NodeStatus]
    queue: int = 0
    """Number of requests that wait for a slot."""
    browser: str = ""
    """Browser name and version."""
    fronts: list[FrontStatus] = []
    """All processes that give out leases of these nodes."""
    draining: bool = False
    """True if the whole service gives out no leases."""


class Problem(Wire):
    """An error as application/problem+json (RFC 9457) with our members. `detail` is one sentence."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    fault: Fault
    retryable: bool
    session_state: Literal["alive", "lost", "none"] = "none"
    """State of the call's lease after the error."""
    retry_after_s: float | None = None
