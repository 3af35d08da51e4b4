"""Input of a scripted solution of MiniWoB++: the instruction and the page's text. Marks are read by `environments.marks`."""

import re
from collections.abc import Callable

from browser_service.models import Action, ClickId, Mark, Observation, ScrollCoords
from environments.base import Unsolvable
from environments.marks import BUTTONS, click, named

NAME = r"[A-Z][A-Za-z]*(?:[- ][A-Z][A-Za-z]+)?"
"""A first name in an instruction: `Ann`, `Kara-Lynn`, `Dee Dee`."""
Solution = Callable[[str, Observation, int], Action]
"""Maps goal, observation and number of the step (from 0) to the next action."""


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


def text(observation: Observation) -> str:
    """The page's visible text, the instruction first. Raises `Unsolvable` if it was not asked for."""
    if observation.text is None:
        raise Unsolvable(
            "Expected the page's text in the observation, found none; ask for it: ObserveRequest(text=True)."
        )
    return observation.text


def lines(observation: Observation) -> list[str]:
    """The lines of the page's text that are not empty; the first one is the instruction."""
    return [line.strip(" ") for line in text(observation).splitlines() if line.strip()]


def below(observation: Observation) -> str:
    """The line below the instruction. Raises `Unsolvable` if there is none."""
    found = lines(observation)
    if len(found) < 2:
        raise Unsolvable(f"Expected text below the instruction, found {found}.")
    return found[1]


def submit(observation: Observation, name: str = "Submit") -> ClickId:
    """A click on the button that ends the task."""
    return click(named(observation, name, *BUTTONS))


def scroll(mark: Mark, dy: float) -> ScrollCoords:
    """The wheel over an element, by CSS pixels; positive ones go down."""
    x, y = middle(mark)
    return ScrollCoords(x=x, y=y, dy=dy)


def middle(mark: Mark) -> tuple[float, float]:
    """The centre of an element."""
    return mark.box.x + mark.box.width / 2, mark.box.y + mark.box.height / 2
