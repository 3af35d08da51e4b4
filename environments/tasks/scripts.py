"""Scripted solutions as a list of moves, one a step: open an address, press a button, fill a field."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.types import AgentAction, Answer
from browser_service.models import Mark, Observation, PageDown, SelectOption, VisitPage
from environments.base import Unsolvable
from environments.marks import FIELDS, click, describe, fill, marks
from environments.tasks.templates import Parameters, Solve

ICON = re.compile(r"[a-z][a-z_]*")
"""Name of an icon that a font draws: it is part of a button's text."""
DONE = Answer(text="done")
Move = Callable[[Parameters, Observation], AgentAction]


def script(*moves: Move, end: AgentAction = DONE) -> Solve:
    """One move a step, then `end`."""

    def solve(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
        return moves[step](parameters, observation) if step < len(moves) else end

    return solve


def answering(*moves: Move) -> Solve:
    """One move a step, then the answer, which is the parameter `answer`."""

    def solve(parameters: Parameters, observation: Observation, step: int) -> AgentAction:
        return moves[step](parameters, observation) if step < len(moves) else Answer(text=parameters["answer"])

    return solve


def go(path: str) -> Move:
    """Opens a path of the site. Example: `go("/t/thread/{number}/")`."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        address = urlsplit(observation.url)
        return VisitPage(url=f"{address.scheme}://{address.netloc}{path.format(**parameters)}")

    return move


def press(name: str, *roles: str, last: bool = False) -> Move:
    """Clicks the first, or the last, element in view with this name; an icon's name may stand before it."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        return click(called(observation, name.format(**parameters), *roles, last=last))

    return move


def press_after(before: str, name: str, *roles: str) -> Move:
    """Clicks the first element with this name that comes after another one, such as the button of a row."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        start = called(observation, before.format(**parameters)).id
        below = [mark for mark in observation.marks if mark.id > start]
        return click(called(observation.model_copy(update={"marks": below}), name, *roles))

    return move


def to_the_end(parameters: Parameters, observation: Observation) -> AgentAction:
    """Scrolls to the end of the page."""
    return PageDown(amount=100_000)


def write(field: str, value: str, *, last: bool = False, press_enter: bool = False) -> Move:
    """Replaces the text of the first, or the last, field with this name; without a name that of the largest in view."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        mark = called(observation, field.format(**parameters), *FIELDS, last=last) if field else _largest(observation)
        return fill(mark, value.format(**parameters), press_enter=press_enter)

    return move


def choose(field: str, label: str) -> Move:
    """Chooses an option by its label; an empty name means the first list in view."""

    def move(parameters: Parameters, observation: Observation) -> AgentAction:
        lists = [mark for mark in marks(observation) if mark.options and (not field or is_called(mark, field))]
        if not lists:
            raise Unsolvable(f"Expected a list {field!r} on {observation.url}, found {describe(observation)}.")
        return SelectOption(id=lists[0].id, label=label.format(**parameters))

    return move


def called(observation: Observation, name: str, *roles: str, last: bool = False) -> Mark:
    """The first, or the last, mark with this name, or else one that ends with it. Raises `Unsolvable`."""
    of_role = marks(observation, *roles)
    found = [mark for mark in of_role if mark.name == name] or [mark for mark in of_role if is_called(mark, name)]
    if not found:
        raise Unsolvable(f"Expected {name!r} on {observation.url}, found {describe(observation)}.")
    return found[-1 if last else 0]


def is_called(mark: Mark, name: str) -> bool:
    """True for this name, with a colon or "Optional" after it, or an icon's name before it."""
    said = mark.name.removesuffix(":").removesuffix("Optional").strip()
    icon, _, rest = said.rpartition(name)
    return said == name or said.endswith(f" {name}") or (not rest and bool(ICON.fullmatch(icon)))


def _largest(observation: Observation) -> Mark:
    fields = marks(observation, *FIELDS)
    if not fields:
        raise Unsolvable(f"Expected a text field on {observation.url}, found {describe(observation)}.")
    return max(fields, key=lambda mark: mark.box.width * mark.box.height)
