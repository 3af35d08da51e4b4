"""The clients against a real service, over connections that break."""

import asyncio
import base64
import hashlib
import json
import socket
import time
import zipfile
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_type_hints

import pytest
from eventually import PATIENCE_S, until
from fault_proxy import Fault, FaultProxy, refusal, running_proxy
from real_service import SMALL, Site, free_port
from real_tiers import Deployment, wait_until

from browser_service.client import Browser, BrowserPool, LeaseOptions, SyncBrowserPool
from browser_service.client.calls import Caller
from browser_service.errors import Draining, LeaseNotFound, NoCapacity, NotKept, RateLimited, Unreachable
from browser_service.events import Event
from browser_service.models import ClickCoords, LeaseRequest, Observe, ObserveRequest, Recording, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser

QUICK = ObserveRequest(screenshot=False, marks=False)
PICTURE = ObserveRequest(marks=False)
CLICK = ClickCoords(x=100, y=100)
BLINKS = (Fault.AFTER, Fault.BEFORE, Fault.HALF)


@pytest.fixture
def proxy(service: Settings) -> Generator[FaultProxy, None, None]:
    """Between client and service."""
    with running_proxy(service.url) as running:
        yield running


@pytest.fixture
async def shaky(proxy: FaultProxy) -> AsyncGenerator[BrowserPool, None]:
    """A client whose connections break."""
    async with BrowserPool(proxy.url) as client:
        yield client


def counter(site: Site) -> str:
    """A page whose title is the number of clicks that it has seen."""
    return site.page("counter", "x", title="0", script="let n = 0; onclick = () => document.title = ++n")


async def test_no_click_is_lost_or_made_twice(shaky: BrowserPool, proxy: FaultProxy, site: Site) -> None:
    async with shaky.lease(owner="clicks", viewport=SMALL) as browser:
        await browser.step(VisitPage(url=counter(site)), QUICK)
        proxy.faults["/step"] = [Fault.AFTER, None, Fault.BEFORE, None, Fault.HALF, None, *BLINKS, None]
        titles = [(await browser.step(CLICK, QUICK)).observation.title for _ in range(6)]
    assert titles == ["1", "2", "3", "4", "5", "6"]
    assert proxy.faults["/step"] == [] and proxy.count("/step") == 1 + 6 + 6


async def test_a_newer_service_may_say_more_than_its_client_knows(shaky: BrowserPool, proxy: FaultProxy) -> None:
    node = {
        "url": "http://x:1",
        "hash": "x",
        "healthy": True,
        "capacity": 2,
        "available": 1,
        "instances": [],
        "rack": 7,
    }
    reported = json.dumps({"nodes": [node], "queue": 3, "browser": "Chromium", "era": "next"})
    proxy.answers["/info"] = [f"HTTP/1.1 200 OK\r\ncontent-length: {len(reported)}\r\n\r\n{reported}".encode()]
    found = await shaky.info()
    assert (found.queue, found.nodes[0].capacity) == (3, 2)


@pytest.mark.parametrize("fault", BLINKS)
async def test_a_lease_is_asked_for_and_given_back_once(
    shaky: BrowserPool, proxy: FaultProxy, pool: BrowserPool, fault: Fault
) -> None:
    proxy.faults |= {"/get": [fault], "/release": [fault]}
    async with shaky.lease(owner="blink", viewport=SMALL, wait_s=60) as browser:
        (live,) = await pool.sessions()
        assert live.instance_id == browser.lease.instance_id
    assert await pool.sessions() == [] and proxy.count("/get") == proxy.count("/release") == 2


async def test_a_group_is_leased_whole_and_given_back_whole(
    shaky: BrowserPool, proxy: FaultProxy, pool: BrowserPool
) -> None:
    proxy.faults["/batch_get"] = [Fault.AFTER]
    async with shaky.batch(3, owner="group", viewport=SMALL, wait_s=60) as browsers:
        assert {live.instance_id for live in await pool.sessions()} == {each.lease.instance_id for each in browsers}
        await asyncio.gather(*(browser.step(Observe(), QUICK) for browser in browsers))
        began = time.monotonic()
        with pytest.raises(NoCapacity) as refused:
            async with pool.batch(2, owner="late", viewport=SMALL, wait_s=0.2):
                pass
        assert refused.value.retryable and time.monotonic() - began < 30
    assert await pool.sessions() == []


async def test_retry_after_is_kept_while_there_is_time(shaky: BrowserPool, proxy: FaultProxy) -> None:
    proxy.answers["/get"] = [refusal("429 Too Many Requests", retry_after="1")]
    began = time.monotonic()
    async with shaky.lease(owner="patient", viewport=SMALL, wait_s=60):
        assert time.monotonic() - began >= 1 and proxy.count("/get") == 2
    proxy.answers["/get"] = [refusal("429 Too Many Requests", retry_after="60")]
    began = time.monotonic()
    with pytest.raises(RateLimited) as refused:
        async with shaky.lease(owner="hasty", viewport=SMALL, wait_s=2):
            pass
    assert time.monotonic() - began < 30 and refused.value.retry_after_s == 60
    proxy.answers["/info"] = [refusal("502 Bad Gateway"), refusal("503 Service Unavailable", retry_after="soon")]
    assert (await shaky.info()).nodes and proxy.count("/info") == 3


