"""The effect of one dead Chromium: only the sessions that share it are lost; and the status reported meanwhile."""

import asyncio
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager

import httpx
import psutil
import pytest
from real_service import Site, running_service

from browser_service.client import Browser, BrowserPool
from browser_service.errors import BrowserServiceError
from browser_service.models import ObserveRequest, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False)
GENEROUS_S = 60.0


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Two sessions to a Chromium, four slots."""
    with running_service(slots=4, sessions_per_chromium=2, warm=0, reap_interval_s=0.1) as settings:
        yield settings


def chromiums_of(settings: Settings) -> list[psutil.Process]:
    """The main process of each Chromium of the service, the oldest first."""
    found = []
    for process in psutil.process_iter():
        command = command_of(process)
        is_main = not any(word.startswith("--type=") or "crashpad" in word for word in command)
        if is_main and any(word.startswith(f"--user-data-dir={settings.state_dir}") for word in command):
            found.append(process)
    pids = {process.pid for process in found}
    roots = [process for process in found if process.ppid() not in pids]
    return sorted(roots, key=lambda process: process.create_time())


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def lease(pool: BrowserPool) -> AbstractAsyncContextManager[Browser]:
    return pool.lease(owner="blast", wait_s=GENEROUS_S)


async def is_alive(browser: Browser, url: str) -> bool:
    try:
        return (await browser.step(VisitPage(url=url), QUICK)).error is None
    except BrowserServiceError:
        return False


async def test_a_dead_chromium_ends_its_own_sessions_only(pool: BrowserPool, service: Settings, site: Site) -> None:
    url = site.page("blast", "here")
    async with lease(pool) as a, lease(pool) as b, lease(pool) as c, lease(pool) as d:
        browsers = [a, b, c, d]
        assert all([await is_alive(browser, url) for browser in browsers])
        first, second = chromiums_of(service)
        first.kill()
        async with asyncio.timeout(GENEROUS_S):
            while True:
                alive = [await is_alive(browser, url) for browser in browsers]
                if alive.count(True) == 2:
                    break
                await asyncio.sleep(0.1)
        assert second.is_running() and alive == [False, False, True, True]
    async with lease(pool) as fresh:
        assert await is_alive(fresh, url)


async def test_health_and_availability_never_contradict_each_other(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    """Asked all the time, while every Chromium is killed and comes back."""
    url = site.page("contradiction", "here")
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
        async with lease(pool) as browser:
            assert await is_alive(browser, url)
        for process in chromiums_of(service):
            process.kill()
        async with asyncio.timeout(GENEROUS_S):
            while True:
                (node,) = (await http.get("/info")).json()["nodes"]
                assert node["healthy"] or node["available"] == 0, node
                if node["healthy"] and len(chromiums_of(service)) == 1 and node["available"] == 4:
                    break
                await asyncio.sleep(0.02)
        async with lease(pool) as browser:
            assert await is_alive(browser, url)


async def test_a_chromium_without_sessions_waits_for_the_next(pool: BrowserPool, service: Settings) -> None:
    """Leases that come and go above the limit of the first Chromium would launch another one each time."""
    async with lease(pool), lease(pool):
        async with lease(pool):
            before = chromiums_of(service)
        async with lease(pool):
            again = chromiums_of(service)
    assert len(before) == 2 and again == before


@pytest.mark.parametrize(("slots", "most"), [(1, 4), (4, 4), (12, 4), (16, 6), (64, 22)])
def test_a_third_of_the_slots_shares_a_chromium(slots: int, most: int) -> None:
    """Two more Chromiums than one for all: at most a quarter more memory, from the size on where it counts."""
    assert Settings(slots=slots).most_per_chromium == most
    assert Settings(slots=slots, sessions_per_chromium=1).most_per_chromium == 1
