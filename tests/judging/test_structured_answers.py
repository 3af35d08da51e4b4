"""JSON, items and addresses in answers: the report by field, and all that is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judging.verifiers.expectations import ItemsExpectation, JsonExpectation, UrlExpectation
from judging.verifiers.findings import Finding
from judging.verifiers.items import check_items
from judging.verifiers.json_answers import check_json
from judging.verifiers.json_values import DEEPEST, RefusedJson, last_value
from judging.verifiers.urls import address_of, check_url

VALUE: dict[str, Any] = {"plan": "Basic", "price": 9.5, "rows": [{"n": 1}, {"n": 2}]}
GOOD = json.dumps(VALUE)
CART = "https://shop.example/cart?id=7&x=1"


def judged(answer: str, value: Any = VALUE, **rules: Any) -> Finding:
    return check_json(JsonExpectation(value=value, **rules), answer)


def items(answer: str, *expected: str, kind: Any = "set", **rules: Any) -> bool | None:
    return check_items(ItemsExpectation(kind=kind, items=expected, **rules), answer).passed


def url(answer: str, expected: str = CART, **rules: Any) -> bool | None:
    return check_url(UrlExpectation(url=expected, **rules), answer).passed


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"The page said ```{{}}``` but I found\n```\n{GOOD}\n```\nDone.",
        f'First {{"plan": "Pro"}}, then {GOOD}',
        f"{GOOD} [see above] {{sic}}",
        f'a 5" screen, an open {{ bracket and {GOOD}',
        GOOD.replace("Basic", " basic"),
        GOOD.replace("9.5", "9.50000000001"),
    ],
)
def test_the_last_balanced_value_is_the_answer(answer: str) -> None:
    assert judged(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "no object or list"),
        ("The plan is Basic.", "no object or list"),
        ('{"plan": "Pro", ' + GOOD[1:], "twice"),
        (GOOD.replace("9.5", "NaN"), "NaN"),
        (GOOD.replace("9.5", "1e999"), "too large"),
        (GOOD.replace("9.5", "9" * 5_000), "too long"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "deeper than"),
        ("[" * 5_000, "not closed"),
        (f'{GOOD} and {{"plan":', "not closed"),
        (f'{GOOD} {{"plan": "Pro",}}', "not JSON"),
        (GOOD.replace('"', "'"), "not JSON"),
        (f"{{plan: 1, {GOOD[1:]}", "not JSON"),
    ],
)
def test_refused_json_fails_with_a_reason(answer: str, why: str) -> None:
    finding = judged(answer)
    assert finding.passed is False and finding.criteria == {"valid JSON": False} and why in finding.evidence


def test_no_part_of_a_right_answer_passes() -> None:
    assert all(judged(GOOD[:end]).passed is False for end in range(len(GOOD)))


def test_the_report_names_each_field() -> None:
    finding = judged('{"plan": "Pro", "rows": [{"n": 1}], "x": {"y": 1}}')
    assert finding.criteria == {
        "plan": False,
        "price": False,
        "rows: length": False,
        "rows[0].n": True,
        "rows[1]": False,
        "value: no further keys": False,
    }
    assert finding.evidence == (
        "the answer's JSON differs in plan (expected 'Basic', found 'Pro'), price (missing), "
        "rows: length (expected 2, found 1) and 2 more"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1", True), ("true", 1), ("0", False), ('"1"', 1), ("1", "1"), ("null", 0), ("[]", {}), ("{}", []), ('""', None)],
)
def test_types_count(given: str, expected: Any) -> None:
    assert judged(f'{{"a": {given}}}', {"a": expected}).passed is False


def test_rules_of_json() -> None:
    assert judged('{"a": 1, "b": 2}', {"a": 1}, extra_keys=True).passed is True
    assert judged("[3, 1, 2.0]", [1, 2, 3]).passed is False
    assert judged("[3, 1, 2.0]", [1, 2, 3], unordered=("",)).passed is True
    assert judged("[3, 1, 1]", [1, 3, 3], unordered=("*",)).passed is False
    rows = {"rows": [{"t": ["a", "b"]}, {"t": ["c"]}]}
    other = '{"rows": [{"t": ["c"]}, {"t": ["b", "a"]}]}'
    assert judged(other, rows, unordered=("rows", "rows[].t")).passed is True
    assert judged(other, rows, unordered=("rows",)).passed is False
    assert judged('{"a": "X"}', {"a": "x"}, exact=True).passed is False
    assert judged("[1.4]", [1], absolute=0.5).passed is True
    assert judged("[9780262033849]", [9780262033848]).passed is False
    assert judged("[1.0000000001, 2]", [2, 1], unordered=("",)).passed is True
    assert judged(" ```json\ntrue\n``` ", True).passed is True and judged("It is true", True).passed is False


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.lists(values, max_size=4), st.randoms(use_true_random=False))
def test_a_value_passes_as_itself_and_in_any_order(value: list[Any], rng: Any) -> None:
    assert judged(f"I say {json.dumps(value)}", value).passed is True
    mixed = rng.sample(value, len(value))
    assert judged(json.dumps(mixed), value, unordered=("",)).passed is True
    assert judged(json.dumps([*value, 0]), value, unordered=("*",)).passed is False


@given(st.text(alphabet='{}[]",:\\a1 \n', max_size=200))
def test_any_text_has_a_last_value_or_is_refused(answer: str) -> None:
    try:
        value = last_value(answer)
    except RefusedJson:
        return
    assert isinstance(value, dict | list)


@pytest.mark.parametrize(
    "answer",
    [
        "Basic, Pro",
        "pro and basic.",
        "- Basic\n- Pro",
        "Plans:\n1. Pro\n2) Basic",
        '["Pro", "Basic"]',
        'Here they are:\n```json\n["Pro", "Basic"]\n```',
        "Basic; Pro; Basic",
        "Answer: Basic, Pro",
    ],
)
def test_notations_of_a_set(answer: str) -> None:
    assert items(answer, "Basic", "Pro") is True


def test_a_set_and_a_list_that_are_wrong_or_not_alone() -> None:
    assert items("Basic", "Basic", "Pro") is False
    assert items("Basic, Pro, Team", "Basic", "Pro") is False
    assert items("The plans are Basic and Pro", "Basic", "Pro") is None
    assert items("Pro, Basic", "Basic", "Pro", kind="list") is False
    assert items("Basic, Pro", "Basic", "Pro", kind="list") is True
    assert items("a, a, b", "a", "b", kind="list") is False
    assert items("5; 1,299", "1299", "5") is True and items("7; 8", "007", "8") is False
    assert items("Paris, France; Rome, Italy", "Rome, Italy", "Paris, France") is True
    assert items("basic; pro", "Basic", "Pro", exact=True) is None
    assert items("[1], " * 2_000, "1", "2") is False


@given(st.lists(st.from_regex(r"[A-Za-z]{2,8}", fullmatch=True), min_size=1, max_size=6, unique_by=str.casefold))
def test_order_counts_in_a_list_only(words: list[str]) -> None:
    words = [f"x{word}" for word in words]
    for separator in (", ", "; ", "\n"):
        assert items(separator.join(reversed(words)), *words) is True
        assert items(separator.join(words), *words, kind="list") is True
        assert items(separator.join(reversed(words)), *words, kind="list") is (len(words) == 1)


@pytest.mark.parametrize(
    "answer",
    [
        CART,
        "http://www.SHOP.example:80/cart/?x=1&id=7#top",
        "shop.example/cart?id=7&x=1",
        f"<{CART}>.",
        "https://shop.example/a/../%63art?id=7&x=1",
    ],
)
def test_notations_of_an_address(answer: str) -> None:
    assert url(answer) is True


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("https://shop.example@evil.example/cart?id=7&x=1", False),
        ("https://evil.example\\@shop.example/cart?id=7&x=1", False),
        ("https://shop.example.evil.example/cart?id=7&x=1", False),
        ("https://shop.example:8443/cart?id=7&x=1", False),
        ("https://shop.example/cart%2F?id=7&x=1", False),
        ("https://shop.example/cart?id=7&id=7&x=1", False),
        ("https://[::1", False),
        ("javascript:alert(1)", False),
        ("https://\u0440\u0430ypal.example/", False),
        ("\ud800", False),
        ("é." * 4_000, False),
        (f"It is {CART}.", None),
        (f"[cart]({CART})", None),
        (f"{CART} or https://shop.example/", None),
    ],
)
def test_an_address_that_is_wrong_or_not_alone(answer: str, passed: bool | None) -> None:
    assert url(answer) is passed


def test_rules_of_an_address() -> None:
    assert url(f"It is {CART}.", within=True) is True
    assert url(f"{CART} or https://shop.example/", within=True) is None
    assert url(f"{CART}&y=2", query="subset") is True and url(f"{CART}&y=2") is False
    assert url("https://a.shop.example/cart/b", path="prefix", query="ignore", host="subdomain") is True
    assert url("https://shop.example/cartoon", path="prefix", query="ignore") is False
    assert url(f"{CART}#a", f"{CART}#b", fragment="exact") is False
    assert url("https://w.example/Mercury_(planet)", "https://w.example/Mercury_(planet)") is True
    assert address_of("https://bücher.example/") == address_of("https://xn--bcher-kva.example")
    for bad in ("ftp://a.example", "https://a@b.example", "https://a.example/\\b", "nothing"):
        with pytest.raises(ValueError, match="expected an http or https address"):
            UrlExpectation(url=bad)
