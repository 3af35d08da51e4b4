"""Actions of an agent, by mode: one `Verb` per action. Parsers, prompts and tool schemas are made from these tables.

`BRIEF` is the small grammar of the compact prompt, for models that were trained on it; `FULL` has everything.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from agent.parsing.arguments import Arguments
from agent.parsing.errors import FormatError
from agent.types import AgentAction, Answer
from browser_service import models as wire
from browser_service.models import InteractionMode

MAX_KEYS = 6
MAX_FILES = 20
LONGEST_WAIT_S = 30
LONGEST_DRAG = 4_096
NUMBERS = frozenset({"id", "to_id", "x", "y", "to_x", "to_y", "right", "down", "seconds", "number"})
"""Parameters that are numbers; the others are text."""


class Verb(NamedTuple):
    """One kind of action. Example: `Verb("click", ("id",), "click element id", lambda a: wire.ClickId(id=a.mark(0)))`."""

    name: str
    parameters: tuple[str, ...]
    says: str
    """Description for the prompt."""
    build: Callable[[Arguments], AgentAction]
    optional: int = 0
    """Number of last parameters that may be left out."""

    def check(self, given: Arguments) -> None:
        """Raises FormatError for a wrong number of arguments. An answer accepts further arguments, and ignores them."""
        most = len(self.parameters)
        least = most - self.optional
        if self.name != "answer" and not least <= len(given) <= most:
            wanted = f"{most}" if least == most else f"{least} to {most}"
            raise FormatError(f"{self.name} takes {wanted} arguments, found {len(given)}")

    def signature(self) -> str:
        """The verb as the prompt shows it. Example: `scroll("direction"[, id])`."""
        shown = [name if name in NUMBERS else f'"{name}"' for name in self.parameters]
        fixed, free = shown[: len(shown) - self.optional], shown[len(shown) - self.optional :]
        if not free:
            return f"{self.name}({', '.join(fixed)})"
        return f"{self.name}({', '.join(fixed)}[{', ' if fixed else ''}{', '.join(free)}])"


Verbs = tuple[Verb, ...]


def _click_id(button: Literal["left", "right"] = "left", clicks: int = 1) -> Callable[[Arguments], AgentAction]:
    return lambda a: wire.ClickId(id=a.mark(0), button=button, clicks=clicks)


def _click_point(button: Literal["left", "right"] = "left", clicks: int = 1) -> Callable[[Arguments], AgentAction]:
    def build(a: Arguments) -> AgentAction:
        x, y = a.point(0)
        return wire.ClickCoords(x=x, y=y, button=button, clicks=clicks)

    return build


def _fill_id(a: Arguments) -> AgentAction:
    return wire.FillId(id=a.mark(0), value=a.text(1), press_enter=False, delete_existing=True)


def _fill_point(a: Arguments) -> AgentAction:
    x, y = a.point(0)
    return wire.FillCoords(x=x, y=y, value=a.text(2), press_enter=False, delete_existing=True)


def _hover_point(a: Arguments) -> AgentAction:
    x, y = a.point(0)
    return wire.HoverCoords(x=x, y=y)


def _drag(a: Arguments) -> AgentAction:
    (x, y), (to_x, to_y) = a.point(0), a.point(2)
    return wire.Drag(x=x, y=y, to_x=to_x, to_y=to_y)


def _press(a: Arguments) -> AgentAction:
    keys = _chord(a.text(0))
    if not 1 <= len(keys) <= MAX_KEYS or any(len(key) > 32 for key in keys):
        raise FormatError('press takes the name of a key or a chord, such as "Control+a"')
    return wire.Keypress(keys=keys)


def _chord(text: str) -> list[str]:
    """The keys of a chord; a `+` at its end is the key itself. Example: `Control++` -> Control and +."""
    if text == "+" or text.endswith("++"):
        return [*_chord(text[:-2]), "+"] if text != "+" else ["+"]
    return [key for key in text.split("+") if key]


def _drag_id(a: Arguments) -> AgentAction:
    return wire.DragId(id=a.mark(0), to_id=a.mark(1))


def _drag_by(a: Arguments) -> AgentAction:
    dx, dy = a.number(1), a.number(2)
    if not (abs(dx) <= LONGEST_DRAG and abs(dy) <= LONGEST_DRAG):
        raise FormatError(f"drag_by takes pixels from -{LONGEST_DRAG} to {LONGEST_DRAG}, found {dx:g} and {dy:g}")
    return wire.DragId(id=a.mark(0), dx=dx, dy=dy)


def _select_point(*, selected: bool | None) -> Callable[[Arguments], AgentAction]:
    def build(a: Arguments) -> AgentAction:
        x, y = a.point(0)
        return wire.SelectCoords(x=x, y=y, label=a.text(2), selected=selected)

    return build


def _files(text: str) -> list[str]:
    """Parses file names separated by commas. Raises FormatError for none, too many or too long ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not 1 <= len(names) <= MAX_FILES or any(len(name) > 255 for name in names):
        raise FormatError(f"upload takes 1 to {MAX_FILES} file names separated by commas, found {len(names)}")
    return names


def _upload_point(a: Arguments) -> AgentAction:
    x, y = a.point(0)
    return wire.UploadCoords(x=x, y=y, files=_files(a.text(2)))


def _scroll_page(a: Arguments) -> AgentAction:
    match a.text(0):
        case "down":
            return wire.PageDown(full_page=True)
        case "up":
            return wire.PageUp(full_page=True)
        case other:
            raise FormatError(f'scroll takes "up" or "down", found {other[:20]!r}')


def _direction(a: Arguments) -> wire.Direction:
    match a.text(0):
        case "up" | "down" | "left" | "right" as direction:
            return direction
        case other:
            raise FormatError(f'scroll takes "up", "down", "left" or "right", found {other[:20]!r}')


