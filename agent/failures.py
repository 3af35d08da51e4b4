"""Names the side that broke. A broken episode is data: it ends with a `Failure`, never with a reward of 0."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent.types import Failure, Side
from browser_service.errors import BrowserServiceError


class EpisodeFailure(Exception):
    """Ends an episode. Carries the `Failure` that is written on the trajectory."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.side}: {failure.message}")
        self.failure = failure


def failed(side: Side, code: str, message: str, *, retryable: bool) -> EpisodeFailure:
    """The exception that ends an episode with this failure."""
    return EpisodeFailure(Failure(side=side, code=code, message=message[:500], retryable=retryable))


@asynccontextmanager
async def boundary(what: str) -> AsyncGenerator[None]:
    """Turns errors of the browser service into an `EpisodeFailure` that says what was being done.

    Infrastructure errors may be tried again on another browser; a `client` fault is a bug of ours on this side of the
    wire and counts as infrastructure too, for it says nothing about the policy.
    """
    try:
        yield
    except BrowserServiceError as error:
        side: Side = "infra" if error.fault in ("infra", "client") else error.fault
        raise failed(side, error.code, f"{what}: {error.detail}", retryable=side == "infra") from error
