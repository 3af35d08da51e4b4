"""The log of the console of a session's pages: bounded, for people who look at an episode. Only leases that ask have it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import BrowserContext, ConsoleMessage, WebError

from browser_service.models.console import ConsoleHead, ConsoleLine
from browser_service.session.request_log import clean, without_user

MOST = 500
"""Messages of one session. Then the listeners go, so that a page that writes without end costs nothing more."""
LONGEST_TEXT, LONGEST_URL = 2_000, 2_048


@dataclass
class ConsoleLog:
    """The console messages of one context while a lease lasts."""

    context: BrowserContext
    clock: Callable[[], float] = time.monotonic
    steps: int = 0
    """Number of steps that have begun; the session counts them."""
    _began: float = 0.0
    _lines: list[ConsoleLine] = field(default_factory=list)
    _listens: bool = False

    def start(self) -> None:
        """Follows all pages of the context from now on."""
        self._began = self.clock()
        self._listens = True
        self.context.on("console", self._said)
        self.context.on("weberror", self._threw)

    def stop(self) -> None:
        """Follows no further messages."""
        if self._listens:
            self._listens = False
            self.context.remove_listener("console", self._said)
            self.context.remove_listener("weberror", self._threw)

    def write(self, path: Path) -> None:
        """Writes the log as JSON lines: `ConsoleHead`, then each `ConsoleLine`. Blocks: call it in a thread."""
        head = ConsoleHead(steps=self.steps, full=len(self._lines) >= MOST)
        lines = [head.model_dump_json(), *(line.model_dump_json(exclude_defaults=True) for line in self._lines)]
        path.write_text("".join(f"{line}\n" for line in lines))

    def _said(self, message: ConsoleMessage) -> None:
        place = message.location
        self._add(message.type, message.text, place.get("url", ""), place.get("lineNumber", 0))

    def _threw(self, error: WebError) -> None:
        self._add("exception", str(error.error), "", 0)

    def _add(self, kind: str, text: str, url: str, line: int) -> None:
        if not self._listens:
            return
        at_s = round(max(0.0, self.clock() - self._began), 3)
        address = clean(without_user(url)[:LONGEST_URL])
        self._lines.append(
            ConsoleLine(
                step=self.steps,
                at_s=at_s,
                kind=clean(kind)[:20],
                text=clean(text[:LONGEST_TEXT]),
                url=address,
                line=max(0, line),
            )
        )
        if len(self._lines) >= MOST:
            self.stop()
