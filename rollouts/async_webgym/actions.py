"""Actions in WebGym's vocabulary: a key and its arguments, points in a grid of 1000 x 1000."""

from typing import Any, NamedTuple

from agent.types import AgentAction, Answer
from browser_service.models import Viewport
from browser_service.models.actions import Back, FillCoords, FillId, PageDown, PageUp, Sleep, TabAndEnter, VisitPage
from browser_service.models.pointer_actions import (
    ClickCoords,
    ClickId,
    HoverAndScrollCoords,
    HoverCoords,
    HoverId,
    ScrollCoords,
)


class WebGymAction(NamedTuple):
    """An action of WebGym. Example: `WebGymAction("click", {"coordinates": [500, 250]})`."""

    key: str
    arguments: dict[str, Any]

    def text(self) -> str:
        """The action in one line. Example: `click(coordinates=[500, 250])`."""
        return f"{self.key}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def webgym_action(action: AgentAction, viewport: Viewport) -> WebGymAction:
    """The action in WebGym's words; an action that WebGym lacks keeps its own kind as the key."""

    def at(x: float, y: float) -> list[int]:
        return [round(1_000 * x / viewport.width), round(1_000 * y / viewport.height)]

    match action:
        case Answer(text=text):
            return WebGymAction("answer", {"content": text})
        case ClickId(id=element):
            return WebGymAction("click", {"element_id": str(element)})
        case ClickCoords(x=x, y=y):
            return WebGymAction("click", {"coordinates": at(x, y)})
        case HoverId(id=element):
            return WebGymAction("hover", {"element_id": str(element)})
        case HoverCoords(x=x, y=y):
            return WebGymAction("hover", {"coordinates": at(x, y)})
        case FillId(id=element, value=value):
            return WebGymAction("type", {"element_id": str(element), "content": value})
        case FillCoords(x=x, y=y, value=value):
            return WebGymAction("type", {"coordinates": at(x, y), "text": value})
        case PageDown() | PageUp():
            return WebGymAction("scroll", {"direction": "down" if isinstance(action, PageDown) else "up"})
        case HoverAndScrollCoords(x=x, y=y, direction=direction):
            return WebGymAction("hover_and_scroll", {"coordinates": at(x, y), "direction": direction})
        case ScrollCoords(x=x, y=y, dy=dy):
            return WebGymAction("hover_and_scroll", {"coordinates": at(x, y), "direction": "down" if dy >= 0 else "up"})
        case Back():
            return WebGymAction("goback", {"goback_to": "last_page"})
        case VisitPage(url=url):
            return WebGymAction("navigate", {"url": url})
        case Sleep(duration=duration):
            return WebGymAction("wait", {"time": duration})
        case TabAndEnter():
            return WebGymAction("tabandenter", {})
        case _:
            return WebGymAction(action.kind, action.model_dump(exclude={"kind"}))
