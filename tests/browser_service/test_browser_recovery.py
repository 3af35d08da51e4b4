"""Recovery when a page hangs, a renderer dies, Chromium is killed, a client vanishes, the service is killed."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from eventually import PATIENCE_S, until, wait_until
from real_service import SMALL, Site, free_port, running_service

from browser_service.chromium.fleet import Fleet
from browser_service.chromium.launcher import Launcher
from browser_service.client import Browser, BrowserPool
from browser_service.errors import (
    BrowserCrashed,
    BrowserServiceError,
    DeadlineExceeded,
    LeaseNotFound,
    PageCrashed,
    Unreachable,
)
from browser_service.models import Back, ClickId, Observe, ObserveRequest, Sleep, VisitPage
from browser_service.session.browser import LeasedBrowser
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
DEADLINE_S = 3.0
QUICK = ObserveRequest(screenshot=False)


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Short deadlines: these tests wait for them."""
    with running_service(slots=2, call_deadline_s=DEADLINE_S, settle_cap_s=0.5, reap_interval_s=0.1) as settings:
        yield settings


def chromium_of(folder: Path) -> psutil.Process:
    """The browser's main process of the service with this state folder."""
    found = []
    for process in psutil.process_iter():
        command = command_of(process)
        profile = any(word.startswith(f"--user-data-dir={folder}") for word in command)
        if profile and not any(word.startswith("--type=") or "crashpad" in word for word in command):
            found.append(process)
    # A child that was just forked looks like its parent for a moment.
    return min(found, key=lambda process: process.create_time())


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []


async def assert_usable(pool: BrowserPool, site: Site) -> None:
    """All slots can be leased at once, and work."""
    async with (
        pool.lease(owner="a", viewport=SMALL, wait_s=60) as one,
        pool.lease(owner="b", viewport=SMALL, wait_s=60) as two,
    ):
        for browser in (one, two):
            reply = await browser.step(VisitPage(url=site.page("fine", "ok")), QUICK)
            assert reply.error is None and reply.observation.title == "fine"


@pytest.mark.parametrize(
    "how",
    [
        "<button onclick='while(1);'>hang</button>",
        pytest.param("<button onclick='setTimeout(() => {while(1);}, 0)'>hang</button>", marks=pytest.mark.chaos),
    ],
)
async def test_a_hung_page_costs_its_own_lease_and_nothing_else(pool: BrowserPool, site: Site, how: str) -> None:
    async with pool.lease(owner="neighbour", viewport=SMALL) as neighbour:
        await neighbour.step(VisitPage(url=site.page("calm", "<button onclick='document.title=1'>x</button>")), QUICK)
        async with pool.lease(owner="victim", viewport=SMALL) as victim:
            await victim.step(VisitPage(url=site.page("hang", how)), QUICK)
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded) as late:
                await victim.step(ClickId(id=1), QUICK)
            assert late.value.fault == "infra"
            assert time.monotonic() - start < DEADLINE_S + 0.5 + 10, "the deadline and some seconds to close"
            with pytest.raises(DeadlineExceeded):
                await victim.step(Observe(), QUICK)
        assert (await neighbour.step(ClickId(id=1), QUICK)).observation.title == "1"
    await assert_usable(pool, site)


async def test_the_callers_own_deadline_is_kept(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="impatient", viewport=SMALL) as browser:
        start = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await browser.step(VisitPage(url=f"{site.url}/slow?25"), QUICK, deadline_s=0.5)
        assert time.monotonic() - start < 24, "before the page would have answered"
    await assert_usable(pool, site)


async def test_a_dead_renderer_is_a_page_crash(pool: BrowserPool, service: Settings, site: Site) -> None:
    async with pool.lease(owner="crash", viewport=SMALL) as browser:
        await browser.step(VisitPage(url=site.page("to-crash", "<p>x")), QUICK)
        for renderer in renderers_of(
            service.state_dir
        ):  # the spare session's too, which must not be given to anyone now
            with suppress(psutil.NoSuchProcess):
                renderer.kill()
        with pytest.raises(PageCrashed) as crash:
            await browser.step(Observe(), QUICK)
        assert crash.value.fault == "infra"
    await assert_usable(pool, site)


def renderers_of(folder: Path) -> list[psutil.Process]:
    return [child for child in chromium_of(folder).children(recursive=True) if "--type=renderer" in command_of(child)]


@pytest.mark.skipif(os.getuid() != 0, reason="as another user than root the sandbox needs no help of ours")
async def test_pages_run_sandboxed_and_not_as_root(pool: BrowserPool, service: Settings, site: Site) -> None:
    async with pool.lease(owner="inside", viewport=SMALL) as browser:
        await browser.step(VisitPage(url=site.page("inside", "x")), QUICK)
        for renderer in renderers_of(service.state_dir):
            assert renderer.uids().effective == service.sandbox_uid
            assert "Seccomp:\t2" in status_of(renderer)


