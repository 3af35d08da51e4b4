"""Maps a task to the expectation that its verifier compares with: `Task.expect`, otherwise its reference answer.

A reference answer is text in WebGym's files and JSON as text in the dashboard's. The notation tells the kind:
    {"plan": "Basic"}, [1, 2]  -> json      42, €1,299.00, 12 % -> number      2026-05-01, May 1, 2026 -> date
    https://shop.example/cart  -> url       anything else -> text
"""

import re
from typing import Any

from pydantic import ValidationError

from agent.types import Task
from judging.verifiers.dates import dates_of
from judging.verifiers.expectations import (
    EXPECTATION,
    AllExpectation,
    DateExpectation,
    JsonExpectation,
    NumberExpectation,
    Single,
    TextExpectation,
    UrlExpectation,
)
from judging.verifiers.json_values import RefusedJson, parse_strictly
from judging.verifiers.quantities import quantities_of
from judging.verifiers.units import spelling_of
from judging.verifiers.urls import address_of
from judging.verifiers.wording import trimmed

LONGEST_REFERENCE = 10_000
"""Largest number of characters of a reference answer, as many as an answer may have."""
SHORT = 5
"""Largest number of words of a text that has to be repeated as it is; a longer one can be put in other words."""


class ExpectationError(ValueError):
    """A task whose expectation is invalid: a fault of the task, not of the policy."""


def expectation_of(task: Task) -> Single | AllExpectation | None:
    """The expectation of a task; None if it has none. Raises `ExpectationError` if it is invalid."""
    if task.expect is not None:
        return expectation_from(task.expect)
    reference = (task.reference_answer or "").strip()
    if len(reference) > LONGEST_REFERENCE:
        raise ExpectationError(f"reference_answer: {len(reference)} characters, more than {LONGEST_REFERENCE}")
    try:
        return _of_reference(reference) if reference else None
    except ValidationError as error:
        raise ExpectationError(f"reference_answer: {error.errors()[0]['msg']}") from None


def expectation_from(fields: dict[str, Any]) -> Single | AllExpectation:
    """The expectation of a JSON object with its `kind`. Raises `ExpectationError`."""
    try:
        return EXPECTATION.validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["expect", *(str(part) for part in first["loc"])])
        raise ExpectationError(f"{place}: {first['msg']}") from None
    except RecursionError:
        raise ExpectationError("expect: nested too deeply") from None


def _of_reference(reference: str) -> Single | None:
    if re.match(r'[\[{"]', reference) and (value := _json(reference)) is not None:
        return _of_text(value) if isinstance(value, str) else JsonExpectation(value=value)
    if reference == "null":
        return None  # the dashboard's JSON for "no expected answer"
    return _of_text(reference)


def _json(reference: str) -> Any:
    """The value of a reference answer that is JSON, None if it is text after all, such as "[sic] Paris".

    Raises `ExpectationError` if it is JSON that no answer can equal, such as an object with a key twice.
    """
    try:
        return parse_strictly(reference)
    except RefusedJson as error:
        if str(error).startswith("not JSON"):
            return None
        raise ExpectationError(f"reference_answer: {error}") from None


def _of_text(reference: str) -> Single | None:
    text = trimmed(reference)
    if not text:
        return None
    if re.match(r"https?://\S+$", reference) and address_of(reference) is not None:
        return UrlExpectation(url=reference)
    dates = list(dates_of(text))
    if len(dates) == 1 and (dates[0].start, dates[0].end) == (0, len(text)) and len(dates[0].readings) == 1:
        return DateExpectation(value=dates[0].readings[0])
    if (number := _number(text)) is not None:
        return number
    words = text.split()
    is_free = len(words) > SHORT or any(mark in reference for mark in ",;\n")
    has_count = len(words) > 1 and any(letter.isdigit() for letter in text)  # "42 items" is said as "42", too
    return TextExpectation(any_of=(reference,), free_wording=is_free or has_count)


def _number(text: str) -> NumberExpectation | None:
    """The number of a text that is nothing else. Codes such as 007 and numbers that a float can't hold are text."""
    if len(text) > 40 or re.match(r"[-+]?0[0-9]", text):
        return None
    found = list(quantities_of(text))
    if len(found) != 1 or found[0].value is None or (found[0].start, found[0].end) != (0, len(text)):
        return None
    one = found[0]
    if one.value is None or len(one.value.as_tuple().digits) > 15 or abs(one.value.adjusted()) > 300:
        return None
    return NumberExpectation(value=float(one.value), unit=spelling_of(one.unit) if one.unit else "")
