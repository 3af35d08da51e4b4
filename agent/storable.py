"""What models write -> what can be stored: text without halves of characters, JSON that is not bottomless.

Trajectories are UTF-8 and are read back by a parser that has limits. What fits neither would be found out only when the
step is kept, and would take the episode along.
"""

import json
from typing import Any

DEEPEST = 100
"""Levels of nesting; the parser that reads trajectories gives up at 200."""


def storable(text: str) -> str:
    """The text with pairs of surrogates joined to the character that they mean; one without its other half becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def load_json(content: str | bytes) -> Any:
    """JSON with all its text storable. Raises ValueError for what is no JSON, or nested too deeply."""
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
