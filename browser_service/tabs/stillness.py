"""Holds a page still while it is observed: a page that changes without end, or is always busy."""

from contextlib import suppress
from typing import Literal

from browser_service.tabs.tab import OpenTab
from browser_service.tabs.world import PageMoved

Level = Literal["free", "held", "reloaded"]
LEVELS: tuple[Level, ...] = ("free", "held", "reloaded")


class Stillness:
    """The level of stillness of a tab: first held as it is; if that shows nothing, reloaded without its scripts."""

    def __init__(self) -> None:
        self._level: Level = "free"
        self._tab: OpenTab | None = None

    async def at_least(self, tab: OpenTab, level: Level) -> None:
        """Raises the level to at least this one. Raises `PageMoved`."""
        if LEVELS.index(level) <= LEVELS.index(self._level):
            return
        await self.end()
        self._level, self._tab = level, tab
        if level == "held":
            await tab.hold()
        else:
            await tab.run_scripts(False)
            await tab.send("Page.reload", {})

    async def end(self) -> None:
        """Releases the page."""
        tab, self._tab = self._tab, None
        if tab:
            with suppress(PageMoved):
                await tab.let_go()
