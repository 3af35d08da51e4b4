"""Holding a page still while it is looked at: one that moves without end, or leaves nobody else any time."""

from contextlib import suppress
from typing import Literal

from browser_service.session.tab import OpenTab
from browser_service.session.world import PageMoved

Level = Literal["free", "held", "reloaded"]
LEVELS: tuple[Level, ...] = ("free", "held", "reloaded")


class Stillness:
    """How still a tab is held: first as it is; when that shows nothing, loaded again without its scripts."""

    def __init__(self) -> None:
        self._level: Level = "free"
        self._tab: OpenTab | None = None

    async def at_least(self, tab: OpenTab, level: Level) -> None:
        """Holds the tab so still, if it is not yet. Raises `PageMoved`."""
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
        """Lets the page go on."""
        tab, self._tab = self._tab, None
        if tab:
            with suppress(PageMoved):
                await tab.let_go()
