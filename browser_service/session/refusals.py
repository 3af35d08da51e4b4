"""What pages asked the browser for and the service refuses by choice, in sentences of our own: nothing of a page's is in them."""

from collections.abc import Iterable

REFUSALS = (
    "the page wanted to register a service worker; service workers are blocked here, so a page that waits for one stays as it is",
    "the page wanted to read the clipboard; only the keys paste here (Control+v)",
    "the page wanted to write to the clipboard; only the keys copy here (Control+c)",
    "the page wanted to show notifications; they are refused here",
    "the page wanted to know the position; it is refused here",
    "the page wanted the camera, the microphone or the screen; they are refused here",
)
"""By the numbers of `page/refusals.js`."""


class Refusals:
    """The refusals of one tab since the last observation: each kind is said once, however often the page asks."""

    def __init__(self) -> None:
        self._kinds: set[int] = set()

    def add(self, kinds: Iterable[int]) -> None:
        """Notes what a look has heard. A number without a sentence is a page's invention."""
        self._kinds.update(kind for kind in kinds if kind in range(len(REFUSALS)))

    def take(self) -> list[str]:
        """What was refused since the last call."""
        kinds, self._kinds = self._kinds, set()
        return [REFUSALS[kind] for kind in sorted(kinds)]
