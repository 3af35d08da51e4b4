"""Demonstrations: a reply that the parser reads back as the same action, and the prompt that a policy is asked with."""

import hashlib

import pytest

from agent.config import AgentConfig
from agent.parsing import parse_brief, parse_full
from agent.profiles import PROFILES
from agent.prompting.demonstrations import demonstrated, reply_of
from agent.replies import without_thinking
from agent.types import AgentAction, Answer, Step
from browser_service import models as wire
from browser_service.models import Mark, Observation, Screenshot, Viewport

VIEWPORT = Viewport(width=1280, height=720)
MARKS: list[AgentAction] = [
    wire.ClickId(id=3),
    wire.ClickId(id=3, clicks=2),
    wire.FillId(id=2, value='say "hi"\nthere', press_enter=False, delete_existing=True),
    wire.SelectOption(id=4, label="May"),
    wire.Keypress(keys=["Control", "a"]),
    wire.PageDown(full_page=True),
    wire.DragId(id=1, to_id=2),
    Answer(text="42 EUR"),
]
POINTS: list[AgentAction] = [wire.ClickCoords(x=640.4, y=359.7), wire.HoverCoords(x=10, y=20), Answer(text="")]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("action", [*MARKS, *POINTS])
def test_the_reply_of_a_full_prompt_is_read_back_as_the_action(profile: str, action: AgentAction) -> None:
    mode = "coordinates" if action in POINTS else "set_of_marks"
    config = AgentConfig.model_validate({"prompt": "full", "profile": profile, "interaction_mode": mode})
    reply = reply_of(action, VIEWPORT, config)
    assert reply is not None and reply.count("<tool_call>") == (PROFILES[config.profile].syntax == "tool_call")
    said = without_thinking(reply) if PROFILES[config.profile].thinks else reply
    found = parse_full(said, config.interaction_mode, VIEWPORT, PROFILES[config.profile])
    points = {"x", "y"} if mode == "coordinates" else set()
    assert found.model_dump(exclude=points) == action.model_dump(exclude=points)
    for name in points & set(type(action).model_fields):
        assert abs(getattr(found, name) - getattr(action, name)) <= 1


def test_the_reply_of_a_compact_prompt_is_the_call() -> None:
    config = AgentConfig(prompt="compact")
    assert reply_of(wire.ClickId(id=3), VIEWPORT, config) == "click(3)"
    typed = reply_of(MARKS[2], VIEWPORT, config)
    assert typed is not None and parse_brief(typed, "set_of_marks", VIEWPORT) == MARKS[2]


@pytest.mark.parametrize("action", [wire.FillId(id=2, value="x", press_enter=True), wire.ClickCoords(x=1, y=2)])
def test_an_action_that_no_reply_means_is_no_demonstration(action: AgentAction) -> None:
    assert reply_of(action, VIEWPORT, AgentConfig(prompt="full")) is None
    step = Step(index=0, observation=page(b"a"), completion=None, action=action)
    assert demonstrated("Go.", (), step, AgentConfig(prompt="full")) is None
    assert demonstrated("Go.", (), step.model_copy(update={"action": None}), AgentConfig()) is None


def page(data: bytes) -> Observation:
    shot = Screenshot(sha256=hashlib.sha256(data).hexdigest(), media_type="image/png", width=1280, height=720)
    box = wire.Box(x=0, y=0, width=10, height=10)
    return Observation(
        url="http://a/",
        title="A",
        viewport=VIEWPORT,
        screenshot=shot,
        marks=[Mark(id=3, role="button", name="ok", box=box)],
    )


def test_the_prompt_has_the_places_of_its_pictures_and_no_bytes() -> None:
    steps = [
        Step(index=number, observation=page(bytes([number])), completion=None, action=wire.ClickId(id=3))
        for number in range(3)
    ]
    config = AgentConfig(prompt="full", image_rounds=2)
    shown = demonstrated("Click ok.", steps[:2], steps[2], config)
    names = tuple(hashlib.sha256(bytes([number])).hexdigest() for number in range(3))
    assert shown is not None and shown.images == names
    parts = [part for message in shown.messages if isinstance(message["content"], list) for part in message["content"]]
    assert [part for part in parts if part["type"] != "text"] == [{"type": "image"}] * 3
    assert any('"ok" button' in part.get("text", "") for part in parts)
