"""Output of a hostile or broken model: unpaired surrogates, huge numbers, deep nesting; as JSON and as calls."""

import json
from typing import Any

from hypothesis import strategies as st

HALF = "\ud83d"
"""The first half of an emoji."""
HUGE = (10**30, 10**400, -(10**400), 10**4_000, 1e308, float("inf"), float("nan"))


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


texts = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from([HALF, f"a{HALF}", "\udc00"])
"""Of any code points, surrogates too."""
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(HUGE)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Anything that JSON can hold, and some that it can't."""
literals = st.one_of(
    scalars.map(repr),
    texts.map(json.dumps),
    st.integers(0).map(hex),
    st.sampled_from(["0x" + "f" * 4_000, "-0x" + "f" * 4_000, "9" * 5_000, "1e999", '"\\ud83d"', '"\\ud83d\\ude00"']),
    st.sampled_from(["(" * 150 + "1" + ")" * 150, "-" * 900 + "1", "[" * 90 + "]" * 90, 'b"a"', "1j", "*a", "**a"]),
)
"""Arguments of a call as Python writes them, and as it doesn't."""
