"""Actions and elements as text: for histories, demonstrations and element lists."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from agent.types import AgentAction, Answer
from browser_service import models as wire
from browser_service.models import Mark, Viewport


class Grid(NamedTuple):
    """Form of points: from 0 to `size` over the viewport. Without a grid they are in CSS pixels."""

    size: int
    viewport: Viewport

    def point(self, x: float, y: float) -> str:
        """A point in CSS pixels, as text in grid units. Example: `500, 250`."""
        return f"{round(x / self.viewport.width * self.size)}, {round(y / self.viewport.height * self.size)}"


def render(action: AgentAction, grid: Grid | None = None) -> str:
    """An action as text that the parser reads back. Example: `click(3)`; with a grid of 1000, `click(500, 250)`.

    Actions that only computer-use models have are written in the same style, though no grammar reads them.
    """
    match action:
        case Answer(text=text):
            return f"answer({_quoted(text)})"
        case wire.ClickId(id=id) | wire.FillId(id=id) | wire.SelectOption(id=id) | wire.HoverId(id=id):
            return _with_element(action, str(id))
        case wire.ScrollId(id=id, direction=direction):
            return f"scroll({_quoted(direction)}, {id})"
        case wire.Upload(id=id, files=files):
            return f"upload({id}, {_quoted(', '.join(files))})"
        case wire.DragId(id=id, to_id=None, dx=dx, dy=dy):
            return f"drag_by({id}, {dx:g}, {dy:g})"
        case wire.DragId(id=id, to_id=to_id):
            return f"drag({id}, {to_id})"
        case wire.Drag(x=x, y=y, to_x=to_x, to_y=to_y, hold=hold):
            return f"{_held(hold)}drag({_point(x, y, grid)}, {_point(to_x, to_y, grid)})"
        case (
            wire.ClickCoords(x=x, y=y)
            | wire.FillCoords(x=x, y=y)
            | wire.SelectCoords(x=x, y=y)
            | wire.UploadCoords(x=x, y=y)
            | wire.HoverCoords(x=x, y=y)
            | wire.MouseDown(x=x, y=y)
            | wire.MouseUp(x=x, y=y)
            | wire.HoverAndScrollCoords(x=x, y=y)
            | wire.ScrollCoords(x=x, y=y)
        ):
            return _with_point(action, _point(x, y, grid))
        case _:
            return _anywhere(action)


def describe(mark: Mark, *, star: bool = False) -> str:
    """One line about an element, with its number and name. Example: `[4] "yes" radio checked`, starred `[4]* ...`."""
    line = f'[{mark.id}]{"*" if star else ""} "{_one_line(mark.name)}" {mark.role}'
    if mark.value:
        line += f' = "{_one_line(mark.value)}"'
    if mark.checked:
        line += " checked"
    return line


def is_named(mark: Mark, goal: str) -> bool:
    """True if the instruction contains the element's name as whole words, in the same case."""
    return bool(mark.name) and re.search(rf"(?<!\w){re.escape(mark.name)}(?!\w)", goal) is not None


def _with_element(action: AgentAction, element: str) -> str:
    match action:
        case wire.ClickId(button=button, clicks=clicks):
            return f"{_click(button, clicks)}({element})"
        case wire.FillId(value=value):
            return f"type({element}, {_quoted(value)})"
        case wire.SelectOption(label=label, selected=selected):
            return f"{_select(selected)}({element}, {_quoted(label or '')})"
        case _:
            return f"hover({element})"


def _with_point(action: AgentAction, point: str) -> str:
    match action:
        case wire.ClickCoords(button=button, clicks=clicks, hold=hold):
            return f"{_held(hold)}{_click(button, clicks)}({point})"
        case wire.FillCoords(value=value):
            return f"type({point}, {_quoted(value)})"
        case wire.SelectCoords(label=label, selected=selected):
            return f"{_select(selected)}({point}, {_quoted(label)})"
        case wire.UploadCoords(files=files):
            return f"upload({point}, {_quoted(', '.join(files))})"
        case wire.HoverAndScrollCoords(direction=direction):
            return f"scroll({_quoted(direction)}, {point})"
        case wire.ScrollCoords(dx=dx, dy=dy, hold=hold):
            return f"{_held(hold)}scroll({point}, {dx:g}, {dy:g})"
        case wire.MouseDown() | wire.MouseUp():
            return f"{action.kind}({point})"
        case _:
            return f"hover({point})"


def _anywhere(action: AgentAction) -> str:
    match action:
        case wire.Keypress(keys=keys, duration=seconds):
            return f"press({_quoted('+'.join(keys))}{f', {seconds:g}' if seconds else ''})"
        case wire.KeyDown(keys=keys) | wire.KeyUp(keys=keys):
            return f"{action.kind}({_quoted('+'.join(keys))})"
        case wire.TypeText(value=value):
            return f"type({_quoted(value)})"
        case wire.PageDown():
            return 'scroll("down")'
        case wire.PageUp():
            return 'scroll("up")'
        case wire.VisitPage(url=url):
            return f"navigate({_quoted(url)})"
        case wire.OpenTab(url=url):
            return f"new_tab({_quoted(url)})"
        case wire.SwitchTab(index=index):
            return f"tab({index + 1})"
        case wire.Sleep(duration=seconds):
            return "wait()" if seconds == 1 else f"wait({seconds:g})"
        case _:  # back, forward, reload, close_tab, tab_and_enter, observe
            return f"{action.kind}()"


def _held(keys: Sequence[str]) -> str:
    return "".join(f"{key}+" for key in keys)


def _click(button: wire.Button, clicks: int) -> str:
    times = {1: "click", 2: "double_click", 3: "triple_click"}[clicks]
    return times if button == "left" else f"{button}_{times}"


def _select(selected: bool | None) -> str:
    return "unselect" if selected is False else "select"


def _point(x: float, y: float, grid: Grid | None) -> str:
    return grid.point(x, y) if grid else f"{x:g}, {y:g}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace('"', "'")[:120]
