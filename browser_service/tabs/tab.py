"""One open page: its CDP session, its document, and its state."""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from playwright.async_api import CDPSession, Frame, Page, Request
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from browser_service.background import Background
from browser_service.models.wire import Button
from browser_service.tabs.downloads import Downloads
from browser_service.tabs.frames import Frames, Realm
from browser_service.tabs.loading import Loading
from browser_service.tabs.notices import FILES, Notices
from browser_service.tabs.well_formed import well_formed
from browser_service.tabs.world import NeverAsked, PageMoved, World, is_moved

# A document that can be painted is painted long before this.
PAINT_S = 2.5
# This many dialogs within this time are a storm.
STORM = 5
STORM_S = 2.0
TREE_S = 5.0
RELEASE_S = 1.0
# An answer that arrives this soon after another document was requested still counts.
LATE_ANSWER_S = 0.1
T = TypeVar("T")


class FailedDocument(NamedTuple):
    """A main document that did not load."""

    url: str
    """The last URL, after all redirects."""
    reason: str
    """Chromium's error, such as `net::ERR_TUNNEL_CONNECTION_FAILED`."""


class OpenTab:
    """One page of a session."""

    def __init__(self, page: Page, downloads: Downloads) -> None:
        self.page = page
        self.loading = Loading(page)
        self._downloads = downloads
        self.crashed = False
        self.is_gone = False
        """True once the tab is closed or closing: callers then use the active tab."""
        self.title = ""
        self.held_keys: set[str] = set()
        """Keys held by `key_down`."""
        self.url = page.url
        self.held: set[Button] = set()
        """Mouse buttons that are pressed."""
        self.pointer: tuple[float, float] | None = None
        """Position to which an explicit action last moved the mouse."""
        self.failed_document: FailedDocument | None = None
        """The newest main document, if it did not come. Set by the session, which also hears of tabs that are only opening."""
        self.notices = Notices()
        """Notices of this tab for its next observation."""
        self._cdp: CDPSession | None = None
        self._world: World | None = None
        self._frames = Frames(page)
        self._marks: dict[int, tuple[Realm, int]] = {}
        """Realm of each number of the last observation, if the page has cross-origin frames."""
        # A page may be gone before a command for it arrives.
        self._background = Background(PlaywrightError, PageMoved)
        self._dialogs: deque[float] = deque(maxlen=STORM)
        """Times of the last dialogs."""
        self._death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        page.on("request", self._left)
        page.on("framenavigated", self._navigated)
        page.on("crash", self._crash)
        page.on("download", downloads.arriving)
        # With a listener Chromium hands the choice to us, and we never answer it: the chooser is as if dismissed.
        page.on("filechooser", lambda _: self.notices.add([FILES]))

    async def ask(self, function: str, *arguments: Any) -> Any:
        """The answer of the page script in the main document.

        Raises `PageMoved` when the document changed or the tab was closed, Playwright's error when the page is dead.
        """
        return await (await self.world()).ask(function, *arguments)

    async def look(self, with_marks: bool, with_text: bool, *, with_options: bool = False) -> dict[str, Any]:
        """Observes the document, with cross-origin frames. Numbers are valid until the next observation with marks."""
        answer = await self.ask("look", with_marks, with_text, None, with_options)
        if with_marks:
            self._marks = {}
            if answer["frames"]:
                self._marks = await self._frames.look(Realm(await self.world()), answer)
        self.notices.add(answer["noticed"])
        return answer

    async def survey(self) -> list[dict[str, Any]]:
        """Every element of the page itself that can be acted on, in view or not. Keeps mark numbers."""
        answer = await self.ask("survey")
        own = {number: mark for mark, (realm, number) in self._marks.items() if realm.world is self._world}
        for one in answer:
            one["mark"]["id"] = own.get(one["mark"]["id"], one["mark"]["id"])
        return answer

    async def realm(self, mark: int) -> tuple[Realm, int]:
        """The realm of a mark's element, and the element's number there."""
        return self._marks.get(mark) or (Realm(await self.world()), mark)

    async def accessibility_tree(self) -> str | None:
        """The tree as indented text, in Playwright's format (YAML); None when the page is too large for that."""
        try:
            return well_formed(await self.page.aria_snapshot(timeout=TREE_S * 1000))
        except PlaywrightTimeout:
            return None
        except PlaywrightError as error:
            if not self.crashed and is_moved(error):
                raise PageMoved from error
            raise

    async def capture(self, options: dict[str, Any]) -> str | None:
        """The viewport as base64; `options` are those of CDP's Page.captureScreenshot.

        None if the document has painted nothing and never will: Chromium gives no picture of it.
        """
        shot = asyncio.ensure_future(self.send("Page.captureScreenshot", {"optimizeForSpeed": True, **options}))
        shot.add_done_callback(lambda done: done.cancelled() or done.exception())  # may never be awaited
        try:
            await asyncio.wait({shot}, timeout=PAINT_S)
            if not shot.done() and not await self.ask("hasPainted"):
                return None
            return (await shot)["data"]
        finally:
            shot.cancel()

    async def send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Sends one CDP command. Raises `PageMoved`, and Playwright's error when the page is dead."""
        await self.connect()
        assert self._cdp is not None
        sending = asyncio.ensure_future(self._cdp.send(method, parameters))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())  # may never be awaited
        try:
            # A crashed renderer leaves calls of this session unanswered forever.
            ends = (
                {sending, self._death, self._departure()} if method.startswith("Runtime.") else {sending, self._death}
            )
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and not self.crashed:
                await asyncio.wait({sending, self._death}, timeout=LATE_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            if self.crashed:
                raise PlaywrightError("the page crashed")
            if not sending.done():
                raise PageMoved
            return await sending
        except PlaywrightError as error:
            # A tab that closed itself is no failure: its session observes the next one.
            if not self.crashed and "Cannot find context" in error.message:
                raise NeverAsked from error
            if self.is_gone or self.page.is_closed() or (not self.crashed and is_moved(error)):
                raise PageMoved from error
            raise
        finally:
            sending.cancel()

    def _departure(self) -> "asyncio.Future[None]":
        """Done once another document is requested: from then on Chromium does not answer queries to this one."""
        if self._leaving.done():
            self._leaving = asyncio.get_running_loop().create_future()
        return self._leaving

    async def stop_loading(self) -> None:
        """Cancels a pending document, and pending content of the current one.

        Chromium does not answer queries to a document while the next one is pending.
        """
        await self.send("Page.stopLoading", {})

    async def run_scripts(self, allowed: bool) -> None:
        """Allows or stops the documents' own scripts from now on; the page script runs in any case."""
        await self.send("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    async def hold(self) -> None:
        """Freezes the document: from now on it runs no script and can't be left."""
        await self.send("Fetch.enable", {"patterns": [{"urlPattern": "*", "resourceType": "Document"}]})
        await self.run_scripts(False)

    async def let_go(self) -> None:
        """Ends `hold`. Does not wait for a hung renderer: both commands are sent before either is answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await asyncio.gather(self.run_scripts(True), self.send("Fetch.disable", {}))

    async def leave(self) -> None:
        """Leaves the page for an empty one, which from the first moment stores nothing and opens no prompt."""
        await self.run_scripts(False)
        # The page navigates itself, in its own renderer: with Page.navigate it would change to another process, which
        # is not finished when the command is answered, and with its scripts on the page would store data until then.
        async with self.page.expect_event("framenavigated", lambda frame: frame == self.page.main_frame):
            with suppress(PageMoved):  # the navigation was faster than its answer
                await self.ask("forget")

    async def forget_everything(self) -> None:
        """Clears the documents' storage (local and session storage, databases, caches) and the lease's held keys."""
        await asyncio.gather(
            self.run_scripts(True),
            self.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"}),
            # Chromium may have got the empty window name too late, and kept the old page's: it has to change once more.
            self.send("Runtime.evaluate", {"expression": "window.name = '-'; window.name = ''"}),
        )
        while self.held:
            await self.page.mouse.up(button=self.held.pop())
        while self.held_keys:
            await self.page.keyboard.up(self.held_keys.pop())
        self.title, self.url, self.failed_document = "", "about:blank", None
        self.notices.take()

    async def forget_history(self) -> None:
        """Removes the tab's history before the current page."""
        await self.send("Page.resetNavigationHistory", {})

    async def world(self) -> World:
        """The page script's world in the main document."""
        await self.connect()
        if self._world is None:
            tree = await self.send("Page.getFrameTree", {})
            world = World(self.send, tree["frameTree"]["frame"]["id"], is_main=True)
            await world.prepare()
            self._world = self._world or world
        return self._world

    async def connect(self) -> None:
        """Opens the tab's CDP session, once."""
        if self._cdp is None:
            self._cdp = await self._while_alive(self.page.context.new_cdp_session(self.page))
            # Chromium announces a new tab at once; Playwright reports it only when it is open, long after the click.
            self._cdp.on("Page.windowOpen", lambda _: self.loading.tab_announced())
            self._cdp.on("Page.downloadWillBegin", self._downloads.announced)
            self._cdp.on("Page.downloadProgress", self._downloads.progressed)
            self._cdp.on("Page.javascriptDialogOpening", lambda _: self._dialogs.append(time.monotonic()))
            self._cdp.on("Fetch.requestPaused", self._paused)
            await self._while_alive(self._cdp.send("Page.enable"))

    def is_storming(self) -> bool:
        """True if the page opens one dialog after the other.

        Leaving such a page deadlocks Chromium: once the next document is there, DevTools are attached to that one, and
        the old one, which has to end first, waits for the answer to its dialog.
        """
        return len(self._dialogs) == STORM and time.monotonic() - self._dialogs[0] < STORM_S

    def _paused(self, event: dict[str, Any]) -> None:
        """Blocks navigations of the held page's own document; those of its frames are allowed."""
        if self._world is not None and event["frameId"] == self._world.frame_id:
            self._say("Fetch.failRequest", {"requestId": event["requestId"], "errorReason": "Aborted"})
        else:
            self._say("Fetch.continueRequest", {"requestId": event["requestId"]})

    def _say(self, method: str, parameters: dict[str, Any]) -> None:
        """Sends a command without waiting for its answer."""
        self._background.start(self.send(method, parameters))

    async def _while_alive(self, call: Coroutine[Any, Any, T]) -> T:
        """The call's answer. Raises Playwright's error when the renderer dies: such calls are never answered."""
        calling = asyncio.ensure_future(call)
        calling.add_done_callback(lambda done: done.cancelled() or done.exception())  # may never be awaited
        try:
            await asyncio.wait({calling, self._death}, return_when=asyncio.FIRST_COMPLETED)
            if self.crashed:
                raise PlaywrightError("the page crashed")
            return await calling
        except PlaywrightError as error:
            if not self.crashed and (self.is_gone or self.page.is_closed()):
                raise PageMoved from error
            raise
        finally:
            calling.cancel()

    def _navigated(self, frame: Frame) -> None:
        if self._world and frame == self.page.main_frame:
            self._world.forget()

    def _left(self, request: Request) -> None:
        if self.loading.is_main_document(request):
            self.failed_document = None
            if not self._leaving.done():
                self._leaving.set_result(None)

    def _crash(self, _: Page) -> None:
        self.crashed = True
        if not self._death.done():
            self._death.set_result(None)
        self.loading.give_up()
