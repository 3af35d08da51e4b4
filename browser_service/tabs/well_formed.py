"""Removes lone surrogates from texts of pages: neither JSON nor UTF-8 can encode them.

JavaScript counts an emoji as two, so a page may have one half alone, and so may any text that is cut at a length.
"""

import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")


def well_formed(said: Any) -> Any:
    r"""The same text, list or dictionary with U+FFFD for each lone surrogate. Example: `"a\ud83d"` is `"a\ufffd"`."""
    match said:
        case str():
            return _HALF.sub("\ufffd", said)
        case list():
            return [well_formed(one) for one in said]
        case dict():
            return {well_formed(name): well_formed(one) for name, one in said.items()}
    return said
