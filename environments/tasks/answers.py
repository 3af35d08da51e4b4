"""Answers of agents: the number, or the name, that a task asks for, and nothing beside it.

A number among other words may be affirmed or denied ("not 42"), so only an answer that is the number counts.
"""

import re

CURRENCY = r"(?:[$€£]|EUR|USD|GBP|euros?|dollars?|pounds?)"
GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
NUMBER = re.compile(rf"{CURRENCY}?\s*(?P<number>-?\d[\d.,]*?)\s*{CURRENCY}?\s*[.!]?", re.IGNORECASE)
PLAIN = re.compile(r"-?\d{1,15}(?:[.,]\d{1,6})?")
QUOTES = "\"'`\u201c\u201d\u2018\u2019 "


def number_in(answer: str) -> float | None:
    """The number that the answer is, with or without a currency and a full stop; None for any other answer.

    Example: `number_in("12,50 EUR") == 12.5`, `number_in("$1,250.00") == 1250.0`, `number_in("not 42") is None`.
    """
    found = NUMBER.fullmatch(answer.strip())
    if found is None:
        return None
    text = found["number"]
    if GROUPED.fullmatch(text):
        return float(text.replace(",", ""))
    return float(text.replace(",", ".")) if PLAIN.fullmatch(text) else None


def is_number(answer: str, expected: float) -> bool:
    """True if the answer is this number."""
    found = number_in(answer)
    return found is not None and abs(found - expected) < 1e-6


def is_text(answer: str, expected: str) -> bool:
    """True if the answer is this text, whatever its case, spaces, quotes and full stop at the end."""
    return _plain(answer) == _plain(expected)


def _plain(text: str) -> str:
    return " ".join(text.strip().rstrip(".!").strip(QUOTES).casefold().split())
