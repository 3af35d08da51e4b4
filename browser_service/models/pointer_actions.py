"""The actions of the pointer: clicks, drags, hovering, scrolling and choosing; `models.actions` has the union."""

from typing import Annotated, Literal

from pydantic import Field

from browser_service.models.wire import Button, Coordinate, Direction, Held, MarkId, Text, Wire


class ClickCoords(Wire):
    """Click a point of the viewport. A double click: `{"kind": "click_coords", "x": 5, "y": 5, "clicks": 2}`."""

    kind: Literal["click_coords"] = "click_coords"
    x: Coordinate
    y: Coordinate
    button: Button = "left"
    clicks: Annotated[int, Field(ge=1, le=3)] = 1
    hold: Held = []


class ClickId(Wire):
    """Click a marked element. Example: `{"kind": "click_id", "id": 3}`."""

    kind: Literal["click_id"] = "click_id"
    id: MarkId
    button: Button = "left"
    clicks: Annotated[int, Field(ge=1, le=3)] = 1


RestSeconds = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class Drag(Wire):
    """Press the left button at one point, move as a hand does, rest for a moment, and let go at another.

    `rest_s`: seconds to rest longer over the goal, where something opens under what is held.
    """

    kind: Literal["drag"] = "drag"
    x: Coordinate
    y: Coordinate
    to_x: Coordinate
    to_y: Coordinate
    hold: Held = []
    rest_s: RestSeconds = 0.0


class DragId(Wire):
    """Drag a marked element onto another one, or by an offset in CSS pixels.

    Examples: `{"kind": "drag_id", "id": 3, "to_id": 7}`, `{"kind": "drag_id", "id": 3, "dx": 80}`.
    """

    kind: Literal["drag_id"] = "drag_id"
    id: MarkId
    to_id: MarkId | None = None
    dx: Annotated[float, Field(ge=-4_096, le=4_096, allow_inf_nan=False)] = 0.0
    dy: Annotated[float, Field(ge=-4_096, le=4_096, allow_inf_nan=False)] = 0.0
    rest_s: RestSeconds = 0.0


class MouseDown(Wire):
    """Press a mouse button at a point and hold it."""

    kind: Literal["mouse_down"] = "mouse_down"
    x: Coordinate
    y: Coordinate
    button: Button = "left"


class MouseUp(Wire):
    """Let a held mouse button go at a point."""

    kind: Literal["mouse_up"] = "mouse_up"
    x: Coordinate
    y: Coordinate
    button: Button = "left"


class SelectOption(Wire):
    """Choose a marked `<option>` (OmniBoxes: the option's own mark), or the option labelled `label` of a marked `<select>`.

    `selected`: False takes one of several choices away. None: an option that is marked itself changes its state where
    several can be chosen, as a click with Control does; otherwise it is chosen.
    """

    kind: Literal["select_option"] = "select_option"
    id: MarkId
    label: Text | None = None
    selected: bool | None = None


class SelectCoords(Wire):
    """Choose the option labelled `label` of the `<select>` at a point. `selected`: False takes one of several away."""

    kind: Literal["select_coords"] = "select_coords"
    x: Coordinate
    y: Coordinate
    label: Text
    selected: bool | None = None


class HoverCoords(Wire):
    """Move the mouse to a point."""

    kind: Literal["hover_coords"] = "hover_coords"
    x: Coordinate
    y: Coordinate
    hold: Held = []


class HoverId(Wire):
    """Move the mouse to the centre of a marked element."""

    kind: Literal["hover_id"] = "hover_id"
    id: MarkId


class HoverAndScrollCoords(Wire):
    """Move the mouse to a point and turn the wheel there."""

    kind: Literal["hover_and_scroll_coords"] = "hover_and_scroll_coords"
    x: Coordinate
    y: Coordinate
    direction: Direction = "down"


class ScrollId(Wire):
    """Scroll a marked scrollable element by its own visible size."""

    kind: Literal["scroll_id"] = "scroll_id"
    id: MarkId
    direction: Direction = "down"


class ScrollCoords(Wire):
    """Turn the wheel at a point by CSS pixels: positive values go right and down."""

    kind: Literal["scroll_coords"] = "scroll_coords"
    x: Coordinate
    y: Coordinate
    dx: Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)] = 0.0
    dy: Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)] = 0.0
    hold: Held = []