def status_of(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")


async def test_a_killed_driver_is_replaced(pool: BrowserPool, service: Settings, site: Site) -> None:
    async with pool.lease(owner="driven", viewport=SMALL) as browser:
        driver = chromium_of(service.state_dir).parent()
        assert driver is not None and "run-driver" in command_of(driver)
        driver.kill()
        with pytest.raises(BrowserCrashed):
            await browser.step(Observe(), QUICK)
    await assert_usable(pool, site)


async def test_killed_chromium_loses_its_leases_and_comes_back(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    async with pool.lease(owner="one", viewport=SMALL) as one, pool.lease(owner="two", viewport=SMALL) as two:
        await one.step(VisitPage(url=site.page("doomed", "<p>x")), QUICK)
        chromium_of(service.state_dir).kill()
        start = time.monotonic()
        for browser in (one, two):
            with pytest.raises(BrowserCrashed) as crash:
                await browser.step(Observe(), QUICK)
            assert crash.value.fault == "infra"
        node = (await pool.info()).nodes[0]
        assert node.available == (2 if node.healthy else 0)
        await assert_usable(pool, site)
        assert time.monotonic() - start < 60, "launching again takes a second on a quiet machine"


async def test_a_disk_that_is_full_for_a_while_only_delays_the_next_chromium(
    pool: BrowserPool, service: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, tries = Launcher.prepare, []

    def full_at_first(self: Launcher, home: Path) -> Path:
        tries.append(home)
        if len(tries) < 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return prepare(self, home)

    monkeypatch.setattr(Launcher, "prepare", full_at_first)
    async with pool.lease(owner="doomed", viewport=SMALL) as browser:
        chromium_of(service.state_dir).kill()
        with pytest.raises(BrowserCrashed):
            await browser.step(Observe(), QUICK)
    await until(lambda: len(tries) == 4)
    await assert_usable(pool, site)


async def test_what_is_done_for_ever_is_done_again_after_a_failure(
    pool: BrowserPool, service: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: set[str] = set()

    def broken(self: Fleet) -> None:
        failed.add(sys._getframe(1).f_code.co_name)
        raise RuntimeError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(Fleet, "check", broken)
        patched.setattr(Fleet, "_stop_hogs", broken)
        await until(lambda: len(failed) == 2)
    glances: list[Fleet] = []
    monkeypatch.setattr(Fleet, "_stop_hogs", lambda fleet: glances.append(fleet))
    async with pool.lease(owner="sleeper", viewport=SMALL, ttl_s=0.5, keep_alive=False):
        await until(lambda: bool(glances))
        async with pool.lease(owner="other", viewport=SMALL), pool.lease(owner="waiting", viewport=SMALL, wait_s=60):
            pass


async def test_a_lease_that_nobody_uses_expires_and_its_slot_comes_back(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="sleeper", viewport=SMALL, ttl_s=0.5, keep_alive=False) as sleeper:
        async with pool.lease(owner="other", viewport=SMALL), pool.lease(owner="waiting", viewport=SMALL, wait_s=60):
            pass
        with pytest.raises(LeaseNotFound, match="instance not found"):
            await sleeper.step(Observe(), QUICK)


async def test_a_lease_is_kept_for_a_holder_that_thinks(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="thinker", viewport=SMALL, ttl_s=3, keep_alive=True) as thinker:
        await asyncio.sleep(4.5)
        await thinker.step(VisitPage(url=site.page("thought", "x")), QUICK)


async def test_a_cancelled_client_gives_its_browser_back(service: Settings, site: Site) -> None:
    started = asyncio.Event()

    async def use_for_ever() -> None:
        async with (
            BrowserPool(service.url) as mine,
            mine.lease(owner="cancelled", viewport=SMALL, ttl_s=300) as browser,
        ):
            await browser.step(VisitPage(url=site.page("busy", "x")), QUICK)
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(use_for_ever())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with BrowserPool(service.url) as pool:
        assert (await pool.info()).nodes[0].available == 2


async def test_one_cancelled_in_the_queue_leaves_nothing_behind(pool: BrowserPool, service: Settings) -> None:
    async def stand_in_line() -> None:
        async with pool.lease(owner="queued", viewport=SMALL, wait_s=60):
            raise AssertionError("there was no slot to get")

    async with pool.lease(owner="a", viewport=SMALL), pool.lease(owner="b", viewport=SMALL):
        task = asyncio.create_task(stand_in_line())
        async with asyncio.timeout(PATIENCE_S):
            while not (await pool.info()).queue:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pool.info()).queue == 0
    assert (await pool.info()).nodes[0].available == 2


async def test_nobody_there_is_unreachable() -> None:
    async with BrowserPool(f"http://127.0.0.1:{free_port()}", patience_s=1) as pool:
        with pytest.raises(Unreachable, match="no answer"):
            async with pool.lease(owner="x"):
                pass


async def test_a_killed_service_takes_its_chromium_along(
    site: Site, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    folder = Path(f"/tmp/bs-killed-{os.getpid()}")
    first, url = start_service(folder)
    try:
        async with BrowserPool(url, patience_s=1) as pool:
            with pytest.raises(Unreachable):
                async with pool.lease(owner="unlucky", viewport=SMALL) as browser:
                    await browser.step(VisitPage(url=site.page("before-kill", "x")), QUICK)
                    chromium = chromium_of(folder)
                    family = [chromium, *chromium.children(recursive=True)]
                    first.kill()
                    first.wait(10)
                    await browser.step(Observe(), QUICK)
        eventually(lambda: not any(alive(process) for process in family))
        left = names_in(folder)
        second, url = start_service(folder)
        async with BrowserPool(url) as pool:
            assert (await pool.info()).nodes[0].available == 1
        assert not left & names_in(folder), "the killed service's files are gone"
        second.terminate()
        assert second.wait(20) == 0
        assert names_in(folder) == set()
    finally:
        first.kill()
        shutil.rmtree(folder)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_service(folder: Path) -> tuple["subprocess.Popen[bytes]", str]:
    port = free_port()
    environment = {**os.environ, "BROWSER_SERVICE_STATE_DIR": str(folder)}
    command = [
        sys.executable,
        "-m",
        "browser_service.cli",
        "up",
        "--slots",
        "1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command, env=environment)
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, "the service ended at once"
        try:
            return httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_ready, "the service")
    return process, url


async def test_sessions_share_nothing(pool: BrowserPool, site: Site) -> None:
    page = site.page(
        "storage",
        "x",
        script="document.title = document.cookie + localStorage.getItem('k'); document.cookie='c=1'; localStorage.setItem('k', 'v')",
    )

    async def title(browser: Browser) -> str:
        return (await browser.step(VisitPage(url=page), QUICK)).observation.title

    async with pool.lease(owner="first", viewport=SMALL) as one:
        assert await title(one) == "null"
        assert await title(one) == "c=1v"
        async with pool.lease(owner="second", viewport=SMALL) as two:
            assert await title(two) == "null"
    async with pool.lease(owner="third", viewport=SMALL) as three:
        assert await title(three) == "null"


@pytest.mark.chaos
async def test_nobody_waits_for_the_last_call_of_the_lease_before(pool: BrowserPool, service: Settings) -> None:
    async with BrowserPool(service.url) as other, asyncio.TaskGroup() as tasks:
        async with pool.lease(owner="asleep", viewport=SMALL, reuse="last call") as asleep:
            tasks.create_task(until_lost(asleep, Sleep(duration=30)))
            await asyncio.sleep(0.5)
        start = time.monotonic()
        async with other.lease(owner="next", viewport=SMALL, reuse="last call") as following:
            assert (await following.step(Observe(), QUICK)).error is None
        assert time.monotonic() - start < 25, "it waited for the sleep of another lease"


async def test_a_browser_that_can_not_be_cleaned_is_closed_and_costs_no_lease(
    pool: BrowserPool, service: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = site.page("unclean", "x", script="document.title = document.cookie; document.cookie = 'c=1'")

    async def full(self: LeasedBrowser) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(LeasedBrowser, "clean", full)
    for _ in range(3):
        async with pool.lease(owner="unclean", viewport=SMALL, reuse="unclean") as browser:
            assert (await browser.step(VisitPage(url=page), QUICK)).observation.title == ""
    await until(lambda: len(renderers_of(service.state_dir)) <= 2)


async def until_lost(browser: Browser, action: Sleep) -> None:
    with suppress(BrowserServiceError):
        await browser.step(action, QUICK)


async def test_leases_that_trust_one_another_get_a_cleaned_session(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    page = site.page(
        "traces",
        "x",
        script="""document.title = [document.cookie, localStorage.k, sessionStorage.k, window.name, history.length].join();
            document.cookie = 'c=1'; localStorage.k = sessionStorage.k = window.name = 'left';""",
    )
    site.page("other-tab", "tab")
    opener = site.page("tab-opener", "<a href=/other-tab target=_blank>open</a>")
    titles, owners = [], []
    for _ in range(3):
        async with pool.lease(owner="trusting", viewport=SMALL, reuse="tests") as browser:
            owners.append({process.pid for process in renderers_of(service.state_dir)})
            titles.append((await browser.step(VisitPage(url=page), QUICK)).observation.title)
            back = await browser.step(Back(), QUICK)
            assert "tab" not in back.observation.url, "no way back to the page of another lease"
            await browser.step(VisitPage(url=opener), QUICK)
            assert len((await browser.step(ClickId(id=1), QUICK)).observation.tabs) == 2
    assert [title.rpartition(",")[0] for title in titles] == [",,,"] * 3, titles
    assert owners[0] & owners[1] & owners[2], "it is the same renderer"
    async with pool.lease(owner="trusting", viewport=SMALL, reuse="tests") as browser:
        reply = await browser.step(Observe(), QUICK)
        assert (reply.observation.url, len(reply.observation.tabs)) == ("about:blank", 1), "the old page is never seen"
    async with pool.lease(owner="stranger", viewport=SMALL, reuse="other tests") as browser:
        assert (await browser.step(VisitPage(url=page), QUICK)).observation.title.startswith(",,,,")
