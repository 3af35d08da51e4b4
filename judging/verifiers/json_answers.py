"""Verifies a JSON answer, field by field."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from judging.verifiers.expectations import JsonExpectation
from judging.verifiers.findings import Finding, printable, shown
from judging.verifiers.json_values import RefusedJson, last_value, only_value
from judging.verifiers.numbers import close
from judging.verifiers.wording import composed, normalised

MOST_CRITERIA = 100
"""Largest number of fields that are named; the result of all others is the criterion `other fields`."""
MOST_COMPARED = 50
"""Largest number of items without an identical partner that are compared pair by pair, where order does not count."""
NAMED = 3
"""Number of wrong fields that the evidence names."""


class Field(NamedTuple):
    """The result of one field. Example: `Field("plan", False, "expected 'Basic', found 'Pro'")`."""

    name: str
    ok: bool
    note: str = ""
    """The reason, where `ok` is False."""


def check_json(expected: JsonExpectation, answer: str) -> Finding:
    """Compares the last JSON object or list of the answer with the expected one; for an expected text, number, truth
    value or null the answer must be nothing but JSON. An answer without valid JSON fails."""
    try:
        given = last_value(answer) if isinstance(expected.value, dict | list) else only_value(answer)
    except RefusedJson as error:
        return Finding(False, {"valid JSON": False}, f"expected JSON, but {error}: {shown(answer)}")
    return finding_of(differences(expected, expected.value, given), "the answer's JSON")


def finding_of(fields: Iterator[Field], what: str) -> Finding:
    """The finding of the results of many fields."""
    criteria: dict[str, bool] = {}
    wrong: list[str] = []
    for name, ok, note in fields:
        key = name if name in criteria or len(criteria) < MOST_CRITERIA else "other fields"
        criteria[key] = criteria.get(key, True) and ok
        if not ok:
            wrong.append(f"{name} ({note})")
    named = ", ".join(wrong[:NAMED]) + (f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else "")
    evidence = f"{what} differs in {named}" if wrong else f"{what} is as expected in {len(criteria)} fields"
    return Finding(not wrong, criteria, evidence)


def differences(rules: JsonExpectation, expected: Any, given: Any, path: str = "") -> Iterator[Field]:
    """Yields the result of each field of the expected value, by its path, and of what is there besides.

    It recurses as deep as the expected value, which `expectations` bounds.
    """
    match expected:
        case dict():
            yield from _of_object(rules, expected, given, path)
        case list():
            yield from _of_list(rules, expected, given, path)
        case _:
            ok = _is_same(rules, expected, given)
            yield Field(_name(path), ok, "" if ok else _note(expected, given))


def _of_object(rules: JsonExpectation, expected: dict[str, Any], given: Any, path: str) -> Iterator[Field]:
    if not isinstance(given, dict):
        yield Field(_name(path), False, _note(expected, given))
        return
    if not expected:
        yield Field(_name(path), True)
    for key, value in expected.items():
        below = f"{path}.{key}" if path else key
        if key in given:
            yield from differences(rules, value, given[key], below)
        else:
            yield Field(_name(below), False, "missing")
    if not rules.extra_keys and given.keys() - expected.keys():
        extra = min(given.keys() - expected.keys())
        yield Field(f"{_name(path)}: no further keys", False, f"found {shown(extra)}")


def _of_list(rules: JsonExpectation, expected: list[Any], given: Any, path: str) -> Iterator[Field]:
    if not isinstance(given, list):
        yield Field(_name(path), False, _note(expected, given))
        return
    pattern = re.sub(r"\[\d+\]", "[]", path)
    if "*" in rules.unordered or pattern in rules.unordered:
        yield Field(_name(path), _is_same_in_any_order(rules, expected, given, path), "other items")
        return
    note = f"expected {len(expected)}, found {len(given)}"
    yield Field(f"{_name(path)}: length", len(given) == len(expected), note)
    for index, value in enumerate(expected):
        below = f"{path}[{index}]"
        if index < len(given):
            yield from differences(rules, value, given[index], below)
        else:
            yield Field(_name(below), False, "missing")


def _is_same_in_any_order(rules: JsonExpectation, expected: list[Any], given: list[Any], path: str) -> bool:
    """True if the items can be paired. Identical ones are paired first; the rest, which may be equal within the
    tolerance, pair by pair, and only if there are few."""
    if len(expected) != len(given):
        return False
    ours, theirs = ([(_canonical(rules, item), item) for item in items] for items in (expected, given))
    left = _without(theirs, Counter(key for key, _ in ours))
    missing = _without(ours, Counter(key for key, _ in theirs))
    if len(missing) > MOST_COMPARED:
        return False
    for value in missing:
        partner = next((i for i, one in enumerate(left) if _is_equal(rules, value, one, f"{path}[0]")), None)
        if partner is None:
            return False
        del left[partner]
    return True


def _without(items: list[tuple[str, Any]], paired: Counter[str]) -> list[Any]:
    """The items that are left after as many of each key as `paired` counts are taken away."""
    left: list[Any] = []
    for key, item in items:
        if paired[key] > 0:
            paired[key] -= 1
        else:
            left.append(item)
    return left


def _is_equal(rules: JsonExpectation, expected: Any, given: Any, path: str) -> bool:
    return all(field.ok for field in differences(rules, expected, given, path))


def _is_same(rules: JsonExpectation, expected: Any, given: Any) -> bool:
    """Compares two values that are neither object nor list. True and 1 are different, 1 and 1.0 are not."""
    if isinstance(expected, bool) or isinstance(given, bool) or expected is None or given is None:
        return expected is given
    if isinstance(expected, str) and isinstance(given, str):
        form = composed if rules.exact else normalised
        return form(expected) == form(given)
    if isinstance(expected, int | float) and isinstance(given, int | float):
        return close(_decimal(given), _decimal(expected), absolute=rules.absolute, relative=rules.relative)
    return False


def _canonical(rules: JsonExpectation, value: Any) -> str:
    """A text that is the same for values that are the same without any tolerance."""
    match value:
        case dict():
            return "{" + ",".join(f"{key!r}:{_canonical(rules, value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(_canonical(rules, item) for item in value) + "]"
        case str():
            return repr(composed(value) if rules.exact else normalised(value))
        case bool() | None:
            return repr(value)
        case _:
            return str(_decimal(value).normalize())


def _decimal(value: float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _name(path: str) -> str:
    return printable(path) or "value"


def _note(expected: Any, given: Any) -> str:
    return f"expected {_brief(expected)}, found {_brief(given)}"


def _brief(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return shown(value)
        case bool() | None:
            return json.dumps(value)
        case int() if value.bit_length() > 1_000:
            return "a long number"
        case _:
            return repr(value)
