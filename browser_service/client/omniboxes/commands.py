"""Actions as commands of OmniBoxes: one command of `POST /execute` for an action, where it has one.

Its wire format has no drag, no tabs, no uploads and no typing without a field.
"""

from typing import Any, NamedTuple

from browser_service.models import Action, ActionError
from browser_service.models.pointer_actions import ClickCoords, ClickId, ScrollCoords, SelectOption

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "visit_page": ("url",),
    "back": (),
    "click_coords": ("x", "y"),
    "click_id": ("id",),
    "fill_coords": ("x", "y", "value", "press_enter", "delete_existing"),
    "fill_id": ("id", "value", "press_enter", "delete_existing"),
    "select_option": ("id",),
    "hover_coords": ("x", "y"),
    "hover_id": ("id",),
    "hover_and_scroll_coords": ("x", "y", "direction"),
    "scroll_id": ("id", "direction"),
    "page_down": ("amount", "full_page"),
    "page_up": ("amount", "full_page"),
    "keypress": ("keys",),
    "tab_and_enter": (),
}
"""The commands that OmniBoxes has, with their arguments."""


class Command(NamedTuple):
    """A command with its arguments. Example: `Command("click_id", {"id": "3"})`."""

    name: str
    arguments: dict[str, Any]


def command_of(action: Action) -> Command | ActionError:
    """The command of an action, or the reason for the agent why OmniBoxes has none."""
    match action:
        case ClickCoords() | ClickId() if action.button != "left" or action.clicks != 1:
            return _lacks("other clicks than a single one with the left button")
        case SelectOption(label=str()):
            return _lacks("labels of options; click the list, then choose the option by its own number")
        case ScrollCoords(x=x, y=y, dx=dx, dy=dy):
            return Command("hover_and_scroll_coords", {"x": x, "y": y, "direction": _direction(dx, dy)})
    if action.kind not in ARGUMENTS:
        return _lacks(f"{action.kind}")
    given = action.model_dump()
    if given.get("hold"):
        return _lacks("keys that are held during an action of the mouse")
    arguments = {name: given[name] for name in ARGUMENTS[action.kind]}
    # Its clients send numbers of elements as text.
    return Command(action.kind, arguments | ({"id": str(arguments["id"])} if "id" in arguments else {}))


def _direction(dx: float, dy: float) -> str:
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy >= 0 else "up"


def _lacks(what: str) -> ActionError:
    return ActionError(code="UNSUPPORTED", message=f"this browser does not know {what}", fault="policy")
