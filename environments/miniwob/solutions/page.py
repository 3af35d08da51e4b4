"""Input of a scripted solution: the instruction, and the marks by role, name and state."""

import re
from collections.abc import Callable

from browser_service.models import Action, ClickId, FillId, Mark, Observation
from environments.base import Unsolvable

Solution = Callable[[str, Observation, int], Action]
"""Maps goal, observation and number of the step (from 0) to the next action."""

BUTTONS = ("button",)
FIELDS = ("textbox", "spinbutton", "searchbox")


def marks(observation: Observation, *roles: str) -> list[Mark]:
    """The marks with one of the roles, or all marks, in the order of the list."""
    return [mark for mark in observation.marks if not roles or mark.role in roles]


def nth(observation: Observation, index: int, *roles: str) -> Mark:
    """The mark number `index` (from 0) among those with one of the roles. Raises `Unsolvable` if there are fewer."""
    found = marks(observation, *roles)
    if index >= len(found):
        raise Unsolvable(f"Expected {index + 1} marks with role {' or '.join(roles)}, found {describe(observation)}.")
    return found[index]


def find_named(observation: Observation, name: str, *roles: str) -> Mark | None:
    """The first mark with exactly that name, or None."""
    return next((mark for mark in marks(observation, *roles) if mark.name == name), None)


def named(observation: Observation, name: str, *roles: str) -> Mark:
    """The mark with that name. Raises `Unsolvable` if there is none."""
    if (mark := find_named(observation, name, *roles)) is None:
        raise Unsolvable(f"Expected a mark named {name!r}, found {describe(observation)}.")
    return mark


def quoted_words(goal: str) -> list[str]:
    """The texts in double quotes. Example: `Enter the password "Q3h" twice.` -> `["Q3h"]`."""
    return re.findall(r'"([^"]*)"', goal)


def said(goal: str, pattern: str) -> str:
    """The first group of the pattern in the instruction. Raises `Unsolvable` if it doesn't match."""
    match = re.search(pattern, goal)
    if match is None:
        raise Unsolvable(f"Expected an instruction like {pattern!r}, found {goal!r}.")
    return match[1]


def ordinal(goal: str, pattern: str) -> int:
    """The index, from 0, of an ordinal such as `2nd` in the pattern's first group."""
    return int(said(goal, pattern)) - 1


def click(mark: Mark) -> ClickId:
    """A click on a mark."""
    return ClickId(id=mark.id)


def fill(mark: Mark, value: str) -> FillId:
    """Replaces the text of a field; does not press Enter."""
    return FillId(id=mark.id, value=value, press_enter=False, delete_existing=True)


def submit(observation: Observation, name: str = "Submit") -> ClickId:
    """A click on the button that ends the task."""
    return click(named(observation, name, *BUTTONS))


def describe(observation: Observation) -> str:
    """The marks in a line, for error messages."""
    return "; ".join(f"[{mark.id}] {mark.role} {mark.name!r}" for mark in observation.marks) or "no marks"
