"""All output of a model becomes an action or a sentence, and both can be stored and read back."""

import json
from typing import Any

import pytest
from hostile import HALF, HUGE, literals, nested, texts, values
from hypothesis import given
from hypothesis import strategies as st

from agent.parsing import FormatError, parse_brief, parse_full
from agent.parsing.verbs import FULL
from agent.profiles import PROFILES
from agent.prompting.wording import render
from agent.storable import load_json, storable
from agent.types import AgentAction, Completion, Turn
from browser_service.models import FillId, InteractionMode, Viewport

VIEWPORT = Viewport(width=1280, height=768)
CALLS, TOOLS = PROFILES["generic"], PROFILES["qwen3-instruct"]
VERBS = sorted({verb.name for verbs in FULL.values() for verb in verbs})
PARAMETERS = sorted({name for verbs in FULL.values() for verb in verbs for name in verb.parameters})
NAMES = st.sampled_from([*PARAMETERS, "coordinate", "to", "point"]) | texts


def tool(arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': 'browser', 'arguments': arguments})}</tool_call>"


def read(text: str, mode: InteractionMode) -> list[AgentAction | str]:
    """The result of each grammar for a text, after it was stored and read back."""
    results: list[AgentAction | str] = []
    for parse in (
        lambda: parse_brief(text, mode, VIEWPORT),
        lambda: parse_full(text, mode, VIEWPORT, CALLS),
        lambda: parse_full(text, mode, VIEWPORT, TOOLS),
    ):
        try:
            turn = Turn(completion=None, action=parse())
        except FormatError as error:
            turn = Turn(completion=None, action=None, format_error=str(error))
        assert Turn.model_validate_json(turn.model_dump_json()) == turn
        if turn.action is not None:
            assert render(turn.action)
        results.append(turn.action or turn.format_error or "")
    assert all(results)
    return results


@given(st.sampled_from(VERBS), st.lists(literals, max_size=4), st.sampled_from(list(FULL)))
def test_any_call_becomes_an_action_or_a_sentence(verb: str, arguments: list[str], mode: InteractionMode) -> None:
    read(f"{verb}({', '.join(arguments)})", mode)


@given(st.sampled_from(VERBS) | texts, st.dictionaries(NAMES, values, max_size=4), st.sampled_from(list(FULL)))
def test_any_tool_call_becomes_an_action_or_a_sentence(
    verb: str, arguments: dict[str, Any], mode: InteractionMode
) -> None:
    read(tool({"action": verb, **arguments}), mode)
    read(tool(json.dumps({"action": verb, **arguments})), mode)  # JSON inside JSON, as some servers write it


def test_half_an_emoji_is_typed_as_a_sign_and_two_halves_as_the_emoji() -> None:
    for text, typed in ((r"\ud83d", "\ufffd"), (r"\ud83d\ude00", "\U0001f600")):
        action = FillId(id=3, value=typed, press_enter=False, delete_existing=True)
        assert parse_brief(f'type(3, "{text}")', "set_of_marks", VIEWPORT) == action
        tagged = f'<tool_call>{{"name": "type", "arguments": {{"id": 3, "text": "{text}"}}}}</tool_call>'
        assert parse_full(tagged, "set_of_marks", VIEWPORT, TOOLS) == action


@pytest.mark.parametrize("digits", ["0x" + "f" * 4_000, "-0x" + "f" * 4_000, "1" + "0" * 100])
@pytest.mark.parametrize(
    "call", ["click({})", "type(3, {})", "tab({})", "wait({})", "click({}, 4)", 'scroll("up", {})']
)
def test_a_number_without_end_is_a_sentence(call: str, digits: str) -> None:
    for mode in FULL:
        for result in read(call.format(digits), mode)[:2]:
            assert isinstance(result, str)
    assert "at most 100 digits" in str(read(f"type(3, {digits})", "set_of_marks")[0])


def test_the_number_of_a_card_can_be_typed_without_quotes() -> None:
    action = FillId(id=3, value="4111111111111111222", press_enter=False, delete_existing=True)
    assert parse_brief("type(3, 4111111111111111222)", "set_of_marks", VIEWPORT) == action


@pytest.mark.parametrize("name", ["coordinate", "point", "to"])
def test_a_box_of_endless_numbers_is_a_sentence(name: str) -> None:
    for number in HUGE:
        for box in ([number] * 2, [number] * 4):
            assert isinstance(read(tool({"action": "click", name: box}), "coordinates")[2], str)


def test_a_name_with_half_a_character_can_be_in_a_prompt() -> None:
    result = read(tool({"action": "click", "id": 3, f"a{HALF}": [1]}), "set_of_marks")[2]
    assert result == 'the argument "a\ufffd" must be a number or text, found [1]'


@pytest.mark.parametrize("content", ["[" * 100_000, json.dumps(nested(150)), '{"a":' * 120 + "1" + "}" * 120])
def test_json_without_bottom_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        load_json(content)


@given(values)
def test_json_that_is_read_can_be_stored_and_read_back(value: Any) -> None:
    completion = Completion(text="", raw={"value": load_json(json.dumps(value))})
    Completion.model_validate_json(completion.model_dump_json())
    deepest = Completion(text="", raw={"value": load_json(json.dumps(nested(99)))})
    assert Completion.model_validate_json(deepest.model_dump_json()) == deepest


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_text_that_is_whole_stays_as_it_is(text: str) -> None:
    assert storable(text) == text
    assert storable(text + HALF) == text + "\ufffd"