def _scroll_id(a: Arguments) -> AgentAction:
    return wire.ScrollId(id=a.mark(1), direction=_direction(a)) if len(a) > 1 else _scroll_page(a)


def _scroll_point(a: Arguments) -> AgentAction:
    if len(a) < 2:
        return _scroll_page(a)
    x, y = a.point(1)
    return wire.HoverAndScrollCoords(x=x, y=y, direction=_direction(a))


def _wait(a: Arguments) -> AgentAction:
    seconds = a.number(0) if len(a) else 1.0
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise FormatError(f"wait takes 0 to {LONGEST_WAIT_S} seconds, found {seconds:g}")
    return wire.Sleep(duration=seconds)


def _address(a: Arguments) -> str:
    url = a.text(0).strip()
    if not url or len(url) > 8_000:
        raise FormatError(f'{a.verb} takes an address such as "https://example.com/"')
    return url if "://" in url or url.startswith("about:") else f"https://{url}"


def _tab(a: Arguments) -> AgentAction:
    number = a.integer(0)
    if not 1 <= number <= 100:
        raise FormatError(f"tab: tabs are numbered from 1, found {str(number)[:20]}")
    return wire.SwitchTab(index=number - 1)


PRESS = Verb("press", ("keys",), 'press a key or a chord, such as "Enter" or "Control+a"', _press)
SCROLL = Verb("scroll", ("direction",), 'scroll the page: "up" or "down"', _scroll_page)
BACK = Verb("back", (), "go back in history", lambda a: wire.Back())
WAIT = Verb("wait", (), "wait a second", _wait)
ANSWER = Verb(
    "answer",
    ("text",),
    "finish, with the answer if the task asks for one",
    lambda a: Answer(text=a.text(0) if len(a) else ""),
    optional=1,
)
SHARED: Verbs = (
    BACK,
    Verb("forward", (), "go forward in history", lambda a: wire.Forward()),
    Verb("reload", (), "load the page again", lambda a: wire.Reload()),
    Verb("navigate", ("url",), "open an address", lambda a: wire.VisitPage(url=_address(a))),
    Verb("tab", ("number",), "go to another tab, counted from 1", _tab),
    Verb("new_tab", ("url",), "open an address in a new tab", lambda a: wire.OpenTab(url=_address(a))),
    Verb("close_tab", (), "close the tab", lambda a: wire.CloseTab()),
    Verb("wait", ("seconds",), "wait a second, or as many as you say", _wait, optional=1),
    ANSWER,
)
MARKS: Verbs = (
    Verb("click", ("id",), "click element id", _click_id()),
    Verb("type", ("id", "text"), "replace the content of text field id", _fill_id),
    Verb(
        "select",
        ("id", "label"),
        "choose an option of list id",
        lambda a: wire.SelectOption(id=a.mark(0), label=a.text(1)),
    ),
    Verb("hover", ("id",), "move the mouse over element id", lambda a: wire.HoverId(id=a.mark(0))),
)
POINTS: Verbs = (
    Verb("click", ("x", "y"), "click a point", _click_point()),
    Verb("type", ("x", "y", "text"), "click a text field at a point and replace its content", _fill_point),
    Verb("hover", ("x", "y"), "move the mouse to a point", _hover_point),
)
MARKS_FULL: Verbs = (
    Verb(
        "unselect",
        ("id", "label"),
        "take an option of list id away",
        lambda a: wire.SelectOption(id=a.mark(0), label=a.text(1), selected=False),
    ),
    Verb("double_click", ("id",), "click element id twice", _click_id(clicks=2)),
    Verb("right_click", ("id",), "click element id with the right button", _click_id("right")),
    Verb("drag", ("id", "to_id"), "drag element id onto element to_id", _drag_id),
    Verb("drag_by", ("id", "right", "down"), "drag element id by so many pixels, negative to go left or up", _drag_by),
    Verb(
        "upload",
        ("id", "files"),
        "give files to element id, names separated by commas",
        lambda a: wire.Upload(id=a.mark(0), files=_files(a.text(1))),
    ),
)
POINTS_FULL: Verbs = (
    Verb("select", ("x", "y", "label"), "choose an option of the list at a point", _select_point(selected=None)),
    Verb("unselect", ("x", "y", "label"), "take an option of the list at a point away", _select_point(selected=False)),
    Verb("double_click", ("x", "y"), "click a point twice", _click_point(clicks=2)),
    Verb("right_click", ("x", "y"), "click a point with the right button", _click_point("right")),
    Verb("drag", ("x", "y", "to_x", "to_y"), "drag from one point to another", _drag),
    Verb("upload", ("x", "y", "files"), "give files to what lies at a point, names separated by commas", _upload_point),
)
BRIEF: dict[InteractionMode, Verbs] = {
    "set_of_marks": (*MARKS, PRESS, SCROLL, BACK, WAIT, ANSWER),
    "coordinates": (*POINTS, PRESS, SCROLL, BACK, WAIT, ANSWER),
}
FULL: dict[InteractionMode, Verbs] = {
    "set_of_marks": (
        *MARKS,
        *MARKS_FULL,
        PRESS,
        Verb("scroll", ("direction", "id"), 'scroll the page "up" or "down", or element id', _scroll_id, optional=1),
        *SHARED,
    ),
    "coordinates": (
        *POINTS,
        *POINTS_FULL,
        PRESS,
        Verb(
            "scroll",
            ("direction", "x", "y"),
            'scroll the page "up" or "down", or what lies at a point',
            _scroll_point,
            optional=2,
        ),
        *SHARED,
    ),
}
