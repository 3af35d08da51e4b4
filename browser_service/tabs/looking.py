"""Observes a tab: the marks and the picture of the same document, however often the page changes meanwhile."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from browser_service.artifacts.lease_artifacts import LeaseArtifacts
from browser_service.errors import DeadlineExceeded
from browser_service.models import ObserveRequest, Screenshot, Viewport
from browser_service.tabs.marks import Seen, blank, draw_marks, read_look
from browser_service.tabs.stillness import LEVELS, Level, Stillness
from browser_service.tabs.tab import OpenTab
from browser_service.tabs.tabs import Tabs
from browser_service.tabs.world import PageMoved

# Schemes that a page may navigate to; Chromium itself blocks all others, and this is the second check.
SHOWN_SCHEMES = frozenset({"", "http", "https", "about", "blob", "data", "chrome-error"})
LOOK_TRIES = 20
PAINT_S = 2.0
"""Seconds that a stopped document gets to paint."""
STILLER: dict[int, Level] = {4: "held", 10: "reloaded"}
"""Level of stillness that is forced on a page after so many failed attempts."""
LOOK_S = 5.0
"""Time limit of one observation, for a page that is not busy."""
PENDING_S = 0.5
"""Seconds that an observation waits for a pending document, before it stops the load."""
T = TypeVar("T")
LONGEST_TREE = 100_000


@dataclass
class Phases:
    """Milliseconds per phase of one step."""

    ms: dict[str, float] = field(default_factory=dict)

    def add(self, phase: str, since: float) -> float:
        """Adds the time since `since` (perf_counter seconds) to the phase; returns now."""
        now = time.perf_counter()
        self.ms[phase] = round(self.ms.get(phase, 0.0) + (now - since) * 1000, 2)
        return now


@dataclass
class Look:
    """One finished observation of the active tab."""

    seen: Seen
    screenshot: Screenshot | None = None
    ax_tree: str | None = None
    is_partial: bool = False
    """True if the page has more content than this."""


def is_of_the_web(url: str) -> bool:
    """True if a tab with this URL may be observed."""
    return url.partition(":")[0] in SHOWN_SCHEMES


async def when_still(tabs: Tabs, question: Callable[[OpenTab], Awaitable[T]]) -> T:
    """The answer of the active tab, retried as long as it changes. Raises `DeadlineExceeded` if it never rests.

    A page that changes without end, or is too busy to be observed, is held still: first as it is; if that shows
    nothing, it is reloaded without its scripts.
    """
    still = Stillness()
    moved = False
    level: Level = "free"
    try:
        for attempt in range(LOOK_TRIES):
            tab = tabs.active
            level = max(level, STILLER.get(attempt, "free"), key=LEVELS.index)
            try:
                await still.at_least(tab, level)
                patience_s = PAINT_S if level == "reloaded" else 0 if attempt else PENDING_S
                moved = await _stop_navigation(tab, patience_s) or moved
                if not is_of_the_web(tab.page.url):
                    await tab.page.goto("about:blank")
                async with asyncio.timeout(_longest(level, moved)):
                    return await question(tab)
            except PageMoved:
                moved = True
                await tab.loading.change(0.1)
            except TimeoutError:  # it was stopped before it could paint, or is too busy to answer
                level = "reloaded" if level == "held" else "held"
    finally:
        await still.end()
    raise DeadlineExceeded("the page navigates without end and can't be looked at; the session is closed")


def _longest(level: Level, moved: bool) -> float | None:
    """Time limit of an observation at this level. A page that rests is only slow, and is never reloaded."""
    if level == "reloaded" or (level == "held" and not moved):
        return None
    return PAINT_S if moved else LOOK_S


async def _stop_navigation(tab: OpenTab, patience_s: float) -> bool:
    """Stops a pending navigation, which blocks every query. A caller that had time to wait has done so before."""
    until = time.monotonic() + patience_s
    while tab.loading.is_navigating():
        if (left_s := until - time.monotonic()) <= 0:
            await tab.stop_loading()
            return True
        await tab.loading.change(left_s)
    return False


async def look(
    tab: OpenTab, wanted: ObserveRequest, viewport: Viewport, kept: LeaseArtifacts | None, phases: Phases
) -> Look:
    """Observes a tab once. Raises `PageMoved` when it changes meanwhile."""
    now = time.perf_counter()
    seen = read_look(await tab.look(wanted.marks or wanted.draw_marks, wanted.text, with_options=wanted.open_options))
    found = Look(seen, is_partial=seen.is_partial)
    now = phases.add("marks", now)
    if wanted.screenshot:
        found.screenshot = await _photograph(tab, wanted, viewport, kept, found.seen)
        now = phases.add("screenshot", now)
    if wanted.ax_tree:
        tree = await tab.accessibility_tree()
        found.ax_tree = tree and tree[:LONGEST_TREE]
        found.is_partial |= tree is None or len(tree) > LONGEST_TREE
        phases.add("ax_tree", now)
    tab.title, tab.url = found.seen.title, found.seen.url
    return found


async def _photograph(
    tab: OpenTab, wanted: ObserveRequest, viewport: Viewport, kept: LeaseArtifacts | None, seen: Seen
) -> Screenshot:
    encoded = await tab.capture(_options(wanted, viewport))
    if encoded is None:
        encoded = base64.b64encode(blank(viewport, wanted)).decode()
    picture = base64.b64decode(encoded)
    if wanted.draw_marks:
        picture = await asyncio.to_thread(draw_marks, picture, seen.marks, wanted)
        encoded = base64.b64encode(picture).decode()
    sha256 = hashlib.sha256(picture).hexdigest()
    is_held = wanted.have_sha256 == sha256
    if wanted.by_reference and kept and not is_held:
        kept.put_blob(sha256, picture, f"image/{wanted.image_format}")
        is_held = True
    return Screenshot(
        sha256=sha256,
        media_type=f"image/{wanted.image_format}",
        width=max(1, round(viewport.width * wanted.scale)),
        height=max(1, round(viewport.height * wanted.scale)),
        data=None if is_held else encoded,
    )


def _options(wanted: ObserveRequest, viewport: Viewport) -> dict[str, Any]:
    """CDP's screenshot options. Marks are drawn into a lossless, full-size picture, which is encoded afterwards."""
    options: dict[str, Any] = {"format": "png" if wanted.draw_marks else wanted.image_format}
    if options["format"] != "png":
        options["quality"] = wanted.quality
    if wanted.scale < 1 and not wanted.draw_marks:
        size = {"x": 0, "y": 0, "width": viewport.width, "height": viewport.height, "scale": wanted.scale}
        options |= {"clip": size, "captureBeyondViewport": False}
    return options
