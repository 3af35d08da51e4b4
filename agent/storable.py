"""Model output -> storable values: text without unpaired surrogates, JSON with limited nesting.

Trajectories are UTF-8 and are read by a parser with limits. Other values would raise only when the step is stored, and
fail the episode.
"""

import json
from typing import Any

DEEPEST = 100
"""Largest number of nesting levels; the parser that reads trajectories fails at 200."""


def storable(text: str) -> str:
    """Joins pairs of surrogates to their character; replaces an unpaired one by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def load_json(content: str | bytes) -> Any:
    """Parses JSON with all its text storable. Raises ValueError for invalid JSON, or for nesting too deep."""
    try:
        return _mended(json.loads(content), DEEPEST)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _mended(value: Any, levels: int) -> Any:
    if not levels:
        raise ValueError("the JSON is nested too deeply")
    match value:
        case str():
            return storable(value)
        case list():
            return [_mended(each, levels - 1) for each in value]
        case dict():
            return {storable(name): _mended(each, levels - 1) for name, each in value.items()}
    return value
