"""The context of a command, and the error of an action without effect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from browser_service.models import ActionError, Viewport
from browser_service.tabs.tab import OpenTab
from browser_service.tabs.tabs import Tabs
from browser_service.tabs.world import PageMoved


class ActionFailed(Exception):
    """The action had no effect; the session goes on."""

    def __init__(self, code: str, message: str, fault: Literal["policy", "site"] = "policy") -> None:
        super().__init__(message)
        self.error = ActionError(code=code, message=message[:500], fault=fault)


@dataclass(frozen=True)
class Hand:
    """The session's tabs and the permissions of the lease."""

    tabs: Tabs
    viewport: Viewport
    navigation_deadline_s: float
    files: Path | None = None
    """Folder of the files for uploads; None: uploads are not allowed."""
    staging: Path | None = None
    """Folder in which Chromium can read files for uploads."""

    @property
    def tab(self) -> OpenTab:
        """The active tab."""
        return self.tabs.active

    async def ask(self, function: str, *arguments: Any) -> dict[str, Any]:
        """Queries the page script; its `error` becomes an `ActionFailed`."""
        try:
            return _checked(await self.tab.ask(function, *arguments))
        except PageMoved:
            raise _stale() from None

    async def ask_mark(self, mark: int, function: str, *arguments: Any) -> dict[str, Any]:
        """Queries the page script about a mark, in whichever frame it is."""
        try:
            realm, number = await self.tab.realm(mark)
            return _checked(await realm.world.ask(function, number, *arguments))
        except PageMoved:
            raise _stale() from None

    async def ask_realm(self, mark: int, function: str, *arguments: Any) -> dict[str, Any]:
        """Queries the page script of the document that contains a mark."""
        try:
            realm, _ = await self.tab.realm(mark)
            return _checked(await realm.world.ask(function, *arguments))
        except PageMoved:
            raise _stale() from None

    async def aim(self, mark: int) -> dict[str, Any]:
        """A point (`x`, `y`) of the viewport that hits the marked element, and its `type`."""
        try:
            realm, number = await self.tab.realm(mark)
            return _checked(await realm.aim(number))
        except PageMoved:
            raise _stale() from None

    def check_point(self, x: float, y: float) -> None:
        """Raises `ActionFailed` for a point outside the viewport; its right and lower edges still count as inside."""
        if not (0 <= x <= self.viewport.width and 0 <= y <= self.viewport.height):
            size = f"{self.viewport.width}x{self.viewport.height}"
            raise ActionFailed("OUT_OF_VIEW", f"the point ({x:g}, {y:g}) is outside the viewport of {size}")


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if error := answer.get("error"):
        raise ActionFailed(error, answer["message"])
    return answer


def _stale() -> ActionFailed:
    return ActionFailed("STALE_MARK", "the page changed before the action reached it; look again")
