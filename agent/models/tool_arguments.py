"""The arguments of a vendor's call, checked on access, and points converted from its space into the page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.models.keys import chord
from agent.types import AgentAction
from browser_service import models as wire
from browser_service.models import Keypress, Observation, Viewport

MAX_KEYS = 6
LONGEST_WAIT_S = 30.0
WHEEL_CLICK = 120
"""CSS pixels that Chromium scrolls for one click of the wheel."""
FAR = 100_000
LARGEST = 1e15
"""Largest number accepted in a call; infinity and NaN fail the comparison too."""
Point = tuple[float, float]


class BadCall(ValueError):
    """A call that can't be carried out. The message is a sentence for the model."""


class View(NamedTuple):
    """The model's view when it chose: the page's size, the picture's size, and the mouse position, in CSS pixels."""

    viewport: Viewport
    width: int
    height: int
    pointer: Point = (0.0, 0.0)

    @classmethod
    def of(cls, observation: Observation, pointer: Point) -> "View":
        """The view of an observation."""
        shot = observation.screenshot
        size = (shot.width, shot.height) if shot else (observation.viewport.width, observation.viewport.height)
        return cls(observation.viewport, *size, pointer)


class ToolArguments:
    """Arguments of one call. Every method raises `BadCall` for a value that is missing or of another type."""

    def __init__(self, name: str, values: Any, view: View, *, grid: int | None = None) -> None:
        """`grid` is the side of the vendor's coordinate grid; None when it uses pixels of the picture."""
        self.name, self.view, self._grid = name, view, grid
        self._values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        self.note = ""

    def has(self, name: str) -> bool:
        """True if the model gave this argument."""
        return self._values.get(name) is not None

    def number(self, *names: str, default: float | None = None) -> float:
        """The first given of the names, as a number."""
        value = self._first(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise BadCall(f"{self.name}: {names[0]} must be a number, found {value!r:.40}")
        return float(value)

    def text(self, *names: str, default: str | None = None) -> str:
        """The first given of the names, as text."""
        value = self._first(names, default)
        if not isinstance(value, str):
            raise BadCall(f"{self.name}: {names[0]} must be text, found {value!r:.40}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean; `default` for any other value."""
        value = self._values.get(name)
        return value if isinstance(value, bool) else default

    def point(self, x: str = "x", y: str = "y", *, or_x: str = "", or_y: str = "") -> Point:
        """A point from two arguments, in CSS pixels, moved into the page if it lies outside."""
        return self._inside(self.number(x, or_x), self.number(y, or_y))

    def pair(self, name: str, *, or_pointer: bool = False) -> Point:
        """A point from a list of two, or the mouse position."""
        value = self._values.get(name)
        if value is None and or_pointer:
            return self.view.pointer
        return self._inside(*self.numbers(name, 2))

    def numbers(self, name: str, count: int) -> list[float]:
        """A list of `count` numbers, in the vendor's units."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) != count:
            raise BadCall(f"{self.name}: {name} must be a list of {count} numbers, found {value!r:.60}")
        return [ToolArguments(self.name, {name: each}, self.view).number(name) for each in value]

    def path(self, name: str) -> list[Point]:
        """A list of points `{"x": .., "y": ..}`, at least two."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) < 2:
            raise BadCall(f"{self.name}: {name} must be a list of at least two points, found {value!r:.60}")
        points = [ToolArguments(self.name, each, self.view, grid=self._grid) for each in value]
        found = [point.point() for point in points]
        self.note = next((point.note for point in points if point.note), self.note)
        return found

    def chord(self, *names: str) -> Keypress:
        """A chord, written `ctrl+a` or as a list."""
        return Keypress(keys=self.keys(*names))

    def keys(self, *names: str) -> list[str]:
        """The keys of a chord."""
        value = self._first(names, None)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            keys = [one for each in value for one in chord(each)]
        else:
            keys = chord(self.text(*names))
        if not 1 <= len(keys) <= MAX_KEYS or any(len(each) > 32 for each in keys):
            raise BadCall(f"{self.name}: expected a key or a chord of at most {MAX_KEYS}, found {value!r:.60}")
        return keys

    def held_keys(self, name: str) -> list[str]:
        """Keys that are held during the action; none without such an argument."""
        return self.keys(name) if self._values.get(name) else []

    def seconds(self, *names: str, default: float) -> float:
        """Seconds to wait, at most `LONGEST_WAIT_S`."""
        return min(max(self.number(*names, default=default), 0.0), LONGEST_WAIT_S)

    def _first(self, names: tuple[str, ...], default: Any) -> Any:
        for name in names:
            if self._values.get(name) is not None:
                return self._values[name]
        if default is None:
            raise BadCall(f"{self.name}: {names[0]} is missing")
        return default

    def _inside(self, x: float, y: float) -> Point:
        across, down = (self._grid, self._grid) if self._grid else (self.view.width, self.view.height)
        width, height = self.view.viewport.width, self.view.viewport.height
        there = (x / across * width, y / down * height)
        here = (min(max(there[0], 0.0), width - 1.0), min(max(there[1], 0.0), height - 1.0))
        if not (0 <= x <= across and 0 <= y <= down):
            self.note = f"the point {x:g}, {y:g} lies outside the page and was moved to its edge"
        return here


def scrolled(direction: str, distance: float) -> Point:
    """A scroll as dx and dy in CSS pixels. Raises `BadCall` for a direction other than up, down, left, right."""
    distance = min(abs(distance), FAR)
    match direction.lower():
        case "down":
            return 0.0, distance
        case "up":
            return 0.0, -distance
        case "right":
            return distance, 0.0
        case "left":
            return -distance, 0.0
    raise BadCall(f"scroll: the direction must be up, down, left or right, found {direction[:20]!r}")


def address(url: str) -> str:
    """An address with its scheme. Raises `BadCall` for an empty or far too long one."""
    url = url.strip()
    if not url or len(url) > 8_000:
        raise BadCall(f"navigate: expected an address, found {url[:60]!r}")
    return url if "://" in url or url.startswith("about:") else f"https://{url}"


def where(action: AgentAction) -> Point | None:
    """The mouse position after an action, None when it is not known."""
    match action:
        case wire.Drag(to_x=x, to_y=y):
            return x, y
        case (
            wire.ClickCoords(x=x, y=y)
            | wire.FillCoords(x=x, y=y)
            | wire.SelectCoords(x=x, y=y)
            | wire.UploadCoords(x=x, y=y)
            | wire.HoverCoords(x=x, y=y)
            | wire.MouseDown(x=x, y=y)
            | wire.MouseUp(x=x, y=y)
            | wire.ScrollCoords(x=x, y=y)
            | wire.HoverAndScrollCoords(x=x, y=y)
        ):
            return x, y
    return None
