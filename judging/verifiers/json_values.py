"""Reads JSON strictly: duplicate keys, NaN, endless numbers and deep nesting are refused; and finds it in an answer."""

import json
import math
import re
from typing import Any

from pydantic import JsonValue

DEEPEST = 64
"""Largest number of objects and lists around each other."""
FENCE = re.compile(r"```[A-Za-z0-9]{0,20}\n?|```")
LOOKS_LIKE_JSON = re.compile(
    r"""\{\s{0,20}(?:["'}]|[A-Za-z_]\w{0,40}\s?:) | \[\s{0,20}(?:["'\[{\]]|-?[0-9])""", re.VERBOSE
)
"""Begins an object or a list that is meant as JSON, rather than a remark in brackets."""
OPENING = re.compile(r"[\[{]")
STRING_OR_BRACKET = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[\[\]{}]')
"""A string of JSON ends at the end of the line at the latest, so a stray quote hides nothing on the next line."""


class RefusedJson(ValueError):
    """Text that is meant as JSON but is refused. The message names the reason and quotes nothing."""


def parse_strictly(text: str) -> JsonValue:
    """The value of a JSON text. Raises `RefusedJson`."""
    if depth_of(text) > DEEPEST:
        raise RefusedJson(f"nested deeper than {DEEPEST}")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except RefusedJson:
        raise
    except json.JSONDecodeError as error:
        raise RefusedJson(f"not JSON: {error.msg.lower()} at character {error.pos}") from None
    except (ValueError, RecursionError):
        raise RefusedJson("a number that is too long, or nested too deeply") from None


def last_value(answer: str) -> JsonValue:
    """The last balanced object or list in a text, fenced or not. Raises `RefusedJson` if there is none or it is refused.

    Brackets of prose, such as "[see above]", are passed over. Malformed JSON after the last value is not, and neither is
    JSON that is never closed: an earlier or inner value is not what the agent said last.
    """
    spans, unclosed = _spans(answer)
    if any(LOOKS_LIKE_JSON.match(answer, place) for place in unclosed):
        raise RefusedJson("an object or list is not closed")
    for start, end in reversed(spans):
        try:
            return parse_strictly(answer[start:end])
        except RefusedJson:
            if LOOKS_LIKE_JSON.match(answer, start):
                raise
    raise RefusedJson("no object or list in the answer")


def only_value(answer: str) -> JsonValue:
    """The value of an answer that is nothing but JSON, fenced or not. Raises `RefusedJson`."""
    return parse_strictly(FENCE.sub("", answer).strip())


def depth_of(text: str) -> int:
    """Largest number of brackets around each other, outside of strings."""
    depth = deepest = 0
    for match in STRING_OR_BRACKET.finditer(text):
        if match[0][0] != '"':
            depth += 1 if match[0] in ("{", "[") else -1
            deepest = max(deepest, depth)
    return deepest


def _spans(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """The outermost balanced spans, in order, and the places of brackets that are never closed. Takes linear time.

    Quotes count inside of brackets only: those of the prose around them need not be paired.
    """
    spans: list[tuple[int, int]] = []
    unclosed: list[int] = []
    opened: list[int] = []
    place = 0
    while match := (STRING_OR_BRACKET if opened else OPENING).search(text, place):
        place, mark = match.end(), match[0]
        if mark in ("{", "["):
            opened.append(match.start())
        elif mark[0] != '"':
            if text[opened[-1]] + mark not in ("{}", "[]"):
                unclosed += opened
                opened = []
                continue
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, place))
    return spans, unclosed + opened


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise RefusedJson("a key is there twice")
    return value


def _constant(name: str) -> float:
    raise RefusedJson(f"{name} is no JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RefusedJson("a number that is too large")
    return value
