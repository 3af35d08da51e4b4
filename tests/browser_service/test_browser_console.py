"""The log of the console of a real Chromium: messages, uncaught errors, and no cost from a page that writes without end."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from real_service import SMALL, Site

from browser_service.client import BrowserPool
from browser_service.models import Artifact, ClickId, ObserveRequest, Recording, VisitPage
from browser_service.session.console_log import LONGEST_TEXT, MOST
from storage.recordings.requests import read_console

PATIENCE_S = 15.0
BRIEF = ObserveRequest(screenshot=False)


async def test_messages_and_uncaught_errors_are_recorded_with_their_step_until_there_is_no_room(
    pool: BrowserPool, site: Site, tmp_path: Path
) -> None:
    page = site.page(
        "talks",
        "<button onclick='for (let i = 0; i < 5000; i++) console.log(i)'>go</button>",
        script=f"console.warn('careful', 7); setTimeout(() => cart.add(1)); console.log('x'.repeat({LONGEST_TEXT + 9}))",
    )
    async with pool.lease(owner="talks", viewport=SMALL, record=Recording(console=True)) as browser:
        await browser.step(VisitPage(url=page), BRIEF)
        await browser.step(ClickId(id=1), BRIEF)
    listed: Sequence[Artifact] = ()
    async with asyncio.timeout(PATIENCE_S):
        while not listed:
            await asyncio.sleep(0.02)
            listed = [one for one in await browser.artifacts() if one.kind == "console"]
    await browser.download(listed[0], tmp_path / "console.jsonl")
    log = read_console(tmp_path, size=listed[0].size)
    assert log is not None and log.head.full and len(log.lines) == MOST
    first = [line for line in log.lines if line.step == 1]
    assert [(line.kind, line.text) for line in first if line.kind == "warning"] == [("warning", "careful 7")]
    assert any(line.kind == "exception" and "cart is not defined" in line.text for line in first)
    assert "x" * LONGEST_TEXT in [line.text for line in first]
    assert {line.text for line in log.lines if line.step == 2} >= {"0", "1", "2"}
