"""The error tree of the browser service. Servers answer with it, the client raises it.

    BrowserServiceError
    ├── NoCapacity            503 infra   every slot is leased and the wait is over
    ├── RateLimited           429 infra   the queue, or the caller's share of it, is full
    ├── RegistryDown          503 infra   the store of leases can't be reached; running sessions go on
    ├── Draining              503 infra   the service takes no new leases
    ├── MasterStopping        502 infra   this master takes no new leases; another one of the service does
    ├── SlotTaken             409 infra   (between tiers) the granted slot is in use; the master asks for another
    ├── LeaseNotFound         404 client  never existed, expired or released
    ├── NotKept               404 client  no such picture or file of this lease, or not any more
    ├── LeaseMismatch         409 client  wrong token, or a step out of order
    ├── Unauthorized          401 client  missing or wrong x-api-key
    ├── UnknownNode           400 client  the node that is named does not belong to this service
    ├── ClientGone            503 client  the client no longer waits for the answer
    ├── BadRequest            422 client  the request does not fit the schema
    ├── NavigationBlocked     403 policy  the URL's scheme or host is not allowed
    ├── PageCrashed           502 infra   the renderer died
    ├── BrowserCrashed        502 infra   Chromium or its driver died
    ├── EgressFailed          502 infra   our own proxy failed; what the page shows is not what the site has
    ├── DeadlineExceeded      504 infra   the call did not end in time; the session was recovered or closed
    └── Unreachable           503 infra   (client side) no answer from the service

Every error names the side that broke (`fault`) and says whether the same call may be sent again (`retryable`).
An action that merely had no effect is no error: it is an `ActionError` inside a normal reply.
"""

from typing import ClassVar, Literal

from pydantic import ValidationError

from browser_service.models import Problem
from browser_service.models.wire import from_another_version

Fault = Literal["infra", "site", "policy", "client"]
SessionState = Literal["alive", "lost", "none"]


class BrowserServiceError(Exception):
    """Root of the tree. `str(error)` is one sentence: expected, found, what to do."""

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 500
    fault: ClassVar[Fault] = "infra"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.session_state: SessionState = "none"
        """State of the call's lease after the error."""

    def problem(self) -> Problem:
        """The error in its wire format."""
        return Problem(
            title=type(self).__name__,
            status=self.status,
            detail=self.detail,
            code=self.code,
            fault=self.fault,
            retryable=self.retryable,
            session_state=self.session_state,
            retry_after_s=self.retry_after_s,
        )


class NoCapacity(BrowserServiceError):
    """Every slot is leased and the caller's wait is over."""

    code, status, fault, retryable = "NO_CAPACITY", 503, "infra", True


class RateLimited(BrowserServiceError):
    """The queue, or the share's part of it, is full."""

    code, status, fault, retryable = "RATE_LIMITED", 429, "infra", True


class RegistryDown(BrowserServiceError):
    """The store of leases can't be reached: no new leases, live sessions go on."""

    code, status, fault, retryable = "REGISTRY_DOWN", 503, "infra", True


class Draining(BrowserServiceError):
    """The service is shutting down and takes no new leases."""

    code, status, fault, retryable = "DRAINING", 503, "infra", True


class MasterStopping(BrowserServiceError):
    """This master takes no new leases, but another one of the same service does."""

    code, status, fault, retryable = "MASTER_STOPPING", 502, "infra", True


class SlotTaken(BrowserServiceError):
    """The granted slot is in use at the instance, or had a later lease."""

    code, status, fault, retryable = "SLOT_TAKEN", 409, "infra", True


class LeaseNotFound(BrowserServiceError):
    """The lease never existed, has expired or was released."""

    code, status, fault, retryable = "LEASE_NOT_FOUND", 404, "client", False


class NotKept(BrowserServiceError):
    """There is no such picture or file of the lease, or not any more."""

    code, status, fault, retryable = "NOT_KEPT", 404, "client", False


class LeaseMismatch(BrowserServiceError):
    """The token is not the lease's, or the step is out of order."""

    code, status, fault, retryable = "LEASE_MISMATCH", 409, "client", False


class Unauthorized(BrowserServiceError):
    """The x-api-key header is missing or wrong."""

    code, status, fault, retryable = "UNAUTHORIZED", 401, "client", False


class UnknownNode(BrowserServiceError):
    """The `node` parameter names a node that this service does not have."""

    code, status, fault, retryable = "UNKNOWN_NODE", 400, "client", False


class ClientGone(BrowserServiceError):
    """The client closed its connection while it waited; its grant goes to the next in the queue."""

    code, status, fault, retryable = "CLIENT_GONE", 503, "client", False


class BadRequest(BrowserServiceError):
    """The request does not fit the schema."""

    code, status, fault, retryable = "BAD_REQUEST", 422, "client", False


class NavigationBlocked(BrowserServiceError):
    """The URL's scheme or host is not allowed."""

    code, status, fault, retryable = "NAV_BLOCKED", 403, "policy", False


class PageCrashed(BrowserServiceError):
    """The page's renderer died; the session is lost."""

    code, status, fault, retryable = "PAGE_CRASHED", 502, "infra", False


class BrowserCrashed(BrowserServiceError):
    """Chromium or its driver died; the session is lost and the slot is being rebuilt."""

    code, status, fault, retryable = "BROWSER_CRASHED", 502, "infra", False


class EgressFailed(BrowserServiceError):
    """The service's own proxy failed; the session is lost."""

    code, status, fault, retryable = "EGRESS_FAILED", 502, "infra", False


class DeadlineExceeded(BrowserServiceError):
    """The call did not end within its deadline."""

    code, status, fault, retryable = "DEADLINE", 504, "infra", False


class Unreachable(BrowserServiceError):
    """The client got no answer from the service."""

    code, status, fault, retryable = "UNREACHABLE", 503, "infra", True


BY_CODE: dict[str, type[BrowserServiceError]] = {
    error.code: error
    for error in (
        NoCapacity,
        RateLimited,
        RegistryDown,
        Draining,
        MasterStopping,
        SlotTaken,
        LeaseNotFound,
        NotKept,
        LeaseMismatch,
        Unauthorized,
        UnknownNode,
        ClientGone,
        BadRequest,
        NavigationBlocked,
        PageCrashed,
        BrowserCrashed,
        EgressFailed,
        DeadlineExceeded,
        Unreachable,
    )
}


def from_problem(problem: Problem) -> BrowserServiceError:
    """The typed error for a server's problem."""
    kind = BY_CODE.get(problem.code, BrowserServiceError)
    error = kind(problem.detail, retry_after_s=problem.retry_after_s)
    error.session_state = problem.session_state
    return error


def error_of(status: int, body: bytes) -> BrowserServiceError:
    """The typed error for an error answer, also for one that is not problem+json."""
    try:
        return from_problem(from_another_version(Problem, body))
    except ValidationError:
        found = body[:200].decode(errors="replace")
        return BrowserServiceError(f"expected a reply of the browser service, found HTTP {status}: {found!r}")
