"""Vocabulary of the cases: marks, clicks, keys and drags, as an agent has them; only `expect` reads page state."""

import re
import time
from collections.abc import Callable
from typing import Any

from benchmarks.widgets.site import Site
from browser_service import models as wire
from browser_service.client.sync import SyncBrowser
from browser_service.models.actions import Action

STATE_S = 5.0
"""Seconds that a page may take to report an effect."""
LOOK = wire.ObserveRequest()
"""An agent's observation, with a picture."""


class Missed(AssertionError):
    """The service could not do what a person can do on this page."""


class Hands:
    """One lease on the page of one widget."""

    def __init__(self, browser: SyncBrowser, site: Site) -> None:
        self._browser, self._site = browser, site
        self.seen: wire.Observation | None = None

    def open(self, page: str) -> None:
        """Visits a page of `pages/`, and waits until its widget has reported a state."""
        self._site.state = None
        self.act(wire.VisitPage(url=f"http://{self._site.address}/{page}.html"))
        end = time.monotonic() + STATE_S
        while self._site.state is None and time.monotonic() < end:
            self.act(wire.Sleep(duration=0.1))

    def act(self, action: Action) -> None:
        """Takes one action. Raises `Missed` when the service reports that it had no effect."""
        reply = self._browser.step(action, LOOK)
        self.seen = reply.observation
        if reply.error:
            raise Missed(f"{action.kind}: {reply.error.code} {reply.error.message}")

    def mark(self, name: str, role: str = "") -> wire.Mark:
        """Returns the first mark whose name and role match. Raises `Missed`."""
        marks = self.seen.marks if self.seen else []
        for mark in marks:
            if re.search(name, mark.name) and re.fullmatch(role or ".*", mark.role):
                return mark
        found = ", ".join(f'{mark.role} "{mark.name[:30]}"' for mark in marks[:20])
        raise Missed(f"no mark /{name}/ of role /{role}/ among {found}")

    def click(self, name: str, role: str = "") -> None:
        """Clicks a mark."""
        self.act(wire.ClickId(id=self.mark(name, role).id))

    def type(self, value: str, name: str, role: str = "", *, enter: bool = False) -> None:
        """Replaces the content of a field."""
        self.act(wire.FillId(id=self.mark(name, role).id, value=value, press_enter=enter, delete_existing=True))

    def expect(self, what: str, is_true: Callable[[dict[str, Any]], bool]) -> None:
        """Waits until the page's own state passes a check. Raises `Missed`."""
        end = time.monotonic() + STATE_S
        while True:
            try:
                if self._site.state is not None and is_true(self._site.state):
                    return
            except (KeyError, TypeError, IndexError, AttributeError):
                pass  # the widget has not reported it yet
            if time.monotonic() > end:
                raise Missed(f"{what}: the page says {str(self._site.state)[:200]}")
            time.sleep(0.05)
