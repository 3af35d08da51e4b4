"""The log of requests of a real Chromium: complete, bounded, without secrets, and free for the other sessions."""

import asyncio
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from real_service import SMALL, Site

from browser_service.client import Browser, BrowserPool
from browser_service.models import Artifact, ClickId, Observe, ObserveRequest, Recording, VisitPage
from browser_service.models.network import REMOVED, RequestRecord
from browser_service.session.request_log import LONGEST_BODY, MOST
from storage.recordings.requests import RequestLog, read_requests

PATIENCE_S = 15.0
BRIEF = ObserveRequest(screenshot=False)
NETWORK = Recording(network=True)


async def log_of(browser: Browser, folder: Path) -> RequestLog:
    """The log of a lease that is over, as an episode fetches it."""
    listed: Sequence[Artifact] = ()
    async with asyncio.timeout(PATIENCE_S):
        while not listed:
            await asyncio.sleep(0.02)
            listed = [one for one in await browser.artifacts() if one.kind == "network"]
    path = folder / "network.jsonl"
    await browser.download(listed[0], path)
    log = read_requests(folder, size=listed[0].size)
    assert log is not None
    return log


def at(log: RequestLog, path: str) -> list[RequestRecord]:
    return [one for one in log.requests if one.url.partition("?")[0].endswith(path)]


async def test_each_request_is_recorded_with_its_body_and_its_answer(
    pool: BrowserPool, site: Site, tmp_path: Path
) -> None:
    def refuse(request: BaseHTTPRequestHandler) -> None:
        request.send_error(403)

    site.responders["/refused"] = refuse
    site.redirects["/order"] = "/ordered"
    site.page("ordered", "Thank you.")
    long = "x" * (LONGEST_BODY + 10)
    page = site.page(
        "shop",
        "<form method=post action=/order><input name=item value='2 mugs'><input name=password value=hunter2>"
        "<button>Order</button></form>",
        script=f"""
        document.cookie = 'session=secret-cookie';
        const json = {{method: 'POST', headers: {{'content-type': 'application/json', authorization: 'Bearer hunter2'}}}};
        fetch('/refused', {{...json, body: JSON.stringify({{sku: 7, user: {{api_key: 'hunter2'}}}})}});
        fetch('/long', {{...json, body: '{long}'}});
        fetch('/bytes', {{method: 'PUT', body: new Uint8Array([255, 0])}});
        fetch('/file', {{method: 'POST', body: new Blob(['hidden'])}});
        fetch('http://127.0.0.1:9/nobody', {{method: 'POST', body: 'lost'}}).catch(() => 0);
        navigator.sendBeacon('/beacon', 'left');
        """,
    )
    async with pool.lease(owner="shop", viewport=SMALL, record=NETWORK) as browser:
        await browser.step(VisitPage(url=page), BRIEF)
        seen = (await browser.step(Observe(), ObserveRequest(screenshot=False))).observation
        await browser.step(ClickId(id=next(mark.id for mark in seen.marks if mark.name == "Order")), BRIEF)
    log = await log_of(browser, tmp_path)
    assert log.head.steps == 3 and log.head.requests == len(log.requests)
    (order,) = at(log, "/order")
    assert (order.method, order.status, order.step, order.resource_type) == ("POST", 302, 3, "document")
    assert order.body == f"item=2+mugs&password={REMOVED}" and not order.body_cut
    (refused,) = at(log, "/refused")
    assert (refused.status, refused.step) == (403, 1)
    assert refused.body == f'{{"sku":7,"user":{{"api_key":"{REMOVED}"}}}}'
    (cut,) = at(log, "/long")
    assert cut.body_cut and cut.body == "x" * LONGEST_BODY
    (raw,) = at(log, "/bytes")
    assert (raw.method, raw.body, raw.base64) == ("PUT", "/wA=", True)
    assert at(log, "/file")[0].body is None, "Chromium does not tell it"
    (lost,) = at(log, "/nobody")
    assert lost.status is None and lost.error.startswith("net::ERR_")
    assert at(log, "/beacon")[0].body == "left"
    assert [one.method for one in at(log, "/ordered")] == ["GET"], "each hop of a redirect is a request"
    text = (tmp_path / "network.jsonl").read_text()
    assert "hunter2" not in text and "secret-cookie" not in text and "uthorization" not in text


@pytest.mark.chaos
async def test_a_flood_of_requests_is_counted_and_costs_its_neighbour_little(
    pool: BrowserPool, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads without end fill their own room, and the order that comes after them is recorded."""
    monkeypatch.setitem(MOST, "reads", 100)  # the service runs in this process; its own limit would take long
    many = 300
    page = site.page(
        "flood",
        "<button onclick=\"fetch('/last', {method: 'POST', body: 'x=1'})\">go</button>",
        script=f"for (let i = 0; i < {many}; i++) {{ const a = new AbortController(); "
        "fetch('/drop?' + i, {signal: a.signal}).catch(() => 0); a.abort(); }",
    )
    quiet = site.page("quiet", "<button>ok</button>")
    async with (
        pool.lease(owner="flood", viewport=SMALL, record=NETWORK) as flooding,
        pool.lease(owner="neighbour", viewport=SMALL) as neighbour,
    ):
        await neighbour.step(VisitPage(url=quiet), BRIEF)
        flood = asyncio.create_task(flooding.step(VisitPage(url=page), BRIEF))
        slowest = 0.0
        while not flood.done():
            began = time.monotonic()
            await neighbour.step(Observe(), BRIEF)
            slowest = max(slowest, time.monotonic() - began)
        await flooding.step(ClickId(id=1), BRIEF)
    log = await log_of(flooding, tmp_path)
    assert len(at(log, "/drop")) <= MOST["reads"] and log.head.dropped_reads >= many - MOST["reads"]
    assert log.head.requests == len(log.requests) + log.head.dropped_reads
    assert [one.body for one in at(log, "/last")] == ["x=1"]
    assert slowest < 10, f"a step beside the flood took {slowest:.1f} s"


async def test_a_lease_that_does_not_ask_has_no_log_and_reuse_begins_a_new_one(
    pool: BrowserPool, site: Site, tmp_path: Path
) -> None:
    page = site.page("again", "again")
    for owner, record in (("first", NETWORK), ("none", Recording()), ("second", NETWORK)):
        async with pool.lease(owner=owner, viewport=SMALL, record=record, reuse="log") as browser:
            await browser.step(VisitPage(url=f"{page}?{owner}"), BRIEF)
        if record.is_on:
            folder = tmp_path / owner
            folder.mkdir()
            assert [one.url for one in (await log_of(browser, folder)).requests] == [f"{page}?{owner}"]
        else:
            assert await browser.artifacts() == []
