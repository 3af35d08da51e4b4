"""Pending loads of one page: documents, content, and tabs that it has opened."""

import asyncio
import time

from playwright.async_api import Page, Request

# A request older than this is a long poll or a stream, which the page does not wait for. Documents always count.
LONG_POLL_AFTER_S = 1.0
# Seconds that an announced tab is waited for.
NEW_TAB_S = 5.0
# Resource types that a page needs to look complete; sockets, pings and media never end or are not visible.
CONTENT = frozenset({"document", "stylesheet", "script", "image", "font", "fetch", "xhr"})


class Loading:
    """Follows the requests of a page from its creation."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._requests: dict[Request, float] = {}
        self._tabs: list[float] = []
        """Times at which tabs were announced that are not open yet."""
        self._changed = asyncio.Event()
        page.on("request", self._started)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("domcontentloaded", lambda _: self._changed.set())
        page.on("close", lambda _: self._changed.set())

    def is_loading(self) -> bool:
        """True while needed content, or a tab that the page has opened, is pending."""
        oldest = time.monotonic() - LONG_POLL_AFTER_S
        return self.is_opening() or any(
            since > oldest or request.is_navigation_request() for request, since in self._requests.items()
        )

    def is_opening(self) -> bool:
        """True while a tab that the page opened is pending."""
        return any(time.monotonic() - since < NEW_TAB_S for since in self._tabs)

    def is_navigating(self) -> bool:
        """True while the main document is pending."""
        return any(self.is_main_document(request) for request in self._requests)

    def is_main_document(self, request: Request) -> bool:
        """True if this request is for the page's own document, not for that of a frame."""
        return request.is_navigation_request() and request.frame == self._page.main_frame

    async def change(self, timeout_s: float) -> None:
        """Returns once a pending load has ended, or after the timeout."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def tab_announced(self) -> None:
        """Records that the page is about to open a tab."""
        self._tabs.append(time.monotonic())

    def tab_opened(self) -> bool:
        """Records a new tab; returns true if this page was waiting for it."""
        was_waiting = bool(self._tabs)
        del self._tabs[:1]
        self._changed.set()
        return was_waiting

    def give_up(self) -> None:
        """Drops all pending loads: the renderer is dead."""
        self._requests.clear()
        self._changed.set()

    def _started(self, request: Request) -> None:
        if request.resource_type in CONTENT:
            self._requests[request] = time.monotonic()

    def _ended(self, request: Request) -> None:
        self._requests.pop(request, None)
        self._changed.set()
