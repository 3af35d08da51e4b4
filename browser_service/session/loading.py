"""What one page waits for: documents and content on their way, and tabs that it has opened."""

import asyncio
import time

from playwright.async_api import Page, Request

# A request older than this is a long poll or a stream: the page is not waiting for it. Documents always count.
LONG_POLL_AFTER_S = 1.0
# How long an announced tab is waited for.
NEW_TAB_S = 5.0
# What a page needs to look complete; sockets, pings and media never end or never show.
CONTENT = frozenset({"document", "stylesheet", "script", "image", "font", "fetch", "xhr"})


class Loading:
    """Follows the requests of a page from the moment it is made."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._requests: dict[Request, float] = {}
        self._tabs: list[float] = []
        """When those tabs were announced that are not there yet."""
        self._changed = asyncio.Event()
        page.on("request", self._started)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("domcontentloaded", lambda _: self._changed.set())
        page.on("close", lambda _: self._changed.set())

    def is_loading(self) -> bool:
        """Whether content that the page needs is on its way, or a tab that it has opened."""
        oldest = time.monotonic() - LONG_POLL_AFTER_S
        return self.is_opening() or any(
            since > oldest or request.is_navigation_request() for request, since in self._requests.items()
        )

    def is_opening(self) -> bool:
        """Whether a tab that the page opened is on its way."""
        return any(time.monotonic() - since < NEW_TAB_S for since in self._tabs)

    def is_navigating(self) -> bool:
        """Whether the main document is on its way."""
        return any(self.is_main_document(request) for request in self._requests)

    def is_main_document(self, request: Request) -> bool:
        """Whether this is what the page itself goes to, and not one of its frames."""
        return request.is_navigation_request() and request.frame == self._page.main_frame

    async def change(self, timeout_s: float) -> None:
        """Returns once something that the page loads has ended, or after the time."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def tab_announced(self) -> None:
        """The page opens a tab: it will be there in a moment."""
        self._tabs.append(time.monotonic())

    def tab_opened(self) -> bool:
        """A new tab is there; answers whether this page was waiting for it."""
        was_waiting = bool(self._tabs)
        del self._tabs[:1]
        self._changed.set()
        return was_waiting

    def give_up(self) -> None:
        """Nothing comes any more: the renderer is dead."""
        self._requests.clear()
        self._changed.set()

    def _started(self, request: Request) -> None:
        if request.resource_type in CONTENT:
            self._requests[request] = time.monotonic()

    def _ended(self, request: Request) -> None:
        self._requests.pop(request, None)
        self._changed.set()
