"""One trajectory as one HTML file: pictures inside, no script, no address that is fetched.

Pages, models and task files wrote most of its texts: Jinja2 escapes each, none becomes a link, and the file's own content
policy (CSP Level 3, in a `meta` element) allows nothing but the one style sheet by its hash, and data URIs as images.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from agent.types import AgentAction, Step, Trajectory
from agent.verdict import Verdict
from browser_service.models import Observation
from storage.sharing.picture import Pictures

MOST_PICTURE_BYTES = 40_000_000
"""Bytes of all pictures in base64; later ones are left out, which the file tells."""
LONGEST_TEXT = 20_000
"""Characters of one text; longer ones are cut, which the file tells."""
HERE = Path(__file__).parent
STYLE = (HERE / "page.css").read_text()


class Shot(NamedTuple):
    """A page as it was seen, with what the agent chose on it. Lengths are CSS pixels of the page."""

    name: str
    """Element id of the picture; empty when there is none."""
    data: str
    """Data URI; empty when an earlier step has the same picture, or when there is none."""
    problem: str
    width: int
    height: int
    boxes: list[tuple[float, float, float, float]]
    """Outlines (x, y, width, height) of the chosen elements."""
    points: list[tuple[float, float]]
    """Positions of the pointer, in order."""


def trajectory_file(
    trajectory: Trajectory,
    verdict: Verdict | None,
    picture: Callable[[str], bytes],
    *,
    most_bytes: int = MOST_PICTURE_BYTES,
) -> bytes:
    """The file's content. `picture` returns the bytes of a hash (`TrajectoryStore.image`).

    A picture that is damaged, missing, in another format, or beyond `most_bytes` is left out with a sentence in its place.
    """
    pictures = Pictures(picture, most_bytes)
    shots = [_shot(step.observation, step.action, pictures) for step in trajectory.steps]
    final = trajectory.final_observation
    html = _template().render(
        trajectory=trajectory,
        verdict=verdict,
        outcome=_outcome(trajectory, verdict),
        steps=list(zip(trajectory.steps, shots, strict=True)),
        final=final and (final, _shot(final, None, pictures)),
        final_state=json.dumps(trajectory.final_state, indent=2, ensure_ascii=False),
        left_out=pictures.left_out,
        style=Markup(STYLE),  # this file's neighbour; the hash in the policy is of these characters
        style_hash=base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode(),
    )
    return html.encode(errors="replace")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cut": _cut, "values": _values, "target": _target}
    return environment.get_template("page.html.jinja")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"


def _values(action: AgentAction) -> list[tuple[str, str]]:
    """The fields of an action as texts. Example: `[("id", "3"), ("clicks", "1")]`."""
    fields = action.model_dump(mode="json", exclude={"kind"}, exclude_none=True)
    texts = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items())
    return [(name, _cut(text)) for name, text in texts]


def _target(step: Step) -> str:
    """Role and name of the chosen element. Example: `button "ok"`."""
    chosen = getattr(step.action, "id", None)
    return next((f'{mark.role} "{_cut(mark.name)}"' for mark in step.observation.marks if mark.id == chosen), "")


def _shot(seen: Observation, action: AgentAction | None, pictures: Pictures) -> Shot:
    size = seen.viewport.width, seen.viewport.height
    if seen.screenshot is None:
        return Shot("", "", "no picture was taken", *size, [], [])
    data, problem = "", ""
    if not pictures.name(seen.screenshot.sha256):
        data, problem = pictures.embed(seen.screenshot.sha256)
    chosen = {getattr(action, name, None) for name in ("id", "to_id")} - {None}
    boxes = [(m.box.x, m.box.y, m.box.width, m.box.height) for m in seen.marks if m.id in chosen]
    return Shot(pictures.name(seen.screenshot.sha256), data, problem, *size, boxes, list(_points(action)))


def _points(action: AgentAction | None) -> Iterator[tuple[float, float]]:
    for x, y in (("x", "y"), ("to_x", "to_y")):
        if isinstance(found := getattr(action, x, None), int | float):
            yield float(found), float(getattr(action, y))


def _outcome(trajectory: Trajectory, verdict: Verdict | None) -> str:
    if verdict is not None and verdict.reward is not None:
        return "success" if verdict.reward >= 1 else "no success"
    return "broken" if trajectory.failure is not None else "not judged"
