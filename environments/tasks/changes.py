"""Changes of an application's state during an episode: by path, with the value before and after.

A verifier that reads changes sees forbidden side effects too: whatever it does not expect counts against the agent.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

MISSING = None
"""Value of a path that is not there; an application's states have no null of their own below a changed path."""
MOST_CHANGES = 2_000
"""Recorded changes of an episode; an agent that changed more has side effects in any case."""


class Change(NamedTuple):
    """One changed value. Example: `Change(path="products/lamp-3/stock", before=4, after=3)`."""

    path: str
    before: Any
    after: Any


class EndState(BaseModel):
    """Record of the end of an episode on an application; the `evidence` of its verifier.

    Example: `{"parameters": {"product": "lamp-3"}, "changes": [["cart/lamp-3", null, 1]], "truncated": false}`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    parameters: dict[str, Any]
    """The parameters with which the task's template was filled."""
    changes: Annotated[tuple[Change, ...], Field(max_length=MOST_CHANGES)]
    truncated: bool = False
    """True if there were more changes."""


class Changes:
    """The changes of an episode, for a template's check.

    Example:
        changes.of("orders/*")            # new, changed and removed orders
        changes.only("orders/*", "cart/*")  # True if nothing else changed
    """

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self.all = changes

    def of(self, *patterns: str) -> list[Change]:
        """Changes whose path fits a pattern, in which `*` stands for any characters."""
        return [change for change in self.all if any(fnmatchcase(change.path, pattern) for pattern in patterns)]

    def added(self, pattern: str) -> list[Any]:
        """New values at paths that did not exist."""
        return [change.after for change in self.of(pattern) if change.before is MISSING]

    def only(self, *patterns: str) -> bool:
        """True if every change fits a pattern: there are no side effects."""
        return len(self.of(*patterns)) == len(self.all)

    def value(self, path: str) -> Any:
        """Value after the episode at a path that changed; None if it did not change or is gone."""
        return next((change.after for change in self.all if change.path == path), None)


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compares two states of JSON values, in the order of their paths. Objects are compared by key, all else as a whole.

    An object that is new or gone is one change.
    """
    return list(_compare("", before, after))


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before is after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            inner = f"{path}/{key}" if path else key
            yield from _compare(inner, before.get(key, MISSING), after.get(key, MISSING))
    elif before != after or type(before) is not type(after):
        yield Change(path, before, after)
