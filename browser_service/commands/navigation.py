"""Navigation of the tabs: addresses, history, opening, switching, closing."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from browser_service import models
from browser_service.commands.hand import ActionFailed, Hand
from browser_service.tabs.tab import OpenTab
from browser_service.tabs.world import PageMoved

INTERRUPTED = "interrupted by another navigation"
TRIES_TO_LEAVE = 4


def check_address(url: str) -> None:
    """Raises `ActionFailed` (NAV_BLOCKED) for anything but http, https and about:blank."""
    if url == "about:blank":
        return
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ActionFailed("NAV_BLOCKED", f"{url[:100]!r} is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ActionFailed("NAV_BLOCKED", f"{url[:100]!r} can't be visited: only http:// and https:// addresses can")


async def visit_page(hand: Hand, action: models.VisitPage) -> None:
    check_address(action.url)
    await _visit(hand, action.url)


async def back(hand: Hand, action: models.Back) -> None:
    if not await _navigate(hand, lambda limit_ms: hand.tab.page.go_back(wait_until="commit", timeout=limit_ms)):
        await _moved_in_place(hand, "back")


async def forward(hand: Hand, action: models.Forward) -> None:
    if not await _navigate(hand, lambda limit_ms: hand.tab.page.go_forward(wait_until="commit", timeout=limit_ms)):
        await _moved_in_place(hand, "forward")


async def reload(hand: Hand, action: models.Reload) -> None:
    await _navigate(hand, lambda limit_ms: hand.tab.page.reload(wait_until="commit", timeout=limit_ms))


async def open_tab(hand: Hand, action: models.OpenTab) -> None:
    check_address(action.url)
    if hand.tabs.is_full:
        raise ActionFailed("TOO_MANY_TABS", f"{len(hand.tabs)} tabs are open, and no more can be; close one first")
    await hand.tabs.open()
    if action.url != "about:blank":
        await _visit(hand, action.url)


async def switch_tab(hand: Hand, action: models.SwitchTab) -> None:
    _check_index(hand, action.index)
    await hand.tabs.switch(action.index)


async def close_tab(hand: Hand, action: models.CloseTab) -> None:
    if action.index is not None:
        _check_index(hand, action.index)
    if len(hand.tabs) == 1:
        raise ActionFailed("LAST_TAB", "the last tab can't be closed")
    await hand.tabs.close(action.index)


def _check_index(hand: Hand, index: int) -> None:
    if index >= len(hand.tabs):
        last = len(hand.tabs) - 1
        raise ActionFailed("NO_SUCH_TAB", f"there is no tab {index}; the tabs are numbered from 0 to {last}")


async def _visit(hand: Hand, url: str) -> None:
    async def go(limit_ms: float) -> None:
        if hand.tab.is_storming():
            await _empty(hand.tab, limit_ms)
        for _ in range(TRIES_TO_LEAVE):
            try:
                await hand.tab.page.goto(url, wait_until="commit", timeout=limit_ms)
                return
            except PlaywrightError as error:
                if INTERRUPTED not in error.message:
                    raise
                await _empty(hand.tab, limit_ms)
        raise ActionFailed("NAVIGATION_FAILED", "the page goes elsewhere whenever it is left", "site")

    await _navigate(hand, go)


async def _empty(tab: OpenTab, limit_ms: float) -> None:
    """Leaves a page that navigates again and again by itself: held still, to an empty page."""
    try:
        await tab.hold()
        await tab.stop_loading()
        await tab.page.goto("about:blank", wait_until="commit", timeout=limit_ms)
    except PageMoved:
        return
    except PlaywrightError as error:
        if INTERRUPTED not in error.message:
            raise
    finally:
        with suppress(PageMoved):
            await tab.let_go()


async def _navigate(hand: Hand, navigation: Callable[[float], Awaitable[object]]) -> object:
    try:
        return await navigation(hand.navigation_deadline_s * 1000)
    except PlaywrightTimeout:
        message = f"the address did not answer within {hand.navigation_deadline_s:g} s"
        raise ActionFailed("NAVIGATION_TIMEOUT", message, "site") from None
    except PlaywrightError as error:
        if hand.tab.crashed or hand.tab.page.is_closed():
            raise
        reason = error.message.splitlines()[0].partition(": ")[2] or error.message
        if INTERRUPTED in reason:  # the page redirected at once: the later navigation counts
            return None
        if "Download is starting" in reason:  # the address is a file: the page stays
            return None
        if "invalid URL" in reason:
            raise ActionFailed("NAV_BLOCKED", f"not an address: {reason}") from None
        raise ActionFailed("NAVIGATION_FAILED", f"the navigation failed: {reason}", "site") from None


async def _moved_in_place(hand: Hand, way: str) -> None:
    """Distinguishes Playwright's two reasons for None: a move inside one document, and no history."""
    if hand.tab.page.url == hand.tab.url:
        raise ActionFailed("NO_HISTORY", f"there is no page to go {way} to")
