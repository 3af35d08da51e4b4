"""The page script's own world in one frame's document: where it is asked, and what to do when the document is a new one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Error as PlaywrightError

from browser_service.page import NAME, PAGE_SCRIPT, WORLD
from browser_service.session.well_formed import well_formed

Send = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
MISSING = "__missing"
# How Chromium says that the document under an evaluation went away.
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
    """The document changed while it was asked something: ask again."""


class NeverAsked(PageMoved):
    """The document was gone before the question reached it."""


def is_moved(error: PlaywrightError) -> bool:
    """Whether the error only says that a document went away."""
    return any(sign in error.message for sign in MOVED)


class World:
    """The isolated world of one frame. Its marks end with its document."""

    def __init__(self, send: Send, frame_id: str, *, is_main: bool) -> None:
        """`send` speaks to the frame's CDP session; `is_main`: the frame is the page itself."""
        self.send = send
        self.frame_id = frame_id
        self._is_main = is_main
        self._context: int | None = None

    def forget(self) -> None:
        """The frame has a new document."""
        self._context = None

    async def prepare(self) -> None:
        """From now on the script is there before each document's own scripts."""
        script = {"source": PAGE_SCRIPT, "worldName": WORLD, "runImmediately": True}
        await self.send("Page.addScriptToEvaluateOnNewDocument", script)

    async def ask(self, function: str, *arguments: Any) -> Any:
        """The answer of the page script's function. Raises `PageMoved` when a navigation got in between."""
        call = f"{NAME}.{function}({', '.join(json.dumps(argument) for argument in arguments)})"
        reply = await self._answered(call, by_value=True)
        return well_formed(reply["result"].get("value"))

    async def object(self, function: str, *arguments: Any) -> str | None:
        """Like `ask`, for an element: the id by which CDP knows it, None when the answer is null."""
        call = f"{NAME}.{function}({', '.join(json.dumps(argument) for argument in arguments)})"
        reply = await self._answered(call, by_value=False)
        return reply["result"].get("objectId")

    async def ask_about(self, backend_node_id: int, function: str) -> Any:
        """The answer of the function about a node that CDP knows."""
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
        if reply["result"].get("value") == MISSING:  # the document was there before we were
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
        """Context ids are only unique inside one renderer: the number of a page's old one may mean a frame's in its new one."""
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
            # Only a document that is being torn down gets here: no page can reach into this world.
            raise PageMoved(reply["exceptionDetails"].get("text", ""))
        return reply
