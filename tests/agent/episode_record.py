"""An episode without a browser: pages with real pictures, and turns turned into steps as `agent.episodes.episode` does it."""

import base64
import hashlib
import io
from typing import Any

from PIL import Image

from agent.types import Policy, SafetyDecision, Step, Task, Turn
from browser_service.models import Observation, Screenshot, Viewport

VIEWPORT = Viewport(width=1280, height=800)
TASK = Task(id="t.1", environment="miniwob")


def picture(number: int, size: tuple[int, int] = (1280, 800)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (number * 7 % 256, 0, 0)).save(out, "PNG")
    return out.getvalue()


class EpisodeRecord:
    """An episode so far; `page` is the model's next page."""

    def __init__(self, size: tuple[int, int] = (1280, 800)) -> None:
        self.size = size
        self.steps: list[Step] = []
        self.pictures: dict[str, bytes] = {}
        self.page = self.look(0)

    def look(self, number: int) -> Observation:
        data = picture(number, self.size)
        sha256 = hashlib.sha256(data).hexdigest()
        self.pictures[sha256] = data
        shot = Screenshot(
            sha256=sha256,
            media_type="image/png",
            width=self.size[0],
            height=self.size[1],
            data=base64.b64encode(data).decode(),
        )
        return Observation(url=f"http://shop/{number}", title=f"Page {number}", viewport=VIEWPORT, screenshot=shot)

    async def ask(self, policy: Policy) -> Turn:
        return await policy.act(TASK, "Buy a lamp.", self.steps, self.page, self.pictures)

    def add(self, turn: Turn, *, feedback: str = "", safety: SafetyDecision | None = None) -> None:
        """The turn was carried out, failed with `feedback`, or was refused; the next page comes."""
        refused = safety is not None and safety.decision != "allowed"
        shot = self.page.screenshot
        assert shot is not None
        seen = self.page.model_copy(update={"screenshot": shot.model_copy(update={"data": None})})
        step: dict[str, Any] = {"action": None if refused else turn.action, "safety": safety}
        self.steps.append(
            Step(
                index=len(self.steps),
                observation=seen,
                completion=turn.completion,
                feedback=feedback or turn.format_error or ("refused" if refused else ""),
                effect="" if feedback or refused or turn.format_error else f"effect {len(self.steps)}",
                **step,
            )
        )
        if step["action"] is not None:
            self.page = self.look(len(self.steps))
