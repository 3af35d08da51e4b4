"""A lease, the right to drive a browser: the request, the grant, and the steps."""

from typing import Annotated, Literal

from pydantic import Field

from browser_service.models.actions import Action
from browser_service.models.login import LoginState
from browser_service.models.observation import Observation, ObserveRequest, Viewport
from browser_service.models.wire import Isolation, Name, Wire

Host = Annotated[str, Field(min_length=1, max_length=260, pattern=r"^[A-Za-z0-9.*:\[\]_-]+$")]


class Recording(Wire):
    """The recordings of a session, to be fetched from `/sessions/{id}/artifacts` after its end."""

    video: bool = False
    """WebM of the whole session."""
    trace: bool = False
    """Playwright trace (zip), for `playwright show-trace`."""
    network: bool = False
    """Log of the pages' requests (JSON lines of `RequestLogHead` and `RequestRecord`): bounded, and without headers."""

    console: bool = False
    """Log of the pages' console (JSON lines of `ConsoleHead` and `ConsoleLine`): the first 500 messages."""

    @property
    def is_on(self) -> bool:
        """True if anything is recorded."""
        return self.video or self.trace or self.network or self.console


class LeaseRequest(Wire):
    """A client's request for a browser."""

    owner: Name = "anonymous"
    """The holder of the lease, for /info and for joining logs: a trajectory id, a user name."""
    ttl_s: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    """Seconds without any call after which the lease expires; every call renews it."""
    max_lifetime_s: Annotated[float, Field(gt=0, le=86_400)] = 3_600.0
    """Seconds after which the lease ends, also a busy one."""
    wait_s: Annotated[float, Field(ge=0, le=600)] = 30.0
    """Seconds to wait in the queue for a free slot."""
    idempotency_key: Name | None = None
    """A repeated request with the same key gets the same lease."""
    reuse: Name | None = None
    """Reuse key. Leases with the same key trust one another and visit the same trusted sites: one may get the cleaned
    context of an earlier one, for a third of the work of a fresh context. None: always a fresh one."""
    viewport: Viewport = Viewport()
    share: Annotated[str, Field(max_length=200)] = ""
    """Its share of the queue: free slots go to the share that holds the fewest leases. A user, a run."""
    isolation: Isolation | None = None
    """`context`: a context in a shared Chromium, for one's own sites. `browser`: a Chromium of its own, for the open
    web. None: the service's default."""
    sites: Annotated[list[Host], Field(max_length=64)] = []
    """Private addresses (`127.0.0.1:8000`, `10.0.0.7:80`, `shop.test:80`) that serve the task's own sites."""
    only_sites: bool = False
    """Nothing but `sites` can be reached: an offline task."""
    blocked_hosts: Annotated[list[Host], Field(max_length=1_000)] = []
    """Hosts that this lease can't reach, with their subdomains."""
    files: Name | None = None
    """Folder below the service's `files_dir` that `upload` takes its files from."""
    downloads: bool = False
    """Keep what pages download, within the service's quota; otherwise downloads are refused."""
    dialogs: Literal["accept", "dismiss"] = "dismiss"
    """Answer to confirm and prompt; alerts are always accepted."""
    record: Recording = Recording()
    login: LoginState | None = None
    """Cookies and local storage that the browser has before its first page."""
    locale: Annotated[str, Field(max_length=35)] | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None


class BatchRequest(Wire):
    """All or nothing: `count` leases for one group, each by the request `lease`."""

    count: Annotated[int, Field(ge=1, le=256)]
    lease: LeaseRequest = LeaseRequest()


class Batch(Wire):
    """The leases of a group."""

    leases: list["Lease"]


class Lease(Wire):
    """The right to drive one browser session until it expires or is released."""

    instance_id: str
    """`<uuid>:<port>`, the format of OmniBoxes."""
    node: str
    generation: int
    """Fencing number of the slot: grows with each lease, so that a stale holder is recognized."""
    token: str
    """Secret that every call with this lease carries."""
    expires_in_s: float
    viewport: Viewport
    direct_url: str | None = None
    """Direct address for this lease's `/step`, `/renew`, `/release` and `/blob`; None: the same address as `/get`."""


class StepRequest(Wire):
    """Act, settle and observe in one round trip."""

    instance_id: str
    token: str
    step_id: Annotated[int, Field(ge=0)]
    """Counts up from 0 for each call of the lease. Repeating the last one returns its reply and never acts twice."""
    action: Action
    observe: ObserveRequest = ObserveRequest()
    deadline_s: Annotated[float, Field(gt=0, le=120)] = 30.0


class ActionError(Wire):
    """The reason why an action had no effect: the element is gone, the navigation failed. The session goes on."""

    code: str
    message: str
    fault: Literal["policy", "site"]


class StepReply(Wire):
    """The outcome of one step."""

    step_id: int
    observation: Observation
    error: ActionError | None = None
    """None when the action was carried out."""
    timings_ms: dict[str, float]
    """Milliseconds per phase: act, settle, marks, screenshot, total."""
