"""Finds the numbers of a text, with their signs, scales and units."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from judging.verifiers.units import SCALES, UNITS, Unit, unit_named, unit_or_word

LONGEST = 60
"""Largest number of characters of a number. A longer one is found, but not read."""
QUANTITY = re.compile(
    r"""
    (?:(?<![\w.,)\]])(?P<sign>[-+])[ ]?)?
    (?:(?<![A-Za-z])(?P<ahead>US\$|[$€£¥₹₩]|[A-Za-z]{3}(?=[ 0-9]))[ ]?)?
    (?P<inner>(?<![\w.,)\]])[-+])?
    (?P<digits>\.?[0-9]+(?:[.,'][0-9]+|[ ][0-9]{3}(?![0-9]))*(?:[eE][-+]?[0-9]{1,3}(?!\w))?)
    """,
    re.VERBOSE,
)
WORD = re.compile(r"[ ]?(?P<word>°[CcFf]|[%$€£¥₹₩¢]|[^\W\d_]{1,20})(?!\w)")
NOTATION = re.compile(r"[0-9.,' ]+(?:[eE][-+]?[0-9]{1,3})?")
GROUPED = r"[1-9]\d{0,2}(?:%s\d{3})+|[1-9]\d?(?:%s\d{2})+%s\d{3}"
"""Groups of three digits, or Indian ones (1,00,000), for a separator."""
CLEAR = frozenset({"km", "kg", "cm", "mm"})
"""Units of two letters that are no words."""


class Quantity(NamedTuple):
    """A number of a text. Example: the one of "about $1.5M": `Quantity(Decimal(1500000), UNITS["$"], 6, 11)`."""

    value: Decimal | None
    """None if the digits are no number, such as those of a version, a time or "A42"."""
    unit: Unit | None
    """None for a number without a unit."""
    start: int
    end: int


def quantities_of(text: str, *, decimal_mark: str = ".", unit: str = "") -> Iterator[Quantity]:
    """Yields the numbers of a unified text.

    `unit` is the expected one. It is known whatever its spelling; one or two letters (m, s, in) are a unit only if the
    expected one has the same dimension.
    """
    for match in QUANTITY.finditer(text):
        ahead = unit_named(match["ahead"]) if match["ahead"] else None
        start = match.start() if ahead or not match["ahead"] else match.end() - len(match["digits"])
        signs = [sign for sign in (match["sign"] if ahead or not match["ahead"] else "", match["inner"]) if sign]
        tail = _tail(text, match.end(), unit)
        value = number_of(match["digits"], decimal_mark)
        if (
            tail.is_joined
            or len(signs) > 1
            or _is_joined_before(text, start)
            or (ahead and tail.unit not in (None, ahead))
        ):
            value = None
        if value is not None:
            value = value.scaleb(tail.power) * (-1 if signs == ["-"] else 1)
        yield Quantity(value, ahead or tail.unit, start, tail.end)


class _Tail(NamedTuple):
    """The power of ten and the unit after a number."""

    power: int
    unit: Unit | None
    end: int
    is_joined: bool
    """True if the digits are part of something else: "5th", "12:30", "2026-05"."""


def _tail(text: str, place: int, expected: str) -> _Tail:
    power = 0
    word = WORD.match(text, place)
    if word and word["word"] in SCALES:
        power, place = SCALES[word["word"]], word.end()
        word = WORD.match(text, place)
    if " " in expected:
        start = place + text.startswith(" ", place)
        if text[start : start + len(expected)].casefold() == expected.casefold():
            return _Tail(power, unit_or_word(expected), start + len(expected), False)
    if word and (unit := _unit(word["word"], expected)) is not None:
        return _Tail(power, unit, word.end(), False)
    after, next_one = text[place : place + 1], text[place + 1 : place + 2]
    is_joined = after.isalnum() or after in tuple("_^°") or (after in tuple("-:/") and next_one.isalnum())
    return _Tail(power, None, place, is_joined)


def _is_joined_before(text: str, start: int) -> bool:
    """True if the characters before a number make it part of something else: "A42", "12:30", "v1.2"."""
    before, further = text[max(0, start - 1) : start], text[max(0, start - 2) : max(0, start - 1)]
    return before.isalnum() or before in tuple("_./^") or (before in tuple(",:") and further.isdigit())


def _unit(word: str, expected: str) -> Unit | None:
    wanted = unit_or_word(expected)
    if word.casefold() == expected.casefold():
        return wanted
    unit = UNITS.get(word.casefold())
    is_short = len(word) <= 2 and word.isascii() and word.isalpha() and word not in CLEAR
    return None if unit is None or (is_short and unit.dimension != wanted.dimension) else unit


def number_of(digits: str, decimal_mark: str = ".") -> Decimal | None:
    """The value of digits with separators, None if they are no number.

    With both separators, the last one is the decimal mark. `decimal_mark` decides where only one is there, once, before
    three digits: `number_of("1,299") == 1299` and `number_of("1,299", ",") == Decimal("1.299")`.
    """
    if len(digits) > LONGEST or not NOTATION.fullmatch(digits):
        return None
    body, _, exponent = digits.replace("E", "e").partition("e")
    whole, fraction = _split(body, decimal_mark)
    for separator in (",", r"\.", "'", " "):
        if whole.isdigit() or not whole:
            break
        if re.fullmatch(GROUPED.replace("%s", separator), whole):
            whole = re.sub(r"\D", "", whole)
    if not (whole.isdigit() or (not whole and fraction)) or not (fraction.isdigit() or not fraction):
        return None
    return Decimal(f"{whole or 0}.{fraction or 0}").scaleb(int(exponent or 0))


def _split(body: str, decimal_mark: str) -> tuple[str, str]:
    """The digits before and after the decimal mark."""
    marks = [letter for letter in body if letter in ".,"]
    if not marks or (len(marks) > 1 and len(set(marks)) == 1):
        return body, ""
    mark = marks[-1]
    if marks.count(mark) > 1:
        return body, ""
    whole, _, fraction = body.rpartition(mark)
    is_group = len(marks) == 1 and mark != decimal_mark and len(fraction) == 3 and re.fullmatch(r"[1-9]\d{0,2}", whole)
    return (body, "") if is_group else (whole, fraction)
