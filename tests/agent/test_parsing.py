"""Model text -> action, for every kind of text that a model has been seen to produce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.parsing import FormatError, parse_brief
from agent.prompting.wording import render
from agent.types import AgentAction, Answer
from browser_service.models import Back, ClickCoords, ClickId, FillId, Keypress, PageDown, SelectOption, Sleep, Viewport

VIEWPORT = Viewport(width=1280, height=768)


def parse_set_of_marks(text: str) -> AgentAction:
    return parse_brief(text, "set_of_marks", VIEWPORT)


def parse_coordinates(text: str) -> AgentAction:
    return parse_brief(text, "coordinates", VIEWPORT)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("click(3)", ClickId(id=3)),
        ("I should press OK.\nAction: click(3)", ClickId(id=3)),
        ("`click(3)`", ClickId(id=3)),
        ('type(2, "Ann \\"A\\" Lee")', FillId(id=2, value='Ann "A" Lee', press_enter=False, delete_existing=True)),
        ("type(2, 42)", FillId(id=2, value="42", press_enter=False, delete_existing=True)),
        ('select(1, "Peru")', SelectOption(id=1, label="Peru")),
        ('press("Control+a")', Keypress(keys=["Control", "a"])),
        ('scroll("down")', PageDown(full_page=True)),
        ("back()", Back()),
        ("wait()", Sleep(duration=1.0)),
        ('answer("42 EUR")', Answer(text="42 EUR")),
        ("answer()", Answer()),
    ],
)
def test_the_last_line_is_the_action(text: str, action: AgentAction) -> None:
    assert parse_set_of_marks(text) == action


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("   \n ", "empty"),
        ("click", "no action"),
        ("click(", "no action"),
        ("clack(3)", "no action 'clack'"),
        ("click(3, 4)", "takes 1 arguments"),
        ("click(0)", "numbered from 1"),
        ("click(-2)", "numbered from 1"),
        ("click(1e3)", "whole number"),
        ('click("three")', "whole number"),
        ("click(True)", "plain numbers"),
        ("click(id=3)", "no action"),
        ("click(__import__('os').getpid())", "plain numbers"),
        ("type(2)", "takes 2 arguments"),
        ('scroll("sideways")', "up"),
        ('press("")', "key"),
        ("(" * 5_000, "no action"),
        ("a" * 100_000, "characters"),
        ("\x00click(3)", "no action"),
        ("click(3); click(4)", "no action"),
    ],
)
def test_everything_else_is_a_sentence_for_the_model(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        parse_set_of_marks(text)


def test_coordinates_go_from_the_grid_to_pixels() -> None:
    assert parse_coordinates("click(500, 250)") == ClickCoords(x=640.0, y=192.0)
    assert parse_coordinates("click(1000, 1000)") == ClickCoords(x=1279, y=767)
    with pytest.raises(FormatError, match="0 to 1000"):
        parse_coordinates("click(500, 1001)")


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_no_text_does_anything_but_parse_or_complain(text: str) -> None:
    for parse in (parse_set_of_marks, parse_coordinates):
        try:
            parse(text)
        except FormatError as error:
            assert str(error)


@given(st.integers(1, 99), st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), max_size=40))
def test_rendered_actions_are_read_back(mark: int, value: str) -> None:
    for action in (
        ClickId(id=mark),
        FillId(id=mark, value=value, press_enter=False, delete_existing=True),
        SelectOption(id=mark, label=value),
        Answer(text=value),
    ):
        # A line break inside a value would end the line; splitlines() knows more of them than \n.
        if len(value.splitlines()) <= 1 and not value.endswith(("\x85", "\u2028", "\u2029")):
            assert parse_set_of_marks(render(action)) == action
