"""Bands of difficulty: `1-3`, `4-6`, `7-`, `5`. Keys of the horizon and ratio settings."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator

FORM = re.compile(r"(?P<first>\d{1,9})(?P<dash>-)?(?P<last>\d{1,9})?")

Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
"""A band or a field's value as a YAML key, where a plain 5 is a number."""


class Band(NamedTuple):
    """Whole numbers from `first` to `last`, both included. Example: `parse_band("4-6") == Band(4, 6)`."""

    first: int
    last: int | None
    """None: no upper bound."""

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number and (self.last is None or number <= self.last)


def parse_band(text: str) -> Band:
    """Parses a band such as `1-3`, `7-` or `5`. Raises ValueError."""
    match = FORM.fullmatch(text.strip())
    if match is None or (match["last"] and not match["dash"]):
        raise ValueError(f"Expected a number or a band such as 1-3 or 7-, found {text!r}.")
    first = int(match["first"])
    band = Band(first, int(match["last"]) if match["last"] else None if match["dash"] else first)
    if band.last is not None and band.last < band.first:
        raise ValueError(f"Expected a band that ends after it begins, found {text!r}.")
    return band


def check_apart(texts: Iterable[str]) -> None:
    """Raises ValueError for a text that is no band, or for two bands that overlap."""
    bands = sorted((parse_band(text), text) for text in texts)
    for (before, one), (after, other) in pairwise(bands):
        if before.last is None or before.last >= after.first:
            raise ValueError(f"The bands {one} and {other} overlap.")


def band_of(number: int, texts: Iterable[str]) -> str | None:
    """The first of the bands, as text, that contains the number; None if none does."""
    return next((text for text in texts if number in parse_band(text)), None)
