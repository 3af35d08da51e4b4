"""Cross-origin frames of a page: each is queried in its own isolated world, and placed at its frame's position.

Frames of the page's own origin need none of this: the page script walks into them.
"""

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from playwright.async_api import CDPSession, Frame, Page
from playwright.async_api import Error as PlaywrightError

from browser_service.tabs.world import NeverAsked, PageMoved, Send, World, is_moved

# Frames that one observation queries; a page with more is full of advertisements.
MOST_FRAMES = 12
DEEPEST = 3


class Place(NamedTuple):
    """The position of a framed document: its origin in the viewport, its scale there, and its visible part."""

    x: float
    y: float
    scale_x: float
    scale_y: float
    clip: dict[str, float] | None
    """Left, top, right and bottom in the document's own pixels; None: all of it."""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Converts a point of the document to viewport coordinates."""
        return self.x + x * self.scale_x, self.y + y * self.scale_y


class Realm:
    """A document with the same-origin documents inside: the scope of one run of the page script."""

    def __init__(self, world: World, parent: "Realm | None" = None, index: int = 0) -> None:
        """`index`: its frame's index among the frames of `parent`."""
        self.world = world
        self._parent = parent
        self._index = index

    async def place(self, *, show: bool = False) -> "Place | None":
        """The document's position in the viewport; None when its frame is gone."""
        if self._parent is None:
            return Place(0.0, 0.0, 1.0, 1.0, None)
        around = await self._parent.place(show=show)
        box = await self._parent.world.ask("showFrame" if show else "frameBox", self._index)
        if around is None or box is None:
            return None
        x, y = around.at(box["x"], box["y"])
        return Place(x, y, around.scale_x * box["scale_x"], around.scale_y * box["scale_y"], box["clip"])

    async def aim(self, mark: int) -> dict[str, Any]:
        """The viewport point at which to click a mark, or an `error` and its `message`."""
        if self._parent is None:
            return await self.world.ask("aim", mark, None)
        for show in (False, True):
            if (where := await self.place(show=show)) is None:
                return {"error": "STALE_MARK", "message": f"the frame of mark {mark} is gone; look again"}
            spot = await self.world.ask("aim", mark, where.clip)
            if "error" not in spot:
                x, y = where.at(spot["x"], spot["y"])
                return {**spot, "x": x, "y": y}
        return spot

    async def uncovered(self, marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Its marks, in viewport coordinates, without those that the page around it covers."""
        where = await self.place()
        if self._parent is None or where is None:
            return marks if where else []
        inner = await self._parent.world.ask("frameBox", self._index)
        framed = Place(inner["x"], inner["y"], inner["scale_x"], inner["scale_y"], None)
        bare = await self._parent.world.ask("bare", self._index, [framed.at(*one["spot"]) for one in marks])
        for one in marks:
            box = one["mark"]["box"]
            x, y = where.at(box["x"], box["y"])
            size = {"width": box["width"] * where.scale_x, "height": box["height"] * where.scale_y}
            one["mark"]["box"] = {name: round(value, 1) for name, value in {"x": x, "y": y, **size}.items()}
        return [one for one, is_bare in zip(marks, bare, strict=True) if is_bare]


class Frames:
    """The framed pages of one tab, with a CDP session for each that has its own process."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._sessions: dict[Frame, World | None] = {}
        page.on("framedetached", self._gone)
        page.on("framenavigated", self._gone)

    async def look(self, top: Realm, answer: dict[str, Any]) -> dict[int, tuple[Realm, int]]:
        """Adds the marks of framed pages, and what is noticed in them, to the top document's `answer`; says whose each number is."""
        merged = await self._merged(top, answer, answer["noticed"], depth=1)
        owners: dict[int, tuple[Realm, int]] = {}
        for number, (realm, one) in enumerate(merged, start=1):
            owners[number] = (realm, one["mark"]["id"])
            one["mark"] = {**one["mark"], "id": number}
        answer["marks"] = [one for _, one in merged]
        return owners

    async def _merged(
        self, realm: Realm, answer: dict[str, Any], noticed: list[int], *, depth: int
    ) -> list[tuple[Realm, dict[str, Any]]]:
        """The realm's marks, with those of each frame after as many as come before the frame. Extends `noticed`."""
        inside: dict[int, list[tuple[Realm, dict[str, Any]]]] = {}
        async for index, world in self._foreign(realm.world, wanted=len(answer["frames"])):
            framed = Realm(world, realm, index)
            try:
                found = await self._seen_in(framed, noticed, depth=depth)
            except (PageMoved, PlaywrightError):
                continue  # a frame that is being added or removed: without its marks
            inside.setdefault(answer["frames"][index]["before"], []).extend(found)
        merged = inside.get(0, [])
        for count, one in enumerate(answer["marks"], start=1):
            merged.append((realm, one))
            merged += inside.get(count, [])
        return merged

    async def _seen_in(self, framed: Realm, noticed: list[int], *, depth: int) -> list[tuple[Realm, dict[str, Any]]]:
        if (where := await framed.place()) is None:
            return []
        seen = await framed.world.ask("look", True, False, where.clip)
        noticed += seen["noticed"]
        seen["marks"] = await framed.uncovered(seen["marks"])
        if depth < DEEPEST and seen["frames"]:
            return await self._merged(framed, seen, noticed, depth=depth + 1)
        return [(framed, one) for one in seen["marks"]]

    async def _foreign(self, world: World, *, wanted: int) -> AsyncGenerator[tuple[int, World], None]:
        """The cross-origin frames in this realm, with their index there."""
        tree = await world.send("Page.getFrameTree", {})
        candidates = [World(world.send, frame_id, is_main=False) for frame_id in _frames_in(tree["frameTree"])]
        candidates += [world async for world in self._in_other_processes()]
        for candidate in candidates:
            if wanted == 0:
                return
            try:
                owner = await world.send("DOM.getFrameOwner", {"frameId": candidate.frame_id})
                index = await world.ask_about(owner["backendNodeId"], "adopt")
            except (PageMoved, PlaywrightError):
                continue  # not in this realm, or gone
            if index >= 0:
                wanted -= 1
                yield index, candidate

    async def _in_other_processes(self) -> AsyncGenerator[World, None]:
        for frame in self._page.frames[1 : MOST_FRAMES + 1]:
            if frame not in self._sessions:
                self._sessions[frame] = await self._connected(frame)
            if world := self._sessions[frame]:
                yield world

    async def _connected(self, frame: Frame) -> World | None:
        try:
            session = await self._page.context.new_cdp_session(frame)
            tree = await session.send("Page.getFrameTree")
        except PlaywrightError:
            return None  # it is in its parent's process
        return World(_sender(session), tree["frameTree"]["frame"]["id"], is_main=False)

    def _gone(self, frame: Frame) -> None:
        """Drops a frame's CDP session, because the frame may be in another process from now on."""
        self._sessions.pop(frame, None)


def _sender(session: CDPSession) -> Send:
    async def send(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            return await session.send(method, parameters)
        except PlaywrightError as error:
            if "Cannot find context" in error.message:
                raise NeverAsked from error
            if is_moved(error):
                raise PageMoved from error
            raise

    return send


def _frames_in(tree: dict[str, Any]) -> list[str]:
    """Ids of all frames below the first one in the same process."""
    below = tree.get("childFrames", [])
    ids = [child["frame"]["id"] for child in below]
    return (ids + [one for child in below for one in _frames_in(child)])[:MOST_FRAMES]
