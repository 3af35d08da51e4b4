"""Spaces of a Gymnasium agent, and conversions between their members and the types of `agent.types`.

seen    {"screenshot": uint8 (height, width, 3), "goal": text, "url": text, "marks": JSON list of elements}
said    JSON of an action: '{"kind": "click_id", "id": 3}'; every kind is in browser_service/models/actions.py, and `answer`
"""

import io
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from agent.types import AgentAction, Turn
from browser_service.models import ClickCoords, Mark, Observation, Viewport

GOAL_LENGTH, URL_LENGTH, MARKS_LENGTH, ACTION_LENGTH = 32_768, 8_192, 262_144, 65_536
"""Lengths in characters. A longer goal or address is cut; elements beyond the length are left out; `info` has
everything."""

_ACTION: TypeAdapter[AgentAction] = TypeAdapter(AgentAction)
_MARKS: TypeAdapter[list[Mark]] = TypeAdapter(list[Mark])


class AnyText(spaces.Text):
    """Text of any characters up to a length: pages use all scripts, and `Text` needs a list of its characters."""

    def contains(self, x: Any) -> bool:
        """True for a text of a fitting length."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    @property
    def is_np_flattenable(self) -> bool:
        """False: there is no list of characters to number."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.min_length}, {self.max_length})"


class ActionText(AnyText):
    """Actions as JSON. A sample is a click at a random point: random letters would never be an action."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(ACTION_LENGTH)
        self._viewport = viewport

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A click at a random point. Raises ValueError for a mask or a probability."""
        if mask is not None or probability is not None:
            raise ValueError("expected no mask and no probability: actions are not sampled by characters")
        width, height = self._viewport.width, self._viewport.height
        return click(int(self.np_random.integers(width)), int(self.np_random.integers(height)))


def observation_space(viewport: Viewport) -> spaces.Dict:
    """The observation space for pages of this size."""
    return spaces.Dict(
        {
            "screenshot": spaces.Box(0, 255, (viewport.height, viewport.width, 3), np.uint8),
            "goal": AnyText(GOAL_LENGTH, min_length=0),
            "url": AnyText(URL_LENGTH, min_length=0),
            "marks": AnyText(MARKS_LENGTH, min_length=2),
        }
    )


def seen(goal: str, observation: Observation, picture: bytes) -> dict[str, Any]:
    """A member of the observation space, in newly allocated memory."""
    return {
        "screenshot": pixels(picture),
        "goal": goal[:GOAL_LENGTH],
        "url": observation.url[:URL_LENGTH],
        "marks": _marks_text(observation.marks),
    }


def pixels(picture: bytes) -> NDArray[np.uint8]:
    """Decodes a picture into a new array, (height, width, 3)."""
    return np.array(Image.open(io.BytesIO(picture)).convert("RGB"))


def read_marks(text: str) -> list[Mark]:
    """The elements of an observation's `marks`. Example: `[mark.id for mark in read_marks(observation["marks"])]`."""
    return _MARKS.validate_json(text)


def say(action: AgentAction) -> str:
    """An action as text. Example: `say(ClickId(id=3))`."""
    return action.model_dump_json()


def click(x: float, y: float) -> str:
    """A click at a point in CSS pixels, which are the pixels of the screenshot."""
    return say(ClickCoords(x=x, y=y))


def turn_of(said: str | AgentAction | Turn) -> Turn:
    """Turns the agent's output into a turn: text that is no action gives one with a format error as feedback."""
    if isinstance(said, Turn):
        return said
    if not isinstance(said, str):
        return Turn(completion=None, action=said)
    try:
        return Turn(completion=None, action=_ACTION.validate_json(said))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        return Turn(completion=None, action=None, format_error=f"expected an action as JSON: {problem}"[:300])


def _marks_text(marks: list[Mark]) -> str:
    """The first elements, as many as fit the space."""
    fitting = marks
    while len(text := _MARKS.dump_json(fitting, exclude_defaults=True).decode()) > MARKS_LENGTH:
        fitting = fitting[: len(fitting) // 2]
    return text
