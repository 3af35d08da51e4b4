"""Foreign records -> our nouns: safe ids, pictures by their hash, actions with the words in which they were recorded."""

import hashlib
import io
import re
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from agent.types import AgentAction, Answer, Completion, Step, StopReason, Task, Trajectory
from browser_service.models import Observation, Observe, Screenshot, Viewport

LONGEST_ID = 120
LONGEST_TEXT = 50_000
"""Characters of a page's text that are kept."""
LONGEST_ANSWER = 10_000
MOST_PIXELS = 100_000_000
"""Larger pictures are no screenshots."""
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


class Unreadable(ValueError):
    """A record that is no trajectory. The message is a reason for a `Problem`."""


def id_from(*parts: str) -> str:
    """An id that is a file name, from texts that may be any. Equal parts give equal ids, different ones different ids."""
    text = ".".join(parts)
    clean = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:LONGEST_ID]
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{clean or 't'}-{digest}"


def text_from(record: dict[str, Any], key: str, *, required: bool = False) -> str:
    """A text of a record, "" where there is none. Raises `Unreadable` for another type, or where it is required."""
    value = record.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise Unreadable(f"{key}: expected text, found {type(value).__name__ if value != '' else 'an empty one'}")
    return value.encode(errors="replace").decode()


def screenshot_of(data: bytes) -> Screenshot:
    """The reference to a picture. Raises `Unreadable` for bytes that are no PNG, JPEG or WebP of a possible size."""
    try:
        with Image.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES)) as image:
            width, height, kind = image.width, image.height, str(image.format)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise Unreadable(f"no picture: {' '.join(str(error).split())[:120]}") from error
    if width * height > MOST_PIXELS:
        raise Unreadable(f"a picture of {width} x {height} pixels is no screenshot")
    return Screenshot(sha256=hashlib.sha256(data).hexdigest(), media_type=MEDIA_TYPES[kind], width=width, height=height)


def page(*, url: str, shot: Screenshot | None, text: str = "") -> Observation:
    """A page as it was recorded; formats of judges' benchmarks keep no marks and no titles."""
    size = (
        Viewport(width=min(4_096, max(32, shot.width)), height=min(4_096, max(32, shot.height))) if shot else Viewport()
    )
    return Observation(url=url, title="", viewport=size, screenshot=shot, text=text[:LONGEST_TEXT] or None)


def action_or_look(make: type[Any] | None, **fields: Any) -> AgentAction:
    """The action, or `observe` where the fields do not fit one: the record has its words in the step's effect anyway."""
    if make is None:
        return Observe()
    try:
        return make(**fields)
    except ValidationError:
        return Observe()


def step(
    index: int, seen: Observation, action: AgentAction, *, words: str, thoughts: str = "", error: str = ""
) -> Step:
    """A recorded step. `words`: the action as the benchmark has it, which a judge is shown beside our own form."""
    return Step(
        index=index,
        observation=seen,
        completion=Completion(text=words, thoughts=thoughts),
        action=action,
        feedback=" ".join(error.split())[:300],
        effect=f"recorded as: {' '.join(words.split())[:500]}" if words else "",
    )


def trajectory(name: str, task: Task, steps: list[Step], *, last: Observation | None, answer: str | None) -> Trajectory:
    """A recorded episode."""
    return Trajectory(
        id=name,
        task=task,
        goal=task.goal,
        group=task.id,
        member=0,
        iteration=0,
        steps=tuple(steps),
        stop=StopReason.MAX_STEPS if answer is None else StopReason.ANSWERED,
        final_observation=last,
        answer=None if answer is None else answer[:LONGEST_ANSWER],
    )


def answer_action(text: str) -> Answer:
    """The agent's answer as an action."""
    return Answer(text=text[:LONGEST_ANSWER])
