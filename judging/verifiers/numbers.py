"""Verifies a number with its tolerance and unit."""

from decimal import Decimal
from itertools import islice

from judging.verifiers.expectations import NumberExpectation
from judging.verifiers.findings import Finding, by_place
from judging.verifiers.quantities import Quantity, quantities_of
from judging.verifiers.units import unit_or_word
from judging.verifiers.wording import said, trimmed

MOST = 200
"""Largest number of numbers that are read in an answer; one with more stays undecided."""


def check_number(expected: NumberExpectation, answer: str) -> Finding:
    """Compares the answer with the number. Undecided when the number stands among other words or numbers, unless
    `within` is True and it is the only number (of the unit)."""
    text = trimmed(said(answer))
    found = list(islice(quantities_of(text, decimal_mark=expected.decimal_mark, unit=expected.unit), MOST))
    has_more = len(found) == MOST
    is_whole = len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)) and _fits(found[0], expected)
    rivals = _of_the_unit(found, expected)
    named = f"{expected.value:.12g} {expected.unit}".strip()
    return by_place(
        "number",
        expected=named,
        answer=answer,
        is_whole=is_whole,
        is_inside=any(_fits(one, expected) for one in found) or has_more or _is_unreadable(text, found),
        accepts_inside=expected.within
        and not has_more
        and bool(rivals)
        and all(_fits(one, expected) for one in rivals),
    )


def close(found: Decimal, expected: Decimal, *, absolute: float, relative: float) -> bool:
    """True if two numbers differ by no more than the larger tolerance: absolute, or a share of the expected number."""
    return abs(found - expected) <= max(Decimal(repr(absolute)), abs(expected) * Decimal(repr(relative)))


def _fits(quantity: Quantity, expected: NumberExpectation) -> bool:
    wanted = unit_or_word(expected.unit)
    if quantity.value is None or (quantity.unit is None and expected.unit_required):
        return False
    value = quantity.value
    if expected.unit and quantity.unit is not None:
        if quantity.unit.dimension != wanted.dimension:
            return False
        value = value * quantity.unit.factor / wanted.factor
    return close(value, Decimal(repr(expected.value)), absolute=expected.absolute, relative=expected.relative)


def _of_the_unit(found: list[Quantity], expected: NumberExpectation) -> list[Quantity]:
    """The numbers that could be the answer: those of the unit's dimension if there are any, otherwise all."""
    dimension = unit_or_word(expected.unit).dimension
    of_it = [one for one in found if one.unit is not None and one.unit.dimension == dimension]
    return of_it if expected.unit and of_it else found


def _is_unreadable(text: str, found: list[Quantity]) -> bool:
    """True if the whole answer is one number that this module cannot read, such as "5m" or "10²"."""
    if len(found) != 1 or len(text) > 24:
        return False
    return found[0].value is None and found[0].start <= 1 and len(text) - found[0].end <= 2
