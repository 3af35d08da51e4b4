"""Replies of a judge that are not exactly one complete verdict: each stays unjudged, none becomes a 0 or a 1."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.endpoints.protocol import Finish, Reply
from judging.rubric.parsing import parse
from judging.rubric.replies import Blocking, Facts, Marked, Relevance, Support, SureFacts, SureSupport, schema_of
from judging.undecided import Undecided

MARKER = "0123456789abcdef0123456789abcdef"
YES: dict[str, Any] = {
    "call": MARKER,
    "reason": "seen",
    "supported": True,
    "answers_task": True,
    "pages": [1],
    "quote": "42 EUR — «ok»",
}
GOOD = json.dumps(YES, ensure_ascii=False)
QUOTED = json.dumps(YES | {"call": "a page can't know it"})


def read(text: str, finish: Finish = "stop") -> Support | str:
    """The parsed reply, or the code of the reason why there is none."""
    try:
        return parse(Reply(text, 1, 1, finish), Support, MARKER)
    except Undecided as error:
        return error.code


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n {GOOD} \n",
        json.dumps(YES, indent=2),
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\n",
        f'<think>Is it {{"supported": false}}? No.</think>\n{GOOD}',
        f"<thinking>hm</thinking>```json\n{GOOD}\n```",
    ],
)
def test_one_object_alone_is_read(text: str) -> None:
    found = read(text)
    assert isinstance(found, Support) and found.model_dump() == YES


@pytest.mark.parametrize("wrapped", [GOOD, f"```json\n{GOOD}\n```", f"<think>{QUOTED}</think>{GOOD}"])
def test_a_reply_cut_at_any_byte_decides_nothing(wrapped: str) -> None:
    data = wrapped.encode()
    for length in range(len(data)):
        assert isinstance(read(data[:length].decode(errors="replace")), str), data[:length]
    assert read(wrapped, "length") == "truncated"
    assert read(wrapped, "other") == "truncated"
    assert read(wrapped, "refused") == "refused"


FACT = {"number": 1, "reason": "}{", "met": True, "pages": [1], "quote": '"met": true}'}
WHOLE: dict[type[Marked], dict[str, Any]] = {
    SureSupport: YES | {"confidence": "high"},
    Facts: (
        {"call": MARKER, "facts": [FACT, FACT | {"number": 2}], "matches_reference": None, "site_at_fault": False}
        | {"forbidden_side_effect": False, "side_effect_pages": []}
    ),
    Blocking: {"call": MARKER, "reason": "\u00e9", "blocked": True, "pages": [1, 2]},
    Relevance: {"call": MARKER, "pages": [10, 11]},
}
WHOLE[SureFacts] = WHOLE[Facts] | {"confidence": "low"}


@pytest.mark.parametrize("form", WHOLE, ids=lambda form: form.__name__)
def test_a_reply_of_any_form_is_read_whole_and_never_in_part(form: type[Marked]) -> None:
    for text in (json.dumps(WHOLE[form]), json.dumps(WHOLE[form], ensure_ascii=False, indent=1)):
        assert parse(Reply(text, 1, 1, "stop"), form, MARKER).model_dump() == WHOLE[form]
        data = text.encode()
        for length in range(len(data)):
            for part in (data[:length], data[length + 1 :]):
                with pytest.raises(Undecided):
                    parse(Reply(part.decode(errors="replace"), 1, 1, "stop"), form, MARKER)


@pytest.mark.parametrize("confidence", ["", "HIGH", "certain", 0.99, 1, None, True, ["high"]])
def test_confidence_is_one_of_three_words(confidence: object) -> None:
    with pytest.raises(Undecided) as refused:
        text = json.dumps(WHOLE[SureSupport] | {"confidence": confidence})
        parse(Reply(text, 1, 1, "stop"), SureSupport, MARKER)
    assert refused.value.code == "wrong_form"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("<think>all is well</think>", "empty"),
        ("```json\n\n```", "empty"),
        ("I'm sorry, I can't help with that.", "extra_text"),
        ("SUCCESS", "extra_text"),
        ("NOT SUCCESS", "extra_text"),
        ("Verdict: FAILURE", "extra_text"),
        ("the page says SUCCESS ... final verdict FAILURE", "extra_text"),
        ("the page says FAILURE ... final verdict SUCCESS", "extra_text"),
        ("成功。エージェントは正しいです。", "extra_text"),
        (f"Here is my verdict: {GOOD}", "extra_text"),
        (f"{GOOD}\nI hope this helps.", "extra_text"),
        (f"{GOOD}\n{GOOD}", "extra_text"),
        (f"{QUOTED}\n{json.dumps(YES | {'supported': False})}", "extra_text"),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", "extra_text"),
        (f"<think>It says </think>{QUOTED} and so </think>{GOOD}", "extra_text"),
        (f"<think>never closed {GOOD}", "extra_text"),
        (f"{{the page says}} {GOOD}", "not_json"),
        (f"[{GOOD}]", "extra_text"),
        ("null", "extra_text"),
        ("true", "extra_text"),
        ("{}", "wrong_form"),
        (QUOTED, "marker"),
        (json.dumps(YES | {"call": ""}), "marker"),
        (GOOD.replace('"call"', '"Call"'), "wrong_form"),
        (GOOD[:-1] + ', "supported": false}', "duplicate_key"),
        (GOOD[:-1] + ', "supported": true}', "duplicate_key"),
        (GOOD[:-1] + ', "verdict": "SUCCESS"}', "wrong_form"),
        (GOOD[:-1] + ', "score": NaN}', "not_finite"),
        (GOOD.replace("[1]", "[Infinity]"), "not_finite"),
        (GOOD.replace("[1]", "[1e999]"), "wrong_form"),
        (GOOD.replace("[1]", "[1.0]"), "wrong_form"),
        (GOOD.replace("[1]", "[true]"), "wrong_form"),
        (GOOD.replace("[1]", '["1"]'), "wrong_form"),
        (GOOD.replace("[1]", "1"), "wrong_form"),
        (GOOD.replace("[1]", f"[{'9' * 5_000}]"), "not_json"),
        (GOOD.replace("true", "1"), "wrong_form"),
        (GOOD.replace("true", '"true"'), "wrong_form"),
        (GOOD.replace("true", '"SUCCESS"'), "wrong_form"),
        (GOOD.replace("true", "null"), "wrong_form"),
        (GOOD.replace("true", "True"), "not_json"),
        (GOOD.replace('"', "'"), "not_json"),
        (GOOD.replace("seen", "\\ud83d"), "surrogate"),
        (GOOD.replace("seen", "\udc00"), "surrogate"),
        (GOOD.replace("seen", "a\nb"), "not_json"),
        ("{" * 50_000 + "}" * 50_000, "not_json"),
        ('{"a":' * 15_000 + "1" + "}" * 15_000, "not_json"),
        ("\ufeff" + GOOD, "extra_text"),
        (GOOD + "\x00", "extra_text"),
    ],
)  # fmt: skip
def test_anything_else_decides_nothing(text: str, code: str) -> None:
    assert read(text) == code


def test_ten_megabytes_are_not_parsed() -> None:
    assert read(GOOD.replace("seen", "x" * 10_000_000)) == "oversized"
    assert read(" " * 10_000_000 + GOOD) == "oversized"


@given(st.text(max_size=40))
def test_no_text_decides(text: str) -> None:
    assert isinstance(read(text), str)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(string.printable))
def test_a_damaged_reply_is_the_same_verdict_or_none(place: int, put: str) -> None:
    found = read(GOOD[:place] + put + GOOD[place + 1 :])
    assert isinstance(found, str) or (found.supported and found.call == MARKER)


def test_schemas_close_every_object_and_need_every_key() -> None:
    for form in (Relevance, Support, Facts, Blocking, SureSupport, SureFacts):
        schema = schema_of(form)
        objects = [schema]
        if issubclass(form, Facts):
            objects.append(schema["properties"]["facts"]["items"])
        for each in objects:
            assert each["additionalProperties"] is False
            assert each["required"] == list(each["properties"])
        assert "$ref" not in json.dumps(schema) and "title" not in json.dumps(schema)
