"""Escalation around each use of a session: a deadline, and an error that names the broken part.

each call has an outer deadline -> the context is closed, with a deadline -> the session is lost, its lease with it
-> a context that does not close costs its Chromium a strike, or gets it killed (`chromium.py`); a dead Chromium is
   replaced (`fleet.py`)
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from playwright.async_api import Error as PlaywrightError

from browser_service.chromium.chromium import Chromium
from browser_service.errors import BrowserServiceError, DeadlineExceeded, PageCrashed
from browser_service.tabs.world import PageMoved

DIAGNOSIS_GLANCES = 10
DIAGNOSIS_GLANCE_S = 0.02


class Ladder:
    """The usability of one session, and the reason if it is lost."""

    def __init__(self, chromium: Chromium, has_crashed: Callable[[], bool]) -> None:
        """`has_crashed`: true once a renderer of the session is known to be dead."""
        self.lost: BrowserServiceError | None = None
        """The reason why the session can't be used any more; every later call raises it."""
        self._chromium = chromium
        self._has_crashed = has_crashed

    def mark(self, reason: BrowserServiceError) -> BrowserServiceError:
        """Makes every later call raise `reason`, or an earlier one; returns the one in force."""
        self.lost = self.lost or reason
        return self.lost

    @asynccontextmanager
    async def guarded(self, what: str, deadline_s: float) -> AsyncGenerator[None, None]:
        """Surrounds a use of the browser; `what` names it in messages. Raises the fault of the session."""
        if self.lost:
            raise type(self.lost)(self.lost.detail)
        try:
            async with asyncio.timeout(deadline_s):
                yield
        except TimeoutError as error:
            late = DeadlineExceeded(f"{what} did not end within {deadline_s:g} s; the session is closed")
            raise self.mark(late) from error
        except (PlaywrightError, PageMoved) as error:  # a page that moves is lost here: no caller retries
            raise self.mark(await self._diagnosis(what, str(error) or "the page went away")) from error
        except BrowserServiceError as error:
            self.mark(error)
            raise

    async def _diagnosis(self, what: str, message: str) -> BrowserServiceError:
        """Finds the dead part: the crash and disconnect events follow the error by some milliseconds."""
        for _ in range(DIAGNOSIS_GLANCES):
            if self.lost:
                return self.lost
            if not self._chromium.is_alive:
                return self._chromium.why_lost()
            if self._has_crashed() or "crashed" in message.lower():
                return PageCrashed("the page's renderer died; ask for a new lease")
            await asyncio.sleep(DIAGNOSIS_GLANCE_S)
        return PageCrashed(f"{what} failed: {message.splitlines()[0][:300]}; ask for a new lease")
