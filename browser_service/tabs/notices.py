"""Notices of a page: refusals by choice and clicks that missed, which no picture shows, in sentences of the service."""

from collections.abc import Iterable

NOTICES = (
    "the page wanted to register a service worker; service workers are blocked here, so a page that waits for one stays as it is",
    "the page wanted to read the clipboard; only the keys paste here (Control+v)",
    "the page wanted to write to the clipboard; only the keys copy here (Control+c)",
    "the page wanted to show notifications; they are refused here",
    "the page wanted to know the position; it is refused here",
    "the page wanted the camera, the microphone or the screen; they are refused here",
    "the page asked for files; the chooser was dismissed, and only an upload gives it any",
    "the element moved just when the mouse was pressed on it, and was missed; look where it is now",
)
"""By the numbers of `page/refusals.js` and `page/watch.js`. Nothing of a page's is in them."""
FILES = 6


class Notices:
    """Those of one tab since the last observation: each is said once, however often it happens."""

    def __init__(self) -> None:
        self._kinds: set[int] = set()

    def add(self, kinds: Iterable[int]) -> None:
        """Notes what a look has heard. A number without a sentence is a page's invention."""
        self._kinds.update(kind for kind in kinds if kind in range(len(NOTICES)))

    def drop(self, kind: int) -> None:
        """It was wanted: nothing is said of it."""
        self._kinds.discard(kind)

    def take(self) -> list[str]:
        """Returns the notices since the last call."""
        kinds, self._kinds = self._kinds, set()
        return [NOTICES[kind] for kind in sorted(kinds)]
