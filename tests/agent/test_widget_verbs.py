"""The verbs for widgets - drag, select, unselect, upload: offered, read and told alike by each profile, mode and vendor's tool."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent.config import AgentConfig
from agent.models.anthropic_computer import AnthropicComputerTranslator
from agent.models.computer import Said
from agent.models.gemini_computer import GeminiComputerTranslator
from agent.models.openai_computer import OpenAIComputerTranslator
from agent.models.tool_arguments import View
from agent.parsing import FormatError, grammar, parse_brief, parse_full
from agent.profiles import PROFILES, Profile
from agent.prompting.prompts import compose
from agent.prompting.wording import Grid, render
from agent.types import AgentAction
from browser_service import models as wire
from browser_service.models import InteractionMode, Observation, Viewport

VIEWPORT = Viewport(width=1000, height=1000)
VERBS: dict[InteractionMode, dict[str, tuple[dict[str, Any], AgentAction]]] = {
    "set_of_marks": {
        "drag": ({"id": 3, "to_id": 7}, wire.DragId(id=3, to_id=7)),
        "drag_by": ({"id": 3, "right": -80, "down": 0}, wire.DragId(id=3, dx=-80, dy=0)),
        "select": ({"id": 3, "label": "Two, or more"}, wire.SelectOption(id=3, label="Two, or more")),
        "unselect": ({"id": 3, "label": "Two"}, wire.SelectOption(id=3, label="Two", selected=False)),
        "upload": ({"id": 3, "files": "a.txt, sub/b.txt"}, wire.Upload(id=3, files=["a.txt", "sub/b.txt"])),
    },
    "coordinates": {
        "drag": ({"x": 1, "y": 2, "to_x": 3, "to_y": 4}, wire.Drag(x=1, y=2, to_x=3, to_y=4)),
        "select": ({"x": 1, "y": 2, "label": "Two"}, wire.SelectCoords(x=1, y=2, label="Two")),
        "unselect": ({"x": 1, "y": 2, "label": "Two"}, wire.SelectCoords(x=1, y=2, label="Two", selected=False)),
        "upload": ({"x": 1, "y": 2, "files": "a.txt, sub/b.txt"}, wire.UploadCoords(x=1, y=2, files=["a.txt", "sub/b.txt"])),
    },
}  # fmt: skip
CASES = [(mode, name, *case) for mode, verbs in VERBS.items() for name, case in verbs.items()]
Read = Callable[[str, dict[str, Any]], Said]
VIEW = View(VIEWPORT, 1000, 1000, pointer=(0, 0))


def spoken(profile: Profile, name: str, arguments: dict[str, Any]) -> str:
    if profile.syntax == "tool_call":
        call = json.dumps({"name": "browser", "arguments": {"action": name, **arguments}})
        return f"<tool_call>{call}</tool_call>"
    return f"Action: {name}({', '.join(json.dumps(value) for value in arguments.values())})"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize(("mode", "name", "arguments", "action"), CASES)
def test_each_profile_offers_and_reads_them(
    profile: Profile, mode: InteractionMode, name: str, arguments: dict[str, Any], action: AgentAction
) -> None:
    assert f"{name}(" in grammar(mode, profile)
    assert parse_full(spoken(profile, name, arguments), mode, VIEWPORT, profile) == action


@pytest.mark.parametrize(("mode", "name", "arguments", "action"), CASES)
def test_what_was_done_is_described_in_words_that_are_read_back(
    mode: InteractionMode, name: str, arguments: dict[str, Any], action: AgentAction
) -> None:
    reported = render(action, Grid(1000, VIEWPORT) if mode == "coordinates" else None)
    assert parse_full(reported, mode, VIEWPORT, PROFILES["generic"]) == action


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", VERBS)
def test_the_prompt_of_each_profile_names_them(profile: Any, mode: InteractionMode) -> None:
    config = AgentConfig(interaction_mode=mode, profile=profile, screenshot=False)
    page = Observation(url="http://a/", title="A", viewport=VIEWPORT)
    system = str(compose("Sort the list.", [], page, config).messages[0]["content"])
    assert all(f"{name}(" in system for name in VERBS[mode])


@pytest.mark.parametrize("mode", VERBS)
def test_the_small_grammar_has_select_by_mark_and_no_more(mode: InteractionMode) -> None:
    for name, (arguments, action) in VERBS[mode].items():
        text = spoken(PROFILES["generic"], name, arguments)
        if (mode, name) == ("set_of_marks", "select"):
            assert parse_brief(text, mode, VIEWPORT) == action
        else:
            with pytest.raises(FormatError, match=f"no action '{name}'; use click"):
                parse_brief(text, mode, VIEWPORT)


@pytest.mark.parametrize(
    "call",
    ['upload(3, "")', 'upload(3, " , ")', f'upload(3, "{",".join("a" * 21)}")', "drag_by(3, 5000, 0)", "drag(3)", "drag(3, 0)"],
)  # fmt: skip
def test_what_can_not_be_done_is_a_sentence(call: str) -> None:
    with pytest.raises(FormatError, match=r"takes|numbered from 1"):
        parse_full(call, "set_of_marks", VIEWPORT, PROFILES["generic"])


def openai(name: str, arguments: dict[str, Any]) -> Said:
    call = {"type": "computer_call", "call_id": "1", "actions": [{"type": name, **arguments}]}
    return OpenAIComputerTranslator("m").read({"output": [call]}, VIEW)


def gemini(name: str, arguments: dict[str, Any]) -> Said:
    part = {"function_call": {"name": name, "args": arguments}}
    return GeminiComputerTranslator("m").read({"candidates": [{"content": {"parts": [part]}}]}, VIEW)


def anthropic(name: str, arguments: dict[str, Any]) -> Said:
    use = {"type": "tool_use", "id": "1", "name": "computer", "input": {"action": name, **arguments}}
    return AnthropicComputerTranslator("m", "computer_20251124").read({"content": [use]}, VIEW)


@pytest.mark.parametrize(
    ("read", "name", "arguments"),
    [
        (openai, "drag", {"path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}),
        (gemini, "drag_and_drop", {"start_x": 1, "start_y": 2, "end_x": 3, "end_y": 4}),
        (anthropic, "left_click_drag", {"start_coordinate": [1, 2], "coordinate": [3, 4]}),
    ],
)
def test_each_vendors_drag_is_the_hands(read: Read, name: str, arguments: dict[str, Any]) -> None:
    (move,) = read(name, arguments).moves
    assert move.action == wire.Drag(x=1, y=2, to_x=3, to_y=4)


@pytest.mark.parametrize("read", [openai, gemini, anthropic])
@pytest.mark.parametrize("name", ["select", "unselect", "upload", "drag_by"])
def test_a_vendors_tool_has_no_more_verbs_and_says_so(read: Read, name: str) -> None:
    (move,) = read(name, {"x": 1, "y": 2, "label": "Two", "files": "a.txt"}).moves
    assert move.action is None and "there is no" in move.error and name in move.error
