"""The full grammar: both syntaxes give the same typed actions, and whatever is no action is a sentence for the model."""

import json
from typing import Any

import pytest
from hostile import values
from hypothesis import given
from hypothesis import strategies as st

from agent.parsing import FormatError, grammar, parse_full
from agent.parsing.verbs import FULL
from agent.profiles import PROFILES
from agent.prompting.wording import Grid, render
from agent.types import AgentAction, Answer
from browser_service import models as wire
from browser_service.models import InteractionMode, Viewport

VIEWPORT = Viewport(width=1280, height=768)
CALLS, TOOLS = PROFILES["generic"], PROFILES["qwen3-instruct"]


def tool(**arguments: Any) -> str:
    return f"I act.\n<tool_call>\n{json.dumps({'name': 'browser', 'arguments': arguments})}\n</tool_call>"


@pytest.mark.parametrize(
    ("mode", "call", "arguments", "action"),
    [
        ("set_of_marks", "click(3)", {"action": "click", "id": 3}, wire.ClickId(id=3)),
        ("set_of_marks", "double_click(3)", {"action": "double_click", "id": 3}, wire.ClickId(id=3, clicks=2)),
        ("set_of_marks", "right_click(id=3)", {"action": "right_click", "id": 3}, wire.ClickId(id=3, button="right")),
        (
            "set_of_marks",
            'scroll("left", 4)',
            {"action": "scroll", "direction": "left", "id": 4},
            wire.ScrollId(id=4, direction="left"),
        ),
        ("set_of_marks", 'scroll("up")', {"action": "scroll", "direction": "up"}, wire.PageUp(full_page=True)),
        ("set_of_marks", "go_back()", {"action": "go_back"}, wire.Back()),
        ("set_of_marks", "forward()", {"action": "forward"}, wire.Forward()),
        ("set_of_marks", "reload()", {"action": "reload"}, wire.Reload()),
        (
            "set_of_marks",
            'navigate("http://a.test/x")',
            {"action": "navigate", "url": "http://a.test/x"},
            wire.VisitPage(url="http://a.test/x"),
        ),
        ("set_of_marks", 'goto("a.test")', {"action": "goto", "url": "a.test"}, wire.VisitPage(url="https://a.test")),
        ("set_of_marks", "tab(2)", {"action": "tab", "number": 2}, wire.SwitchTab(index=1)),
        (
            "set_of_marks",
            'new_tab("http://a.test/")',
            {"action": "new_tab", "url": "http://a.test/"},
            wire.OpenTab(url="http://a.test/"),
        ),
        ("set_of_marks", "close_tab()", {"action": "close_tab"}, wire.CloseTab()),
        ("set_of_marks", "wait(2.5)", {"action": "wait", "seconds": 2.5}, wire.Sleep(duration=2.5)),
        ("set_of_marks", "wait()", {"action": "wait"}, wire.Sleep(duration=1.0)),
        (
            "set_of_marks",
            'press("Control+a")',
            {"action": "press", "keys": ["Control", "a"]},
            wire.Keypress(keys=["Control", "a"]),
        ),
        ("set_of_marks", 'answer("42")', {"action": "answer", "text": "42"}, Answer(text="42")),
        (
            "coordinates",
            "left_click(500, 250)",
            {"action": "left_click", "coordinate": [500, 250]},
            wire.ClickCoords(x=640, y=192),
        ),
        (
            "coordinates",
            "click(500, 250)",
            {"action": "click", "coordinate": [450, 200, 550, 300]},
            wire.ClickCoords(x=640, y=192),
        ),
        (
            "coordinates",
            "drag(0, 0, 500, 250)",
            {"action": "drag", "coordinate": [0, 0], "to": [500, 250]},
            wire.Drag(x=0, y=0, to_x=640, to_y=192),
        ),
        (
            "coordinates",
            'scroll("right", 500, 250)',
            {"action": "scroll", "direction": "right", "x": 500, "y": 250},
            wire.HoverAndScrollCoords(x=640, y=192, direction="right"),
        ),
        (
            "coordinates",
            'type(500, 250, "ann")',
            {"action": "type", "coordinate": [500, 250], "content": "ann"},
            wire.FillCoords(x=640, y=192, value="ann", press_enter=False, delete_existing=True),
        ),
    ],
)
def test_both_syntaxes_say_the_same(
    mode: InteractionMode, call: str, arguments: dict[str, Any], action: AgentAction
) -> None:
    assert parse_full(f"Reason.\nAction: {call}", mode, VIEWPORT, CALLS) == action
    assert parse_full(tool(**arguments), mode, VIEWPORT, TOOLS) == action


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("click(3)", "no tool call"),
        ("<tool_call>{</tool_call>", "no JSON"),
        ("<tool_call>[1]</tool_call>", 'no "name"'),
        ('<tool_call>{"name": "browser", "arguments": {}}</tool_call>', '"action"'),
        ('<tool_call>{"name": "browser", "arguments": 3}</tool_call>', "must be an object"),
        (tool(action="fly"), "no action 'fly'; use click"),
        (tool(action="click"), "takes 1 arguments, found 0"),
        (tool(action="click", id="3"), "whole number"),
        (tool(action="click", id=0), "numbered from 1"),
        (tool(action="click", id=10**30), "numbered from 1|whole number"),
        (tool(action="click", id=3, x=4), "no argument 'x'"),
        (tool(action="scroll", id=3), "direction is missing"),
        (tool(action="click", id={"a": 1}), "must be a number or text"),
        (tool(action="wait", seconds=float("nan")), "0 to 30"),
        (tool(action="wait", seconds=1e9), "0 to 30"),
        (tool(action="click", id=1) + tool(action="click", id=2), "2 tool calls"),
        ("<tool_call>" + "[" * 11_000, "no JSON"),
        ("<tool_call>" + "a" * 100_000, "characters"),
    ],
)
def test_what_is_no_tool_call_is_a_sentence(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        parse_full(text, "set_of_marks", VIEWPORT, TOOLS)


def test_points_outside_the_grid_are_refused_with_the_grid() -> None:
    with pytest.raises(FormatError, match="from 0 to 1000, found 1280 and 5"):
        parse_full(tool(action="click", coordinate=[1280, 5]), "coordinates", VIEWPORT, TOOLS)
    with pytest.raises(FormatError, match=r"too large|from 0 to 1000"):
        parse_full(f"click({10**400}, 1)", "coordinates", VIEWPORT, CALLS)


def test_a_fenced_or_bare_object_is_taken_too() -> None:
    body = json.dumps({"name": "click", "arguments": json.dumps({"id": 3})})
    for text in (body, f"So:\n```json\n{body}\n```", f"<tool_call>{body}"):
        assert parse_full(text, "set_of_marks", VIEWPORT, TOOLS) == wire.ClickId(id=3)


@given(st.text(st.characters(exclude_categories=()), max_size=200) | values)
def test_nothing_but_an_action_or_a_format_error_comes_out(content: Any) -> None:
    texts = [content] if isinstance(content, str) else []
    texts += [f"<tool_call>{json.dumps(content)}</tool_call>", tool(action=content), tool(action="click", id=content)]
    for text in texts:
        for mode in FULL:
            for profile in (CALLS, TOOLS):
                try:
                    parse_full(text, mode, VIEWPORT, profile)
                except FormatError as error:
                    assert str(error)


@given(st.floats(0, 1279), st.floats(0, 767))
def test_points_in_the_grid_are_read_back(x: float, y: float) -> None:
    reported = render(wire.ClickCoords(x=x, y=y), Grid(1_000, VIEWPORT))
    again = parse_full(reported, "coordinates", VIEWPORT, CALLS)
    assert isinstance(again, wire.ClickCoords)
    assert abs(again.x - x) <= 0.64 + 1e-6  # half a line of the grid
    assert abs(again.y - y) <= 0.384 + 1e-6


@pytest.mark.parametrize("mode", FULL)
def test_every_verb_is_described_in_both_syntaxes(mode: InteractionMode) -> None:
    schema = json.loads(grammar(mode, TOOLS))["function"]["parameters"]["properties"]
    for verb in FULL[mode]:
        assert f"{verb.name}(" in grammar(mode, CALLS)
        assert verb.name in schema["action"]["enum"]
        assert set(verb.parameters) <= set(schema)
