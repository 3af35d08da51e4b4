"""Verifies a set or an ordered list of items: a JSON list, lines, bullets, or items between semicolons or commas."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal

from judging.verifiers.expectations import ItemsExpectation
from judging.verifiers.findings import Finding, printable, shown, undecided
from judging.verifiers.json_values import FENCE, RefusedJson, last_value
from judging.verifiers.quantities import number_of
from judging.verifiers.wording import composed, has_words, normalised, said

BULLET = re.compile(r"[ \t]*(?:[-*•+]|\(?[0-9]{1,4}[.)])[ \t]+")
LAST_AND = re.compile(r",?[ ]+(?:and|und|et|y|&)[ ]+")
MOST_CRITERIA = 100
"""Largest number of items that are named; the result of all others is the criterion `other items`."""

MOST_ITEMS = 1_000
"""Largest number of items that are read, as many as an expectation may have; a longer list is no match."""


def check_items(expected: ItemsExpectation, answer: str) -> Finding:
    """Compares the answer with the items, in the reading that fits best. Undecided when every item stands somewhere in
    the answer, but in no reading as an item; all items in another order, or with others, fail."""
    best, surplus = {"list of items": False}, None
    for reading in readings_of(said(answer)):
        if len(reading) > MOST_ITEMS:
            continue
        criteria = _criteria(expected, reading)
        if all(criteria.values()):
            return Finding(
                True, criteria, f"the answer {shown(answer)} has all {len(expected.items)} items and no other"
            )
        if surplus is None and _has_all_items(expected, reading):
            surplus = criteria
        best = max(best, criteria, key=lambda results: sum(results.values()))
    if surplus is not None:
        return Finding(False, surplus, f"the answer {shown(answer)} has other items too, or another order")
    whole = normalised(answer)
    if all(has_words(whole, normalised(item)) for item in expected.items):
        return undecided(f"all {len(expected.items)} items stand in {shown(answer)}, but not as a list of them")
    missing = ", ".join(name for name, ok in best.items() if not ok)
    return Finding(False, best, f"the answer {shown(answer)} fails in {missing[:200]}")


def _has_all_items(expected: ItemsExpectation, reading: list[str]) -> bool:
    given = {_key(expected, item) for item in reading}
    return len(expected.items) > 1 and all(_key(expected, item) in given for item in expected.items)


def readings_of(text: str) -> Iterator[list[str]]:
    """Yields the possible lists of items in an answer: each one is the whole answer, split in another way."""
    bare = FENCE.sub("", text).strip()
    if bare.endswith("]") and (listed := _json_list(bare)) is not None:
        yield listed
        if bare.startswith("["):
            return
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(":"):
        lines = lines[1:]
    lines = [BULLET.sub("", line, count=1).strip() for line in lines]
    yield lines
    if len(lines) == 1:
        line = lines[0].rstrip(" .")
        for separator in (";", ","):
            if separator in line:
                parts = [part.strip() for part in line.split(separator)]
                yield [*parts[:-1], re.sub(r"^(?:and|und|et|y|&) ", "", parts[-1])]
                yield [*parts[:-1], *LAST_AND.split(parts[-1], maxsplit=1)]
        yield LAST_AND.split(line, maxsplit=1)


def _json_list(text: str) -> list[str] | None:
    """The items of the last JSON value of a text, None if that is no list of texts and numbers."""
    try:
        value = last_value(text)
    except RefusedJson:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        return None
    return [one if isinstance(one, str) else json.dumps(one) for one in value]


def _criteria(expected: ItemsExpectation, reading: list[str]) -> dict[str, bool]:
    """The result by item, and `no other item`."""
    given = [_key(expected, item) for item in reading]
    wanted = [_key(expected, item) for item in expected.items]
    if expected.kind == "list":
        results = [index < len(given) and given[index] == item for index, item in enumerate(wanted)]
        others = len(given) > len(wanted)
    else:
        there = set(given)
        results = [item in there for item in wanted]
        others = bool(there.difference(wanted))
    criteria: dict[str, bool] = {}
    for item, ok in zip(expected.items, results, strict=True):
        name = printable(item) if len(criteria) < MOST_CRITERIA else "other items"
        criteria[name] = criteria.get(name, True) and ok
    return criteria | {"no other item": not others}


def _key(rules: ItemsExpectation, item: str) -> str | Decimal:
    """The form in which items are compared: a number by its value ("1,299" and "1299.0"), unless it has leading zeros,
    as codes have; other items as text."""
    if rules.exact:
        return composed(item)
    text = normalised(item)
    number = None if re.match(r"0[0-9]", text) else number_of(text)
    return text if number is None else number
