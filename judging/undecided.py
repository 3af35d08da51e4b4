"""The third state of a judgement: there is no verdict, for a reason that can be counted. Never a reward of 0."""

from typing import Literal

from judging.endpoints.protocol import EndpointError

Unjudged = Literal[
    "empty",  # from here: replies that can't be read as one verdict
    "truncated",
    "oversized",
    "surrogate",
    "not_json",
    "extra_text",
    "duplicate_key",
    "not_finite",
    "wrong_form",
    "marker",
    "contradiction",
    "missing_evidence",
    "refused",  # from here: no reply
    "unavailable",
    "timeout",
    "misconfigured",
    "too_long",
    "budget",
    "broken_episode",  # from here: nothing was asked, or its answer is not used
    "no_evidence",
    "addresses_judge",
    "disagreement",
    "blocked",
]


class Undecided(Exception):
    """Ends a judgement without a verdict. Example: `Undecided("truncated", "the reply ended after 4,096 tokens")`."""

    def __init__(self, code: Unjudged, message: str) -> None:
        super().__init__(message)
        self.code: Unjudged = code


def undecided_by(error: EndpointError) -> Undecided:
    """The state after a failed call."""
    return Undecided(error.trouble, str(error))
