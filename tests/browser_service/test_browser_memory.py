"""Pages that eat memory and a driver that dies under several sessions: who loses what, and that all of it comes back."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import httpx
import psutil
import pytest
from real_service import SMALL, Site, running_service

from browser_service.chromium import fleet
from browser_service.client import Browser, BrowserPool
from browser_service.errors import BrowserCrashed, BrowserServiceError, PageCrashed
from browser_service.models import ClickId, Observe, ObserveRequest, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False)
SLOTS = 3
RENDERER_MB = 400
HOG_MB = 1_000
DEADLINE_S = 60

# Every byte is written, or it would take no memory; in small pieces, so that the page can be looked at all the time.
HOG = """onclick = () => { const kept = window.kept = []; const eat = () => { kept.push(new Uint8Array(10e6).fill(7));
    if (kept.length < HOG_MB / 10) setTimeout(eat); }; eat(); }""".replace("HOG_MB", str(HOG_MB))


@pytest.fixture(scope="module", autouse=True)
def short_glances() -> Generator[None, None, None]:
    """Memory is measured four times a second instead of every five seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fleet, "GLANCES_PER_LISTING", 1)
        patched.setattr(fleet, "GLANCES_PER_MEASUREMENT", 1)
        yield


@pytest.fixture(scope="module")
def service(short_glances: None) -> Generator[Settings, None, None]:
    """A renderer may use less than a hog eats, a Chromium far more."""
    with running_service(
        slots=SLOTS, renderer_memory_mb=RENDERER_MB, chromium_memory_mb=4_000, settle_cap_s=0.5, reap_interval_s=0.1
    ) as settings:
        yield settings


@pytest.fixture(scope="module")
def tight(short_glances: None) -> Generator[Settings, None, None]:
    """A Chromium with two sessions may use 400 MB, a renderer far more."""
    with running_service(
        slots=2,
        warm=0,
        chromium_memory_mb=100,
        session_memory_mb=50,
        renderer_memory_mb=4_000,
        settle_cap_s=0.5,
        reap_interval_s=0.1,
    ) as settings:
        yield settings


@pytest.fixture
async def stack(pool: BrowserPool) -> AsyncGenerator[AsyncExitStack, None]:
    """A stack for the leases of a test, which end while the client still is open."""
    async with AsyncExitStack() as entered:
        yield entered


async def leases(stack: AsyncExitStack, pool: BrowserPool, count: int) -> list[Browser]:
    """So many at the same time."""
    return [
        await stack.enter_async_context(pool.lease(owner=f"lease {number}", viewport=SMALL, wait_s=DEADLINE_S))
        for number in range(count)
    ]


async def let_it_eat(browser: Browser, site: Site) -> BrowserServiceError:
    """Sets a hog loose and looks on until the session is over. Returns what it ended with."""
    await browser.step(VisitPage(url=site.page("hog", "<button>eat</button>", script=HOG)), QUICK)
    async with asyncio.timeout(DEADLINE_S):
        try:
            await browser.step(ClickId(id=1), QUICK)
            while True:
                await browser.step(Observe(), QUICK)
        except BrowserServiceError as error:
            return error


def counted(service: Settings, line: str) -> float:
    """The number behind a metric, 0 where there is none yet."""
    found = [text for text in httpx.get(f"{service.url}/metrics").text.splitlines() if text.startswith(line)]
    return sum(float(text.rpartition(" ")[2]) for text in found)


async def assert_usable(pool: BrowserPool, site: Site, slots: int) -> None:
    """All slots can be leased at once, and work."""
    async with AsyncExitStack() as entered:
        for browser in await leases(entered, pool, slots):
            reply = await browser.step(VisitPage(url=site.page("fine", "ok")), QUICK)
            assert reply.error is None and reply.observation.title == "fine"


async def test_a_page_beyond_the_cap_of_a_renderer_costs_its_own_lease_alone(
    stack: AsyncExitStack, pool: BrowserPool, service: Settings, site: Site
) -> None:
    calm = site.page("calm", "<button onclick='document.title=++n'>x</button>", script="n = 0")
    hungry, neighbour = await leases(stack, pool, 2)
    await neighbour.step(VisitPage(url=calm), QUICK)
    killed = counted(service, 'browser_service_crashes_total{part="renderer"')
    error = await let_it_eat(hungry, site)
    assert isinstance(error, PageCrashed) and error.fault == "infra" and error.session_state == "lost"
    assert counted(service, 'browser_service_crashes_total{part="renderer"') > killed
    assert (await neighbour.step(ClickId(id=1), QUICK)).observation.title == "1", "it goes on where it was"
    await hungry.release()
    await assert_usable(pool, site, SLOTS - 1)


async def test_a_chromium_beyond_the_hard_mark_is_killed_and_replaced(
    stack: AsyncExitStack, tight: Settings, site: Site
) -> None:
    pool = await stack.enter_async_context(BrowserPool(tight.url))
    hungry, neighbour = await leases(stack, pool, 2)
    await neighbour.step(VisitPage(url=site.page("quiet", "x")), QUICK)
    assert counted(tight, 'browser_service_recycles_total{reason="memory_hard"') == 0, "two sessions are no reason"
    for error in (await let_it_eat(hungry, site), await loss_of(neighbour)):
        assert isinstance(error, BrowserCrashed) and error.fault == "infra" and error.session_state == "lost"
        assert "MB and was killed" in error.detail, error.detail
    assert counted(tight, 'browser_service_recycles_total{reason="memory_hard"') == 1
    await assert_usable(pool, site, 2)


async def loss_of(browser: Browser) -> BrowserServiceError:
    with pytest.raises(BrowserServiceError) as lost:
        await browser.step(Observe(), QUICK)
    return lost.value


async def test_a_driver_that_dies_under_several_sessions_loses_them_all_and_is_replaced(
    stack: AsyncExitStack, pool: BrowserPool, service: Settings, site: Site
) -> None:
    held = await leases(stack, pool, SLOTS)
    page = site.page("driven", "x")
    await asyncio.gather(*(browser.step(VisitPage(url=page), QUICK) for browser in held))
    driver = the_driver(service)
    browsers = driver.children(recursive=True)
    driver.kill()
    for error in await asyncio.gather(*map(loss_of, held)):
        assert isinstance(error, BrowserCrashed) and error.fault == "infra" and error.session_state == "lost"
    await assert_usable(pool, site, SLOTS)
    assert the_driver(service).pid != driver.pid
    _, left = await asyncio.to_thread(psutil.wait_procs, browsers, timeout=DEADLINE_S)
    assert not left, "browsers of the dead driver are left"


def the_driver(service: Settings) -> psutil.Process:
    """Playwright's driver whose browsers have their profiles in this service's folder."""
    for driver in psutil.Process().children():
        if driver.status() == psutil.STATUS_ZOMBIE or "run-driver" not in driver.cmdline():
            continue
        for child in driver.children(recursive=True):
            if any(word.startswith(f"--user-data-dir={service.state_dir}") for word in child.cmdline()):
                return driver
    raise LookupError("no driver has browsers of this service")
