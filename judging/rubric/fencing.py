"""Untrusted text -> data between two lines with the marker of the call, which no page and no answer can know.

<<5f0c.. answer
The lamp costs 42 EUR.
5f0c..>>
"""

import hashlib
import hmac
import json

from agent.prompting.control_tokens import GENERIC
from agent.storable import storable


def marker_of(secret: bytes, *content: str) -> str:
    """The marker of a call: unguessable without the secret, and the same for the same call.

    A random one would change the prompt at each repetition, and with it the reply.
    """
    return hmac.new(secret, json.dumps(content).encode(), hashlib.sha256).hexdigest()[:32]


class Fence:
    """Fences the texts of one call."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def around(self, label: str, text: str, limit: int) -> str:
        """The text between two marked lines, cut at `limit` characters. `label` is this project's own text."""
        return f"<<{self.marker} {label}\n{self.plain(text, limit)}\n{self.marker}>>"

    def plain(self, text: str, limit: int) -> str:
        """The text without control tokens of a chat template and without the marker, cut at `limit` characters."""
        shown = text if len(text) <= limit else f"{text[:limit]}\n[{len(text) - limit} more characters are cut off]"
        return GENERIC.defused(storable(shown).replace(self.marker, "(marker)"))
