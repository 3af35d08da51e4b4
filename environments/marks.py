"""For scripted solutions: finds marks on a page by role and name, and acts on them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from browser_service.models import Action, ClickId, FillId, Mark, Observation, SelectOption
from environments.base import Unsolvable

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
        raise Unsolvable(f"Expected a mark named {name!r} on {observation.url}, found {describe(observation)}.")
    return mark


def click(mark: Mark) -> ClickId:
    """A click on a mark."""
    return ClickId(id=mark.id)


def click_named(observation: Observation, name: str, *roles: str) -> ClickId:
    """A click on the mark with that name. Raises `Unsolvable` if there is none."""
    return click(named(observation, name, *roles))


def fill(mark: Mark, value: str, *, press_enter: bool = False) -> FillId:
    """Replaces the text of a field."""
    return FillId(id=mark.id, value=value, press_enter=press_enter, delete_existing=True)


def fill_form(observation: Observation, wanted: Mapping[str, str | bool], submit: str) -> Action:
    """The next action that brings a form's fields to the wanted values, and at last the click on its button.

    `wanted` has a text or the label of an option by the field's name, True or False for a checkbox.
    """
    for name, value in wanted.items():
        mark = named(observation, name)
        if isinstance(value, bool):
            if bool(mark.checked) != value:
                return click(mark)
        elif mark.options:
            if mark.value != value:
                return SelectOption(id=mark.id, label=value)
        elif mark.role == "radio":
            if not mark.checked:
                return click(mark)
        elif mark.value != value:
            return fill(mark, value)
    return click_named(observation, submit, *BUTTONS)


def page_of(observation: Observation) -> str:
    """Name of the page. Example: `cart.html`."""
    return urlsplit(observation.url).path.rpartition("/")[2]


def query_of(observation: Observation) -> dict[str, str]:
    """Query of the address. Example: `{"id": "lamp-3"}`."""
    return dict(parse_qsl(urlsplit(observation.url).query))


def describe(observation: Observation) -> str:
    """The marks in a line, for error messages."""
    return "; ".join(f"[{mark.id}] {mark.role} {mark.name!r}" for mark in observation.marks) or "no marks"