async def test_a_service_that_says_nothing_is_waited_for_until_the_deadline() -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with BrowserPool(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_s=0.5) as pool:
            with pytest.raises(Unreachable, match=r"no answer .* within 0\.5 s"):
                await pool.info()
    assert time.monotonic() - began < 30


async def test_what_is_over_is_reported_and_not_asked_again(
    shaky: BrowserPool, proxy: FaultProxy, pool: BrowserPool
) -> None:
    async with shaky.lease(owner="ended", viewport=SMALL) as browser:
        await pool.end(browser.lease.instance_id)
        with pytest.raises(LeaseNotFound) as over:
            await browser.step(Observe(), QUICK)
        assert over.value.session_state == "lost" and over.value.fault == "client" and proxy.count("/step") == 1
        with pytest.raises(LeaseNotFound):
            await pool.end(browser.lease.instance_id)


async def test_a_lease_is_renewed_while_its_holder_thinks(shaky: BrowserPool, proxy: FaultProxy) -> None:
    proxy.faults["/renew"] = [Fault.BEFORE, Fault.AFTER]
    async with shaky.lease(owner="thinker", viewport=SMALL, ttl_s=3) as browser:
        await asyncio.sleep(4.5)
        await until(lambda: proxy.count("/renew") >= 5 and proxy.faults["/renew"] == [], "renewals in spite of faults")
        await browser.step(Observe(), QUICK)
        assert proxy.count("/renew") <= 16, "no faster than it must"
    asked = proxy.count("/renew")
    await asyncio.sleep(1)
    assert proxy.count("/renew") == asked, "it ends with the lease"


async def test_an_unchanged_screen_is_not_sent_again(shaky: BrowserPool, proxy: FaultProxy, site: Site) -> None:
    noise = "".join(f"<i style='background:hsl({7 * n} 90% 50%)'>{n}</i> " for n in range(300))
    async with shaky.lease(owner="still", viewport=SMALL) as browser:
        first = (await browser.step(VisitPage(url=site.page("noise", noise)), PICTURE)).observation.screenshot
        again = (await browser.step(Observe(), PICTURE)).observation.screenshot
        assert first and again == first and first.data
        sent_first, sent_again = proxy.sizes[-2:]
        assert sent_again < 3_000 < len(first.data) < sent_first
        assert await browser.picture(first) == base64.b64decode(first.data)
        mine = ObserveRequest(marks=False, have_sha256=first.sha256)
        kept = (await browser.step(Observe(), mine)).observation.screenshot
        assert kept and kept.data is None, "the caller has it"
        assert await browser.picture(kept) == base64.b64decode(first.data), "and so has the client, without asking"


async def test_a_picture_by_reference_is_fetched_once(shaky: BrowserPool, proxy: FaultProxy, site: Site) -> None:
    reference = ObserveRequest(marks=False, by_reference=True)
    async with shaky.lease(owner="reference", viewport=SMALL) as browser:
        shot = (await browser.step(VisitPage(url=site.page("named", "named")), reference)).observation.screenshot
        assert shot and shot.data is None
        blob = f"/blob/{shot.sha256}"
        proxy.faults[blob] = [Fault.HALF]
        first, again = await browser.picture(shot), await browser.picture(shot)
        assert first == again and hashlib.sha256(first).hexdigest() == shot.sha256 and proxy.count(blob) == 2
        assert await browser.artifacts() == []
        with pytest.raises(NotKept):
            await browser.blob("0" * 64)
        assert not [target for target in proxy.targets if browser.lease.token in target], "addresses end up in logs"


def test_what_was_kept_is_fetched_after_the_lease(service: Settings, site: Site, tmp_path: Path) -> None:
    with running_proxy(service.url) as proxy, SyncBrowserPool(proxy.url) as pool:
        with pool.lease(owner="recorded", viewport=SMALL, record=Recording(trace=True)) as browser:
            browser.step(VisitPage(url=site.page("traced", "x")), QUICK)
        wait_until(lambda: len(browser.artifacts()) == 1, 20)
        (trace,) = browser.artifacts()
        proxy.faults[f"/sessions/{browser.lease.instance_id}/artifacts/{trace.id}"] = [Fault.HALF]
        browser.download(trace, file := tmp_path / "trace.zip")
        assert list(tmp_path.iterdir()) == [file], "nothing half is left"
        assert zipfile.is_zipfile(file) and file.stat().st_size == trace.size


