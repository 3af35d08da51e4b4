"""Failures by the side that broke. A broken episode is data: it ends with a `Failure`, never with a reward of 0."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent.types import Failure, Side
from browser_service.errors import BrowserServiceError

FIRST_PROMPT_TOO_LONG = "FIRST_PROMPT_TOO_LONG"
CONFIGURATION = frozenset({"MODEL_KEY", "MODEL_REFUSED", FIRST_PROMPT_TOO_LONG})
"""Failure codes caused by the configuration: a key, a model's name, a parameter, the room for a prompt. A retry can't
help."""


class EpisodeFailure(Exception):
    """Ends an episode. Carries the `Failure` that is written on the trajectory."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.side}: {failure.message}")
        self.failure = failure


def failed(side: Side, code: str, message: str, *, retryable: bool) -> EpisodeFailure:
    """Returns the exception that ends an episode with this failure."""
    return EpisodeFailure(Failure(side=side, code=code, message=message[:500], retryable=retryable))


def in_the_first_turn(failure: Failure) -> Failure:
    """The failure as it counts in the first turn: a prompt that does not fit then is not the policy's fault."""
    if failure.side != "policy" or failure.code != "PROMPT_TOO_LONG":
        return failure
    message = f"the first prompt does not fit, so the policy could do nothing: {failure.message}"[:500]
    return Failure(side="infra", code=FIRST_PROMPT_TOO_LONG, message=message, retryable=False)


@asynccontextmanager
async def boundary(what: str) -> AsyncGenerator[None]:
    """Turns errors of the browser service into an `EpisodeFailure` whose message begins with `what`.

    Infrastructure errors may be retried on another browser; a `client` fault is a bug in this client and counts as
    infrastructure too, because it says nothing about the policy.
    """
    try:
        yield
    except BrowserServiceError as error:
        side: Side = "infra" if error.fault in ("infra", "client") else error.fault
        raise failed(side, error.code, f"{what}: {error.detail}", retryable=side == "infra") from error
