"""What a service says of itself, and how it says what went wrong."""

from typing import Literal

from browser_service.models.wire import Fault, Wire


class Traffic(Wire):
    """What a lease has sent and received through the proxy."""

    sent_bytes: int
    received_bytes: int
    requests: int
    """Plain requests and tunnels."""
    refused: dict[str, int]
    """Connections that did not come about, by reason: `private`, `port`, `blocked`, `unresolved` ..."""
    hosts: dict[str, int]
    """Requests and tunnels of the hosts that were asked most."""


class SessionStatus(Wire):
    """One live lease, without its secret."""

    instance_id: str
    owner: str
    generation: int
    age_s: float
    expires_in_s: float
    share: str = ""
    slot: str = ""
    """Where it runs: `<address of the instance>#<slot>`."""
    steps: int = 0
    url: str = ""
    """Page of the active tab."""
    traffic: Traffic | None = None
    """None where pages reach the network without the proxy."""


class NodeStatus(Wire):
    """One machine's browsers, in OmniBoxes' words plus ours."""

    url: str
    hash: str
    healthy: bool
    capacity: int
    available: int
    instances: list[str]
    sessions: list[SessionStatus] = []
    draining: bool = False
    down_for_s: float | None = None
    """Since when nothing was heard of it; None while it reports."""


class FrontStatus(Wire):
    """One process that gives out leases: a master, or whatever is in its place."""

    url: str
    state: Literal["up", "draining", "down"]
    down_for_s: float | None = None
    """As of a node."""


class PoolStatus(Wire):
    """Answer of `GET /info`."""

    nodes: list[NodeStatus]
    queue: int = 0
    """Requests that wait for a slot."""
    browser: str = ""
    """Browser name and version."""
    fronts: list[FrontStatus] = []
    """All that give out leases of these nodes."""
    draining: bool = False
    """Whether the whole service gives out no leases."""


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
    """What became of the lease that the call was for."""
    retry_after_s: float | None = None
