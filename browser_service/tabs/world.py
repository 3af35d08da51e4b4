"""The page script's isolated world in one frame's document, and its renewal when the document is replaced."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Error as PlaywrightError

from browser_service.page import NAME, PAGE_SCRIPT, WORLD
from browser_service.tabs.well_formed import well_formed

Send = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
MISSING = "__missing"
# Chromium's messages for a document that went away during an evaluation.
MOVED = (
    "Execution context was destroyed",
    "Cannot find context",
    "navigated or closed",
    "Promise was collected",
    "specified id",
    "Not attached to an active page",
    "No frame for given id",
    "Target closed",
)


class PageMoved(Exception):
    """The document changed during a query: query again."""


class NeverAsked(PageMoved):
    """The document was gone before the query reached it."""


def is_moved(error: PlaywrightError) -> bool:
    """True if the error only says that a document went away."""
    return any(sign in error.message for sign in MOVED)


class World:
    """The isolated world of one frame. Its marks end with its document."""

    def __init__(self, send: Send, frame_id: str, *, is_main: bool) -> None:
        """`send` sends to the frame's CDP session; `is_main`: the frame is the page itself."""
        self.send = send
        self.frame_id = frame_id
        self._is_main = is_main
        self._context: int | None = None

    def forget(self) -> None:
        """Drops the context: the frame has a new document."""
        self._context = None

    async def prepare(self) -> None:
        """Installs the script, to run before each document's own scripts from now on."""
        script = {"source": PAGE_SCRIPT, "worldName": WORLD, "runImmediately": True}
        await self.send("Page.addScriptToEvaluateOnNewDocument", script)

    async def ask(self, function: str, *arguments: Any) -> Any:
        """The answer of the page script's function. Raises `PageMoved` when the document changed meanwhile."""
        call = f"{NAME}.{function}({', '.join(json.dumps(argument) for argument in arguments)})"
        reply = await self._answered(call, by_value=True)
        return well_formed(reply["result"].get("value"))

    async def object(self, function: str, *arguments: Any) -> str | None:
        """Like `ask`, for an element: its CDP object id, None when the answer is null."""
        call = f"{NAME}.{function}({', '.join(json.dumps(argument) for argument in arguments)})"
        reply = await self._answered(call, by_value=False)
        return reply["result"].get("objectId")

    async def ask_about(self, backend_node_id: int, function: str) -> Any:
        """The answer of the function about a node with this CDP id."""
        await self._enter()
        node = {"backendNodeId": backend_node_id, "executionContextId": self._context}
        resolved = await self.send("DOM.resolveNode", node)
        if "objectId" not in resolved["object"]:
            raise PageMoved("the node is in another document")
        call = {
            "objectId": resolved["object"]["objectId"],
            "functionDeclaration": f"function() {{ return {NAME}.{function}(this) }}",
            "returnByValue": True,
        }
        return well_formed((await self.send("Runtime.callFunctionOn", call))["result"].get("value"))

    async def _answered(self, call: str, *, by_value: bool) -> dict[str, Any]:
        was_known = self._context is not None
        await self._enter()
        try:
            reply = await self._evaluate(self._guarded(call), by_value=by_value)
        except NeverAsked:
            if not was_known:
                raise
            self._context = None
            await self._enter()
            reply = await self._evaluate(self._guarded(call), by_value=by_value)
        if reply["result"].get("value") == MISSING:  # the document was there before the script was installed
            self._context = None
            await self._enter()
            await self._evaluate(PAGE_SCRIPT, by_value=True)
            reply = await self._evaluate(self._guarded(call), by_value=by_value)
            if reply["result"].get("value") == MISSING:
                raise PageMoved("the document is not the page's any more")
        return reply

    async def _enter(self) -> None:
        if self._context is None:
            where = {"frameId": self.frame_id, "worldName": WORLD}
            self._context = (await self.send("Page.createIsolatedWorld", where))["executionContextId"]

    def _guarded(self, call: str) -> str:
        """Guards the call: context ids are unique only inside one renderer; a new one may reuse an id for a frame."""
        elsewhere = " || self !== top" if self._is_main else ""
        return f"typeof {NAME} === 'undefined'{elsewhere} ? '{MISSING}' : {call}"

    async def _evaluate(self, expression: str, *, by_value: bool) -> dict[str, Any]:
        asked = {
            "expression": expression,
            "contextId": self._context,
            "returnByValue": by_value,
            "awaitPromise": True,
        }
        reply = await self.send("Runtime.evaluate", asked)
        if "exceptionDetails" in reply:
            # Only a document that is being destroyed gets here: no page can reach into this world.
            raise PageMoved(reply["exceptionDetails"].get("text", ""))
        return reply
