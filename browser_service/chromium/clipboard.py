"""Keeps what one session copies from being pasted in another, though a Chromium has one clipboard for all its sessions.

Pages can neither copy nor paste by themselves (`clipboard.js`), only keys can; and the key that pastes is pressed only for
the session that was the last to press one that copies.
"""

from collections.abc import Sequence
from pathlib import Path

CLIPBOARD_SCRIPT = (Path(__file__).parent / "clipboard.js").read_text(encoding="utf-8")
CONTROL = frozenset({"control", "ctrl", "meta", "cmd", "controlormeta", "controlleft", "controlright"})
SHIFT = frozenset({"shift", "shiftleft", "shiftright"})
COPYING = frozenset({"c", "x", "insert", "keyc", "keyx"})
PASTING = frozenset({"v", "keyv"})


class Clipboard:
    """Whose content the clipboard of one Chromium is."""

    def __init__(self) -> None:
        self._holder: object | None = None

    def allows(self, session: object, keys: Sequence[str]) -> bool:
        """Whether the session may press this chord now. One that copies makes it the holder."""
        pressed = {part.lower() for key in keys for part in (key.split("+") if len(key) > 1 else [key])}
        control, shift = bool(pressed & CONTROL), bool(pressed & SHIFT)
        if (control and pressed & COPYING) or (shift and "delete" in pressed):
            self._holder = session
        pastes = (control and pressed & PASTING) or (shift and "insert" in pressed)
        return not pastes or self._holder is session

    def forget(self, session: object) -> None:
        """The session's lease is over: what it copied is nobody's."""
        if self._holder is session:
            self._holder = None
