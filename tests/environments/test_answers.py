"""Answers of agents: a number or a name by itself counts, one that is denied or stands among others does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.applications.shop.checks import answered
from environments.tasks.answers import is_number, is_text, number_in
from environments.tasks.changes import Changes
from environments.tasks.templates import Ending


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{}", " {} ", "{}.", "{} EUR", "€{}", "$ {}", "{} euros."]))
def test_a_number_with_its_currency_is_the_answer(number: int, form: str) -> None:
    assert number_in(form.format(number)) == number
    assert not is_number(form.format(number), number + 1)


@given(st.integers(0, 10**6), st.text(alphabet="abcxyz,. -", min_size=1, max_size=12))
def test_a_number_among_words_is_not(number: int, words: str) -> None:
    if any(letter in "abcxyz" for letter in words):
        assert number_in(f"{words} {number}") is None and number_in(f"{number} {words}") is None


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("$1,250.00", 1_250.0),
        ("12,50", 12.5),
        ("1.5.2", None),
        ("not 42", None),
        ("42, not 43", None),
        ("", None),
        ("nan", None),
        ("1e5", None),
        ("9" * 400, None),
    ],
)
def test_numbers_are_read_as_people_write_them(answer: str, number: float | None) -> None:
    assert number_in(answer) == number


def test_the_shop_does_not_reward_a_denied_number() -> None:
    def criteria(answer: str) -> bool:
        return all(answered(Ending({"answer": "42.00"}, Changes(()), answer)).values())

    assert criteria("42") and criteria("42.00 EUR")
    assert not criteria("not 42") and not criteria("It is not 42.") and not criteria("42 or 43")


def test_a_text_is_compared_without_case_quotes_and_full_stop() -> None:
    assert is_text(' "Ada  Lovelace". ', "ada lovelace") and not is_text("not Ada Lovelace", "Ada Lovelace")