async def test_draining_and_what_happens_can_be_seen(pool: BrowserPool) -> None:
    found: list[Event] = []

    async def listen() -> None:
        async for event in pool.events("lease_granted", "lease_ended"):
            found.append(event)

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(PATIENCE_S):
        while not found:  # nobody tells when the service has heard that somebody listens
            async with pool.lease(owner="first", viewport=SMALL):
                await asyncio.sleep(0.05)
    async with pool.lease(owner="watched", viewport=SMALL):
        await pool.drain()
        with pytest.raises(Draining):
            async with pool.lease(owner="too late", viewport=SMALL, wait_s=0.2):
                pass
        await pool.undrain()

    def watched() -> list[Event]:
        granted = [at for at, event in enumerate(found) if event.fields.get("owner") == "watched"]
        return found[granted[0] :] if granted else []

    await until(lambda: len(watched()) >= 2, "the events of the watched lease")
    listening.cancel()
    granted, ended = watched()
    assert (granted.kind, ended.kind, ended.fields["how"]) == ("lease_granted", "lease_ended", "released")


async def test_calls_take_the_straight_way_and_the_long_one_where_they_must(deployment: Deployment, site: Site) -> None:
    deployment.wait_until_whole()
    with running_proxy(deployment.url) as front:
        async with BrowserPool(front.url) as pool, pool.lease(owner="straight", viewport=SMALL) as browser:
            await browser.step(VisitPage(url=counter(site)), QUICK)
            assert front.count("/step") == 0
            nobody, another = f"http://127.0.0.1:{free_port()}", site.url
            for misled in (nobody, another):
                calls = Caller(front.url, None, patience_s=5, direct=True)
                elsewhere = Browser(calls, browser.lease.model_copy(update={"direct_url": misled}))
                await elsewhere.renew()
                await calls.close()
            assert front.count("/renew") == 2
        assert front.count("/release") == 0
        async with (
            BrowserPool(front.url, direct=False) as pool,
            pool.lease(owner="long", viewport=SMALL) as browser,
        ):
            await browser.step(VisitPage(url=counter(site)), QUICK)
            front.faults["/step"] = list(BLINKS)
            assert [(await browser.step(CLICK, QUICK)).observation.title for _ in range(3)] == ["1", "2", "3"]
            assert front.count("/step") == 1 + 3 + 3


async def test_the_key_never_leaves_by_a_way_that_is_none() -> None:
    lease_at = "http://127.0.0.1:9000"
    far, near = Caller("http://farm.test", None, patience_s=1, direct=True), "http://10.0.0.7:9000"
    secure = Caller("https://farm.test", "key", patience_s=1, direct=True)
    assert far.usable(near) == near and far.usable(lease_at) is None and far.usable(None) is None
    for every in ("http://0.0.0.0:9000", "http://[::]:9000"):
        assert far.usable(every) is None, "the client's own machine, whoever listens there"
    assert secure.usable(near) is None and secure.usable("https://farm.test:9000/") == "https://farm.test:9000"
    await far.close()
    await secure.close()


async def test_a_restart_of_the_master_goes_unnoticed(deployment: Deployment, site: Site) -> None:
    deployment.wait_until_whole()
    async with (
        BrowserPool(deployment.url, patience_s=60) as pool,
        pool.lease(owner="before", viewport=SMALL) as browser,
    ):
        await browser.step(VisitPage(url=counter(site)), QUICK)
        deployment.kill(deployment.url)
        assert (await browser.step(CLICK, QUICK)).observation.title == "1", "at its instance, without the master"
        async with pool.lease(owner="after", viewport=SMALL, wait_s=30) as another:
            assert another.lease.instance_id != browser.lease.instance_id
            assert (await browser.step(CLICK, QUICK)).observation.title == "2"
    deployment.wait_until_whole()


def test_without_an_event_loop(service: Settings, site: Site) -> None:
    url = counter(site)

    def click(pool: SyncBrowserPool) -> str:
        with pool.lease(owner="thread", viewport=SMALL, wait_s=30) as browser:
            browser.step(VisitPage(url=url), QUICK)
            browser.step(CLICK, QUICK)
            return browser.step(CLICK, QUICK).observation.title

    with running_proxy(service.url) as proxy, SyncBrowserPool(proxy.url) as pool, ThreadPoolExecutor(4) as threads:
        proxy.faults |= {"/get": [Fault.AFTER], "/step": [Fault.AFTER, Fault.BEFORE, Fault.HALF]}
        assert list(threads.map(click, [pool] * 4)) == ["2"] * 4
        with pool.batch(2, owner="pair", viewport=SMALL, ttl_s=3) as browsers:
            time.sleep(4.5)
            shot = browsers[0].step(Observe(), PICTURE).observation.screenshot
            assert shot and browsers[0].picture(shot).startswith(b"\x89PNG")
            assert len(pool.sessions()) == 2 == len(pool.info().nodes[0].instances)
            asked = proxy.count("/renew")
            browsers[0].renew()
            assert proxy.count("/renew") > asked
            browsers[0].release()
            assert [live.instance_id for live in pool.sessions()] == [browsers[1].lease.instance_id]
            pool.end(browsers[1].lease.instance_id)
            with pytest.raises(LeaseNotFound):
                browsers[1].step(Observe(), QUICK)
        with pytest.raises(ZeroDivisionError), pool.lease(owner="broken", viewport=SMALL):
            raise ZeroDivisionError
        assert pool.sessions() == []


def test_every_option_of_a_lease_can_be_asked_for() -> None:
    assert set(get_type_hints(LeaseOptions)) == set(LeaseRequest.model_fields)
