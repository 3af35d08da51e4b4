"""Actions in BrowserGym's notation (Chezelles et al. 2024), such as `click('24')`, as turns. Parsed, never evaluated."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.parsing.call import Call, parse_call
from agent.parsing.errors import FormatError
from agent.types import AgentAction, Answer, Turn
from browser_service.models import Observation
from browser_service.models.actions import (
    Back,
    CloseTab,
    FillId,
    Forward,
    KeyDown,
    Keypress,
    KeyUp,
    Observe,
    OpenTab,
    Sleep,
    SwitchTab,
    TypeText,
    VisitPage,
)
from browser_service.models.pointer_actions import (
    ClickCoords,
    ClickId,
    Drag,
    DragId,
    HoverCoords,
    HoverId,
    MouseDown,
    MouseUp,
    ScrollCoords,
    SelectOption,
)

Arguments = dict[str, Any]
SIGNATURES: dict[str, tuple[str, ...]] = {
    "click": ("bid", "button"),
    "dblclick": ("bid", "button"),
    "hover": ("bid",),
    "fill": ("bid", "value"),
    "clear": ("bid",),
    "check": ("bid",),
    "uncheck": ("bid",),
    "select_option": ("bid", "options"),
    "drag_and_drop": ("from_bid", "to_bid"),
    "scroll": ("delta_x", "delta_y"),
    "scroll_at": ("x", "y", "dx", "dy"),
    "mouse_move": ("x", "y"),
    "mouse_down": ("x", "y", "button"),
    "mouse_up": ("x", "y", "button"),
    "mouse_click": ("x", "y", "button"),
    "mouse_dblclick": ("x", "y", "button"),
    "mouse_drag_and_drop": ("from_x", "from_y", "to_x", "to_y"),
    "keyboard_press": ("key",),
    "keyboard_down": ("key",),
    "keyboard_up": ("key",),
    "keyboard_type": ("text",),
    "keyboard_insert_text": ("text",),
    "goto": ("url",),
    "go_back": (),
    "go_forward": (),
    "new_tab": (),
    "tab_close": (),
    "tab_focus": ("index",),
    "noop": ("wait_ms",),
    "send_msg_to_user": ("text",),
    "report_infeasible": ("reason",),
}
"""The calls that are understood, with their arguments in order. `press` and `focus` have no equal (click, then
`keyboard_press`), nor have uploads."""


def browsergym_turn(text: str, seen: Observation) -> Turn:
    """The turn of an action's text on the page `seen`; text that is no action gives one with a format error."""
    try:
        call = parse_call(text, named=True)
        return Turn(completion=None, action=_action(call, _named(call), seen))
    except FormatError as error:
        return Turn(completion=None, action=None, format_error=str(error)[:300])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Turn(completion=None, action=None, format_error=f"{text[:60]}: {place}: {first['msg']}"[:300])


def _named(call: Call) -> Arguments:
    """The arguments by name. Raises `FormatError`."""
    if call.name not in SIGNATURES:
        raise FormatError(f"{call.name[:40]} is unknown; known are {', '.join(SIGNATURES)}")
    names = SIGNATURES[call.name]
    if len(call.arguments) > len(names) or call.named.keys() - set(names):
        raise FormatError(f"{call.name} takes {', '.join(names) or 'no arguments'}")
    return dict(zip(names, call.arguments, strict=False)) | call.named


def _action(call: Call, given: Arguments, seen: Observation) -> AgentAction:
    """The action of a call. Raises `FormatError`, ValidationError."""
    match call.name:
        case "click" | "dblclick":
            button = {"button": given["button"]} if "button" in given else {}
            return ClickId.model_validate({"id": _bid(given), "clicks": 2 if call.name == "dblclick" else 1} | button)
        case "check" | "uncheck":
            return _check(_bid(given), seen, wanted=call.name == "check")
        case "fill" | "clear":
            value = given.get("value", "") if call.name == "fill" else ""
            return FillId(id=_bid(given), value=str(value), press_enter=False, delete_existing=True)
        case "drag_and_drop":
            return DragId(id=_bid(given, "from_bid"), to_id=_bid(given, "to_bid"))
        case "scroll":
            middle = {"x": seen.viewport.width / 2, "y": seen.viewport.height / 2}
            return ScrollCoords.model_validate(middle | _renamed(given, delta_x="dx", delta_y="dy"))
        case "mouse_drag_and_drop":
            return Drag.model_validate(_renamed(given, from_x="x", from_y="y"))
        case "mouse_click" | "mouse_dblclick":
            return ClickCoords.model_validate(given | {"clicks": 2 if call.name == "mouse_dblclick" else 1})
        case "keyboard_press":
            return Keypress(keys=[key or "+" for key in str(given.get("key", "")).split("+")])
        case "keyboard_down" | "keyboard_up":
            return (KeyDown if call.name == "keyboard_down" else KeyUp)(keys=[str(given.get("key", ""))])
        case "noop":
            wait_ms = given.get("wait_ms", 1_000)
            return Sleep.model_validate({"duration": wait_ms if isinstance(wait_ms, str) else wait_ms / 1_000})
    return SIMPLE[call.name](given)


def _valid(kind: type[BaseModel], **names: str) -> Callable[[Arguments], Any]:
    return lambda given: kind.model_validate(_renamed(given, **names))


SIMPLE: dict[str, Callable[[Arguments], AgentAction]] = {
    "hover": lambda given: HoverId(id=_bid(given)),
    "select_option": lambda given: SelectOption(id=_bid(given), label=str(given.get("options", ""))),
    "scroll_at": _valid(ScrollCoords),
    "mouse_move": _valid(HoverCoords),
    "mouse_down": _valid(MouseDown),
    "mouse_up": _valid(MouseUp),
    "keyboard_type": _valid(TypeText, text="value"),
    "keyboard_insert_text": _valid(TypeText, text="value"),
    "goto": _valid(VisitPage),
    "go_back": _valid(Back),
    "go_forward": _valid(Forward),
    "new_tab": _valid(OpenTab),
    "tab_close": _valid(CloseTab),
    "tab_focus": _valid(SwitchTab),
    "send_msg_to_user": _valid(Answer),
    "report_infeasible": _valid(Answer, reason="text"),
}


def _check(element: int, seen: Observation, *, wanted: bool) -> AgentAction:
    """A click, unless the box has the wanted state already."""
    mark = next((mark for mark in seen.marks if mark.id == element), None)
    return Observe() if mark is not None and mark.checked is wanted else ClickId(id=element)


def _bid(given: Arguments, name: str = "bid") -> int:
    """An element's number. BrowserGym's ids inside of frames have letters, which no element here has."""
    value = given.get(name)
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 7:
        return int(value)
    raise FormatError(f"expected the id of an element, such as '12', found {str(value)[:40]!r}")


def _renamed(given: Arguments, **names: str) -> Arguments:
    return {names.get(name, name): value for name, value in given.items()}
