"""The tabs of one session: the active one, and the limit of their number."""

from collections.abc import Iterator

from playwright.async_api import BrowserContext, Page, Request
from playwright.async_api import Error as PlaywrightError

from browser_service.background import Background
from browser_service.models import Tab
from browser_service.tabs.downloads import Downloads
from browser_service.tabs.tab import FailedDocument, OpenTab

LONGEST_URL = 8_192
"""Maximum length of a URL that is shown; a page can make its own arbitrarily long."""


class Tabs:
    """The open tabs in the order of opening. A new one becomes active; when it closes, the previous one does."""

    def __init__(self, context: BrowserContext, limit: int, downloads: Downloads) -> None:
        self._context = context
        self._downloads = downloads
        self._limit = limit
        self._open: list[OpenTab] = []
        self._visited: list[OpenTab] = []
        """The same tabs, the active one last."""
        # A page may be gone before it is closed.
        self._background = Background(PlaywrightError)
        self._failed_early: FailedDocument | None = None
        """The failed document of a tab, if it failed before the tab was open."""
        context.on("page", self._follow)
        context.on("requestfailed", self._request_failed)

    @property
    def active(self) -> OpenTab:
        """The tab for actions and observations."""
        if not self._visited:
            raise PlaywrightError("the page closed itself and left no tab")
        return self._visited[-1]

    @property
    def is_full(self) -> bool:
        """True if no more tabs can be opened."""
        return len(self._open) >= self._limit

    @property
    def has_crashed(self) -> bool:
        """True if the renderer of any tab is dead."""
        return any(tab.crashed for tab in self._open)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenTab]:
        return iter(self._open)

    def listed(self) -> list[Tab]:
        """The tabs as clients see them."""
        return [
            Tab(url=tab.page.url[:LONGEST_URL], title=tab.title, active=tab is self._visited[-1])
            for tab in self._open
            if self._visited
        ]

    async def open(self) -> None:
        """Opens an empty tab and makes it the active one."""
        await self._context.new_page()
        await self.active.world()

    async def switch(self, index: int) -> None:
        """Makes another tab the active one."""
        tab = self._open[index]
        self._visited.remove(tab)
        self._visited.append(tab)
        await tab.page.bring_to_front()

    async def close(self, index: int | None = None) -> None:
        """Closes a tab, the active one by default."""
        tab = self.active if index is None else self._open[index]
        await tab.page.close()
        self._forget(tab)

    async def close_others(self) -> None:
        """Leaves the first tab only."""
        while len(self._open) > 1:
            tab = self._open[-1]
            await tab.page.close()
            self._forget(tab)

    def _follow(self, page: Page) -> None:
        tab = OpenTab(page, self._downloads)
        any(opener.loading.tab_opened() for opener in reversed(self._visited))
        self._open.append(tab)
        tab.failed_document, self._failed_early = self._failed_early, None
        self._visited.append(tab)
        page.on("close", lambda _: self._forget(tab))
        while len(self._open) > self._limit:
            oldest_popup = self._open[1]
            self._forget(oldest_popup)
            self._background.start(oldest_popup.page.close())

    def _request_failed(self, request: Request) -> None:
        """Remembers a main document that did not load."""
        if not request.is_navigation_request():
            return
        failed = FailedDocument(request.url, request.failure or "")
        try:
            frame = request.frame
        except PlaywrightError:  # its tab is not open yet
            self._failed_early = failed
            return
        if frame.parent_frame is None:
            tab = next((tab for tab in self._open if tab.page == frame.page), None)
            if tab:
                tab.failed_document = failed
            else:
                self._failed_early = failed

    def _forget(self, tab: OpenTab) -> None:
        tab.is_gone = True
        if tab in self._open:
            self._open.remove(tab)
            self._visited.remove(tab)
