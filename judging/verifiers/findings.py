"""The result of one verifier, and the rule that all kinds of answers share."""

from typing import NamedTuple

SHOWN = 80
"""Largest number of characters of an untrusted text in the evidence."""


class Finding(NamedTuple):
    """A verifier's result. Example: `Finding(True, {"number": True}, "expected 42, found '42 EUR'")`."""

    passed: bool | None
    """None when the verifier cannot decide."""
    criteria: dict[str, bool]
    """Result by field; empty when undecided."""
    evidence: str
    """One sentence, printable, without lone surrogates."""
    steps: tuple[int, ...] = ()
    """Indices of the trajectory's steps with the evidence."""


def shown(text: str) -> str:
    """An untrusted text for the evidence: quoted, shortened, with control characters and lone surrogates escaped."""
    quoted = repr(text[:SHOWN])  # repr escapes lone surrogates and what is not printable
    return quoted if len(text) <= SHOWN else f"{quoted}.. ({len(text)} characters)"


def printable(name: str) -> str:
    """A name from a task for a criterion: shortened, with control characters and lone surrogates escaped."""
    return repr(name[:SHOWN])[1:-1]


def undecided(why: str) -> Finding:
    """The finding that leaves the trajectory to another judge."""
    return Finding(None, {}, why)


def by_place(
    criterion: str, *, expected: str, answer: str, is_whole: bool, is_inside: bool, accepts_inside: bool
) -> Finding:
    """The finding for a value that is the whole answer, or stands inside a longer one, or is not in the answer.

    An answer that has the value among other words may affirm it or deny it ("not 42"); only the task's author can say
    that the value alone is enough, so otherwise it stays undecided.
    """
    if is_whole or (is_inside and accepts_inside):
        return Finding(True, {criterion: True}, f"expected {expected}, found it in the answer {shown(answer)}")
    if is_inside:
        return undecided(f"the expected {expected} stands among other words in {shown(answer)}: not decided here")
    return Finding(False, {criterion: False}, f"expected {expected}, found the answer {shown(answer)}")
