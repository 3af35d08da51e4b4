"""Streams for observers: `GET /events`, the events of this process, and `GET /sessions/{id}/live`, a session's screen.

The live view is a page without any script, and its only external content is a stream of pictures: no markup of the
watched site is ever rendered. Watching neither renews a lease nor waits for its steps.
"""

import asyncio
import base64
import html
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from browser_service.events import Events
from browser_service.session.browser import LeasedBrowser
from browser_service.tiers.service import service_of

events_router = APIRouter(tags=["operation"])
router = APIRouter(tags=["lease"])

HEARTBEAT_S = 10.0
"""Interval of an unchanged picture, or of an SSE comment line, by which a lost connection is noticed."""
LONGEST_STREAM_S = 300.0
"""The page reopens the stream after so many seconds; an abandoned stream ends by then."""
GLANCE_S = 1.0
"""Interval of the check for an ended session or another active tab."""
FRAME_PAUSE_S = 0.2
SCREENCAST = {"format": "jpeg", "quality": 60, "everyNthFrame": 1}
BOUNDARY = "frame"
SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
}


@events_router.get("/events", responses={200: {"content": {"text/event-stream": {}}}}, response_class=StreamingResponse)
async def events(request: Request, kinds: str = "") -> StreamingResponse:
    """Server-sent events from now on: leases, steps, crashes, replaced browsers; `kinds=crash,recycled` filters."""
    wanted = frozenset(filter(None, kinds.split(",")))
    stream = _stream(service_of(request).events, wanted)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


@router.get("/sessions/{instance_id}/live", response_class=HTMLResponse)
async def live(request: Request, instance_id: str, token: str | None = None) -> HTMLResponse:
    """A page that shows the screen of the session's browser. It needs the lease's token."""
    service_of(request).sessions.watch(instance_id, token)
    query = f"?token={quote(token, safe='')}" if token else ""
    picture = html.escape(f"/sessions/{quote(instance_id, safe=':')}/live/stream{query}", quote=True)
    name = html.escape(instance_id)
    return HTMLResponse(
        f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="refresh" content="{LONGEST_STREAM_S:.0f}"><title>{name}</title>
<style>body{{margin:0;background:#222}}img{{display:block;margin:auto;max-width:100%;max-height:100vh}}</style>
<img src="{picture}" alt="Screen of session {name}"></html>""",
        headers=SAFE,
    )


@router.get(
    "/sessions/{instance_id}/live/stream",
    responses={200: {"content": {"multipart/x-mixed-replace": {}}}},
    response_class=StreamingResponse,
)
async def stream(request: Request, instance_id: str, token: str | None = None) -> StreamingResponse:
    """The screen as a stream of JPEGs (multipart/x-mixed-replace), one for each change, at most five a second."""
    browser = service_of(request).sessions.watch(instance_id, token)
    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return StreamingResponse(_parts(browser), media_type=media_type, headers=SAFE)


async def _stream(source: Events, wanted: frozenset[str]) -> AsyncGenerator[str, None]:
    with source.subscribe() as happenings:
        yield ": listening\n\n"
        coming = asyncio.ensure_future(anext(happenings))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_S)
                if not done:
                    yield ": still there\n\n"
                    continue
                event = coming.result()
                coming = asyncio.ensure_future(anext(happenings))
                if not wanted or event.kind in wanted:
                    data = json.dumps({"at": round(event.at, 3), **event.fields})
                    yield f"event: {event.kind}\ndata: {data}\n\n"
        finally:
            coming.cancel()


async def _parts(browser: LeasedBrowser) -> AsyncGenerator[bytes, None]:
    """The pictures as parts of one multipart answer, until the session is over."""
    until = time.monotonic() + LONGEST_STREAM_S
    while browser.is_alive and time.monotonic() < until:
        page = browser.active_page
        if page is None:
            return
        with suppress(PlaywrightError):  # the tab was closed: go on with the next tab
            async with _screencast(page) as frames:
                picture = base64.b64decode(await _picture_now(page))
                yield _part(picture)
                shown_at = time.monotonic()
                while browser.is_alive and browser.active_page is page and time.monotonic() < until:
                    try:
                        async with asyncio.timeout(GLANCE_S):
                            picture = await frames.get()
                    except TimeoutError:
                        if time.monotonic() - shown_at < HEARTBEAT_S:
                            continue
                    yield _part(picture)
                    shown_at = time.monotonic()
        await asyncio.sleep(FRAME_PAUSE_S)


async def _picture_now(page: Page) -> str:
    """Takes the first picture, because a still page sends no screencast frames."""
    session = await page.context.new_cdp_session(page)
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return (await session.send("Page.captureScreenshot", {"format": "jpeg", "quality": 60}))["data"]
    finally:
        await session.detach()


@asynccontextmanager
async def _screencast(page: Page) -> AsyncGenerator["asyncio.Queue[bytes]", None]:
    """The page's frames. The next one is sent only when the last has been taken and a pause has passed."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    session = await page.context.new_cdp_session(page)
    acknowledging: set[asyncio.Task[None]] = set()

    async def acknowledge(number: int) -> None:
        await asyncio.sleep(FRAME_PAUSE_S)
        with suppress(PlaywrightError):
            await session.send("Page.screencastFrameAck", {"sessionId": number})

    def arrived(frame: dict[str, Any]) -> None:
        frames.put_nowait(base64.b64decode(frame["data"]))
        task = asyncio.ensure_future(acknowledge(frame["sessionId"]))
        acknowledging.add(task)
        task.add_done_callback(acknowledging.discard)

    session.on("Page.screencastFrame", arrived)
    try:
        await session.send("Page.startScreencast", dict(SCREENCAST))
        yield frames
    finally:
        for task in acknowledging:
            task.cancel()
        with suppress(PlaywrightError, TimeoutError):  # it ends with the tab
            async with asyncio.timeout(1.0):
                await session.detach()


def _part(picture: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\ncontent-type: image/jpeg\r\ncontent-length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"
