"""Finds the calendar dates of a text, and verifies a date.

The parser is strict: only complete dates with a year of four digits count. A lenient one fills missing parts from the
present day, and then the same trajectory gets another verdict tomorrow.
"""

import re
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Literal, NamedTuple

from judging.verifiers.expectations import DateExpectation
from judging.verifiers.findings import Finding, by_place
from judging.verifiers.wording import said, trimmed

MOST = 100
"""Largest number of dates that are read in an answer; one with more stays undecided."""
MONTH_NAMES = (
    "january jan januar janvier enero ene jänner",
    "february feb februar février febrero",
    "march mar märz mär mars marzo",
    "april apr avril avr abril abr",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet juil julio",
    "august aug août agosto ago",
    "september sep sept septembre septiembre",
    "october oct oktober okt octobre octubre",
    "november nov novembre noviembre",
    "december dec dezember dez décembre déc diciembre dic",
)
"""Month names and abbreviations in English, German, French and Spanish."""
MONTHS = {name: number for number, names in enumerate(MONTH_NAMES, 1) for name in names.split()}
DATE = re.compile(
    r"""
    (?<![\w.,/-])(?:
      (?P<y1>[0-9]{4})(?P<s1>[-/.])(?P<m1>[0-9]{1,2})(?P=s1)(?P<d1>[0-9]{1,2})
    | (?P<a>[0-9]{1,2})(?P<s2>[-/.])(?P<b>[0-9]{1,2})(?P=s2)(?P<y2>[0-9]{4})
    | (?P<d3>[0-9]{1,2})(?:st|nd|rd|th|er|\.|º)?[ -]?(?:of[ ]|de[ ])?(?P<m3>[^\W\d_]{3,10})[.,]{0,2}[ -]?(?:de[ ]|del[ ])?(?P<y3>[0-9]{4})
    | (?P<m4>[^\W\d_]{3,10})\.?[ ]?(?P<d4>[0-9]{1,2})(?:st|nd|rd|th)?,?[ ](?P<y4>[0-9]{4})
    | (?P<y5>[0-9]{4})[ ]?年[ ]?(?P<m5>[0-9]{1,2})[ ]?月[ ]?(?P<d5>[0-9]{1,2})[ ]?日
    )(?=T[0-9]|[^\w]|$)(?![-/.,][0-9])
    """,
    re.VERBOSE | re.IGNORECASE,
)
WEEKDAY = re.compile(r"(?:mon|tues|wednes|thurs|fri|satur|sun)day,?[ ]?", re.IGNORECASE)
TIME = re.compile(
    r"(?:T|,?[ ](?:at[ ])?)[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?[ ]?(?:[AP]M|Z|UTC|[-+][0-9]{2}:?[0-9]{2})?",
    re.I,
)

Order = Literal["dmy", "mdy"]


class Dated(NamedTuple):
    """A date of a text. Example: "05/06/2026" is `Dated((date(2026, 6, 5), date(2026, 5, 6)), 0, 10)`."""

    readings: tuple[date, ...]
    """Possible dates; none for an impossible one, such as 31/02/2026."""
    start: int
    end: int


def dates_of(text: str, order: Order | None = None) -> Iterator[Dated]:
    """Yields the dates of a unified text. `order` reads numbers such as 05/06/2026; with dots, the day is first."""
    for match in DATE.finditer(text):
        if (parts := _parts(match, order)) is not None:
            readings = dict.fromkeys(day for part in parts if (day := _date(*part)) is not None)
            yield Dated(tuple(readings), match.start(), match.end())


def check_date(expected: DateExpectation, answer: str) -> Finding:
    """Compares the answer with the date. Undecided when the date has two readings, or stands among other words and is
    not accepted there (`within`)."""
    text = trimmed(said(answer))
    found = list(islice(dates_of(text, expected.order), MOST))
    has_more = len(found) == MOST
    sure = [_fits(one, expected) and len(one.readings) == 1 for one in found]
    return by_place(
        "date",
        expected=expected.value.isoformat(),
        answer=answer,
        is_whole=len(found) == 1 and sure[0] and _is_whole(text, found[0]),
        is_inside=has_more or any(_fits(one, expected) for one in found),
        accepts_inside=expected.within and not has_more and all(sure),
    )


def _fits(one: Dated, expected: DateExpectation) -> bool:
    return any(abs((day - expected.value).days) <= expected.days for day in one.readings)


def _is_whole(text: str, one: Dated) -> bool:
    """True if nothing but a weekday and a time stands beside the date."""
    before, after = text[: one.start], text[one.end :]
    return (not before or bool(WEEKDAY.fullmatch(before))) and (not after or bool(TIME.fullmatch(after)))


def _parts(match: re.Match[str], order: Order | None) -> list[tuple[int, int, int]] | None:
    """The readings of a match as (year, month, day); None if a word is no month."""
    if match["a"]:
        year, first, second = int(match["y2"]), int(match["a"]), int(match["b"])
        readings = {"dmy": (year, second, first), "mdy": (year, first, second)}
        if match["s2"] == ".":
            return [readings["dmy"]]
        return [readings[order]] if order else list(readings.values())
    number = next(number for number in "1345" if match[f"y{number}"])
    month = match[f"m{number}"]
    value = int(month) if month.isdigit() else MONTHS.get(month.casefold())
    return None if value is None else [(int(match[f"y{number}"]), value, int(match[f"d{number}"]))]


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
