"""BrowserGym's notation becomes actions of ours, or an error for the agent; nothing is evaluated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gym.browsergym import tree_of
from agent.gym.browsergym_actions import SIGNATURES, browsergym_turn
from browser_service.models import Box, Mark, Observation, Viewport

PAGE = Observation(
    url="http://a/",
    title="A",
    viewport=Viewport(width=400, height=300),
    marks=[
        Mark(id=3, role="checkbox", name="on", box=Box(x=0, y=0, width=9, height=9), checked=True),
        Mark(id=4, role="textbox", name="name", box=Box(x=0, y=20, width=9, height=9), value="Ann"),
    ],
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("click('3')", {"kind": "click_id", "id": 3}),
        ("click(bid='3', button='right')", {"kind": "click_id", "id": 3, "button": "right"}),
        ("dblclick('3')", {"kind": "click_id", "id": 3, "clicks": 2}),
        ("fill('4', 'Bob')", {"kind": "fill_id", "id": 4, "value": "Bob", "press_enter": False}),
        ("clear('4')", {"kind": "fill_id", "id": 4, "value": "", "delete_existing": True}),
        ("check('3')", {"kind": "observe"}),
        ("uncheck('3')", {"kind": "click_id", "id": 3}),
        ("select_option('4', 'blue')", {"kind": "select_option", "id": 4, "label": "blue"}),
        ("drag_and_drop('3', '4')", {"kind": "drag_id", "id": 3, "to_id": 4}),
        ("scroll(0, -200)", {"kind": "scroll_coords", "x": 200, "y": 150, "dy": -200}),
        ("mouse_click(5, 6.5)", {"kind": "click_coords", "x": 5, "y": 6.5}),
        ("mouse_drag_and_drop(1, 2, 3, 4)", {"kind": "drag", "x": 1, "y": 2, "to_x": 3, "to_y": 4}),
        ("scroll_at(5, 6, 0, 90)", {"kind": "scroll_coords", "x": 5, "y": 6, "dy": 90}),
        ("mouse_down(5, 6)", {"kind": "mouse_down", "x": 5, "y": 6}),
        ("keyboard_down('Shift')", {"kind": "key_down", "keys": ["Shift"]}),
        ("keyboard_press('Control+a')", {"kind": "keypress", "keys": ["Control", "a"]}),
        ("keyboard_type('hi')", {"kind": "type_text", "value": "hi"}),
        ("goto('http://b/')", {"kind": "visit_page", "url": "http://b/"}),
        ("go_back()", {"kind": "back"}),
        ("tab_focus(1)", {"kind": "switch_tab", "index": 1}),
        ("noop(500)", {"kind": "sleep", "duration": 0.5}),
        ("send_msg_to_user('42')", {"kind": "answer", "text": "42"}),
        ("report_infeasible('no such page')", {"kind": "answer", "text": "no such page"}),
    ],
)
def test_a_call_is_an_action(text: str, expected: dict[str, Any]) -> None:
    action = browsergym_turn(text, PAGE).action
    assert action is not None and expected.items() <= action.model_dump().items()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("press('3', 'Enter')", "press is unknown; known are click, dblclick"),
        ("click('a12')", "expected the id of an element, such as '12', found 'a12'"),
        ("click()", "expected the id of an element"),
        ("click('3', 'left', [1], 4)", "arguments must be plain"),
        ("click('3', 'left', 4)", "click takes bid, button"),
        ("fill('4', text='x')", "fill takes bid, value"),
        ("noop('long')", "duration"),
        ("tab_focus('x')", "index"),
        ("__import__('os').system('true')", "is no action"),
        ("", "the reply is empty"),
    ],
)
def test_another_text_is_an_error_for_the_agent(text: str, words: str) -> None:
    turn = browsergym_turn(text, PAGE)
    assert turn.action is None and turn.format_error is not None and words in turn.format_error


literals = st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.lists(st.integers(), max_size=2))


@given(st.sampled_from(sorted(SIGNATURES)), st.lists(literals, max_size=5))
def test_no_argument_does_harm(name: str, arguments: list[Any]) -> None:
    turn = browsergym_turn(f"{name}({', '.join(map(repr, arguments))})", PAGE)
    assert (turn.action is None) != (turn.format_error is None)


def test_elements_are_in_the_form_of_the_accessibility_tree() -> None:
    root, box, field = tree_of(PAGE)["nodes"]
    assert root["childIds"] == ["m3", "m4"] and root["role"]["value"] == "RootWebArea"
    assert (box["browsergym_id"], box["properties"][0]["value"]["value"]) == ("3", "true")
    assert field["value"]["value"] == "Ann" and field["name"]["value"] == "name"
