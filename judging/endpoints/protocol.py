"""The protocol of a judge model: one question with texts and pictures, one reply.

Example: `await endpoint.ask("You judge ..", ["Page 1", Picture("image/png", data)], schema)`
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Literal, NamedTuple, Protocol

Json = dict[str, Any]
Finish = Literal["stop", "length", "refused", "other"]
Trouble = Literal["unavailable", "timeout", "refused", "misconfigured", "too_long", "budget"]


class Picture(NamedTuple):
    """An encoded picture. Example: `Picture("image/png", b"...")`."""

    media_type: str
    data: bytes


Part = str | Picture


class Reply(NamedTuple):
    """A reply of a judge model. Example: `Reply('{"met": true}', tokens_in=812, tokens_out=9, finish="stop")`."""

    text: str
    tokens_in: int
    """Tokens of the prompt; estimated where the server does not report them."""
    tokens_out: int
    finish: Finish


class Usage(NamedTuple):
    """Consumption of some calls. Example: `Usage(calls=2, tokens_in=9_000, tokens_out=310, cost=0.03)`."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """The sum of both."""
        return Usage(*(mine + more for mine, more in zip(self, other, strict=True)))


def sum_of(usages: Iterable[Usage]) -> Usage:
    """The sum of some consumptions."""
    return reduce(Usage.plus, usages, Usage())


class EndpointError(Exception):
    """There is no reply. `trouble` is a code for counting; the message never has the key."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble: Trouble = trouble
        self.usage = Usage()
        """Estimated consumption of the call that failed."""


class BudgetSpent(EndpointError):
    """The judge's budget is spent: no further call is made, and everything left stays unjudged."""

    def __init__(self, message: str) -> None:
        super().__init__("budget", message)


class Endpoint(Protocol):
    """A judge model. Safe for many questions at once."""

    model: str

    async def ask(self, system: str, parts: Sequence[Part], schema: Json) -> Reply:
        """Returns the reply, constrained by the JSON schema where the server can. Raises `EndpointError`."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...
