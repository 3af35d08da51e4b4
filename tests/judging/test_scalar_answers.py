"""Texts, numbers and dates as people and models write them; undecided where only the author of the task can tell."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.verifiers.dates import check_date
from judging.verifiers.expectations import DateExpectation, NumberExpectation, TextExpectation
from judging.verifiers.numbers import check_number
from judging.verifiers.quantities import number_of
from judging.verifiers.texts import check_text

DAY = date(2026, 5, 6)


def number(answer: str, value: float, unit: str = "", **rules: Any) -> bool | None:
    return check_number(NumberExpectation(value=value, unit=unit, **rules), answer).passed


def text(answer: str, *any_of: str, **rules: Any) -> bool | None:
    return check_text(TextExpectation(any_of=any_of, **rules), answer).passed


def day(answer: str, **rules: Any) -> bool | None:
    return check_date(DateExpectation(value=DAY, **rules), answer).passed


@pytest.mark.parametrize(
    "answer",
    [
        "Paris",
        " paris. ",
        "**Paris**",
        "“Paris”",
        "PARIS!",
        "Answer: Paris",
        "I looked.\nFinal answer: Paris.",
        "\uff30\uff41\uff52\uff49\uff53",
    ],
)
def test_a_text_is_compared_without_its_dress(answer: str) -> None:
    assert text(answer, "Paris") is True


@pytest.mark.parametrize(
    ("answer", "expected", "passed"),
    [
        ("London", "Paris", False),
        ("not Paris", "Paris", None),
        ("Paris or London", "Paris", None),
        ("Parisian", "Paris", False),
        ("Paris?", "Paris", None),
        ("42.5", "42", False),
        ("-42", "42", False),
        ("1,042", "042", False),
        ("10\u00b2", "102", False),
        (".5", "5", False),
        ("5!", "5", None),
        ("東京", "東京", True),
        ("首都は東京です", "東京", None),
        ("café", "cafe\u0301", True),
        ("Straße", "STRASSE", True),
        ("Москва", "москва", True),
        ("\ud800", "Paris", False),
        ("...", "...", True),
        ("Par\u200bis", "Paris", True),
    ],
)
def test_a_text_that_is_or_contains_or_lacks_the_expected_one(answer: str, expected: str, passed: bool | None) -> None:
    assert text(answer, expected) is passed


def test_rules_of_a_text() -> None:
    assert text("paris", "Paris", exact=True) is False and text(" Paris\n", "Paris", exact=True) is True
    assert text("It is Paris, I think", "Paris", within=True) is True
    assert text("The capital of France", "Paris", free_wording=True) is None
    assert text("USA", "United States", "USA") is True


@pytest.mark.parametrize(
    ("answer", "value", "unit"),
    [
        ("42", 42, ""),
        ("1,299.00", 1299, ""),
        ("€1.299,00", 1299, "EUR"),
        ("1 299 EUR", 1299, "€"),
        ("1\u202f299 €", 1299, "EUR"),
        ("1'299.5", 1299.5, ""),
        ("1,00,000", 100_000, ""),
        ("$1.5M", 1_500_000, "USD"),
        ("1.5 million dollars", 1_500_000, "USD"),
        ("42k", 42_000, ""),
        ("\u221242", -42, ""),
        ("-$5", -5, "USD"),
        ("12 %", 12, "percent"),
        ("5 km", 5_000, "m"),
        ("90 minutes", 1.5, "h"),
        ("3 items", 3, "items"),
        ("7 Square Metres", 7, "square metres"),
        ("1.2e3", 1200, ""),
        ("٤٢", 42, ""),
        ("4\uff12", 42, ""),
        ("Answer: **42**.", 42, ""),
        ("42", 42, "EUR"),
    ],
)
def test_notations_of_a_number(answer: str, value: float, unit: str) -> None:
    assert number(answer, value, unit) is True


@pytest.mark.parametrize(
    ("answer", "value", "unit", "passed"),
    [
        ("43", 42, "", False),
        ("42 USD", 42, "EUR", False),
        ("0.12", 12, "%", False),
        ("42k", 42, "", False),
        ("-42", 42, "", False),
        ("forty-two", 42, "", False),
        ("not 42", 42, "", None),
        ("42 dozen", 42, "", None),
        ("42 or 43", 42, "", None),
        ("40-42", 42, "", None),
        ("5m", 5, "", None),
        ("A42", 42, "", None),
        ("9780262033849", 9780262033848, "", False),
        ("Room 5b", 42, "", False),
        ("12:30", 30, "", False),
        ("1/2", 2, "", False),
        ("10²", 10, "", None),
        ("9" * 10_000, 9, "", False),
        ("1, " * 3_000, 42, "", None),
    ],
)
def test_a_number_that_is_wrong_or_not_alone(answer: str, value: float, unit: str, passed: bool | None) -> None:
    assert number(answer, value, unit) is passed


def test_rules_of_a_number() -> None:
    assert number("1.299", 1299, decimal_mark=",") is True and number("1,299", 1.299, decimal_mark=",") is True
    assert number("42.4", 42, absolute=0.5) is True and number("42.6", 42, absolute=0.5) is False
    assert number("102", 100, relative=0.02) is True and number("103", 100, relative=0.02) is False
    assert number("42", 42, "EUR", unit_required=True) is False
    assert number("The total is 42 today", 42, within=True) is True
    assert number("In 2024 it was $42", 42, "USD", within=True) is True
    assert number("42, or rather 43", 42, within=True) is None
    with pytest.raises(ValueError, match="unit_required needs a unit"):
        NumberExpectation(value=1, unit_required=True)


@given(st.integers(-(10**12), 10**12), st.integers(0, 99))
def test_every_grouping_of_a_number_is_read(whole: int, cents: int) -> None:
    value = abs(whole) + cents / 100
    english = f"{abs(whole):,}.{cents:02}"
    swapped = english.translate(str.maketrans(",.", ".,"))
    for shown in (english, english.replace(",", " "), english.replace(",", "'"), english.replace(",", "")):
        assert number(shown, value) is True
    assert number(swapped, value, decimal_mark=",") is True
    assert number(english, value * 1.001 + 0.01) is False


@given(st.text(max_size=20) | st.text(alphabet="0123456789.,' e+-\u00b2\u0661", max_size=70))
def test_any_text_is_a_number_or_none(digits: str) -> None:
    value = number_of(digits)
    assert value is None or value.is_finite()


@pytest.mark.parametrize(
    "answer",
    [
        "2026-05-06",
        "2026/5/6",
        "May 6, 2026",
        "May 6th 2026",
        "6 May 2026",
        "6th of May 2026",
        "6. Mai 2026",
        "6 de mayo de 2026",
        "06-May-2026",
        "6.5.2026",
        "2026年5月6日",
        "Wednesday, May 6, 2026",
        "2026-05-06T10:00:00Z",
        "May 6, 2026 at 10:30 AM",
        "Answer: 2026-05-06.",
    ],
)
def test_notations_of_a_date(answer: str) -> None:
    assert day(answer) is True


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("May 7, 2026", False),
        ("Holiday, May 6, 2026", None),
        ("before 2026-05-06", None),
        ("2026-05-06/2026-05-09", False),
        ("May 6", False),
        ("May 2026", False),
        ("31/02/2026", False),
        ("2026-05-061", False),
        ("05/06/2026", None),
        ("06/05/2026", None),
        ("05/07/2026", False),
        ("not May 6, 2026", None),
        ("from 2026-05-06 to 2026-05-07", None),
        ("05/06/2026 " * 900, None),
    ],
)
def test_a_date_that_is_wrong_incomplete_or_not_alone(answer: str, passed: bool | None) -> None:
    assert day(answer) is passed


def test_rules_of_a_date() -> None:
    assert day("05/06/2026", order="mdy") is True and day("05/06/2026", order="dmy") is False
    assert day("2026-05-08", days=2) is True and day("2026-05-09", days=2) is False
    assert day("It opens on May 6, 2026.", within=True) is True
    assert day("May 6, 2026 or May 7, 2026", within=True) is None


@given(st.dates(date(1000, 1, 1)), st.integers(1, 1_000))
def test_a_date_is_equal_to_itself_only(value: date, distance: int) -> None:
    expected = DateExpectation(value=value)
    names = (value.isoformat(), f"{value:%B} {value.day}, {value.year}", f"{value.day}.{value.month}.{value.year}")
    assert all(check_date(expected, name).passed is True for name in names)
    if (date.max - value).days > distance:
        assert check_date(expected, (value + timedelta(days=distance)).isoformat()).passed is False
