"""Keeps the clipboard content of one session from other sessions, although a Chromium has one clipboard for all.

Pages can neither copy nor paste by themselves (`clipboard.js`), only keys can; and a paste chord is pressed only for
the session that was the last to press a copy chord.
"""

from collections.abc import Sequence
from pathlib import Path

CLIPBOARD_SCRIPT = (Path(__file__).parent / "clipboard.js").read_text(encoding="utf-8")
CONTROL = frozenset({"control", "ctrl", "meta", "cmd", "controlormeta", "controlleft", "controlright"})
SHIFT = frozenset({"shift", "shiftleft", "shiftright"})
COPYING = frozenset({"c", "x", "insert", "keyc", "keyx"})
PASTING = frozenset({"v", "keyv"})


class Clipboard:
    """The owner of the clipboard content of one Chromium."""

    def __init__(self) -> None:
        self._holder: object | None = None

    def allows(self, session: object, keys: Sequence[str]) -> bool:
        """True if the session may press this chord now. A copy chord makes the session the owner."""
        pressed = {part.lower() for key in keys for part in (key.split("+") if len(key) > 1 else [key])}
        control, shift = bool(pressed & CONTROL), bool(pressed & SHIFT)
        if (control and pressed & COPYING) or (shift and "delete" in pressed):
            self._holder = session
        pastes = (control and pressed & PASTING) or (shift and "insert" in pressed)
        return not pastes or self._holder is session

    def forget(self, session: object) -> None:
        """Ends the ownership of a session whose lease is over: no session may paste its content."""
        if self._holder is session:
            self._holder = None
