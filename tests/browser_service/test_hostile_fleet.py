"""The browsers behind the leases: ready soon, replaced without disturbing anyone, gone without a trace when something is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import psutil
import pytest
from eventually import PATIENCE_S, until
from real_service import SMALL, Site, free_port, running_service

from browser_service.chromium import orphans
from browser_service.chromium.memory import families, folder_bytes, resident_bytes
from browser_service.chromium.recycling import STRIKE_MEMORY_S, Strikes
from browser_service.client import BrowserPool
from browser_service.errors import BrowserCrashed
from browser_service.models import ClickId, Observe, ObserveRequest, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False)
SOAKED = 60
HOLDERS = 6


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Browsers that are replaced after a few leases."""
    with running_service(slots=6, shared_leases=8, own_leases=2, reap_interval_s=0.1, call_deadline_s=5) as settings:
        yield settings


def browsers_in(folder: Path) -> dict[int, Path]:
    """The main processes of the running browsers, with their homes."""
    found = {}
    for noted in folder.glob("*/h*-pid"):
        pid = int(noted.read_text() or 0)
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            found[pid] = noted.with_name(noted.name.removesuffix("-pid"))
    return found


async def test_a_shared_browser_is_replaced_while_its_session_goes_on(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    page = site.page("count", "<button onclick='document.title=Number(document.title)+1||1'>x</button>")
    async with pool.lease(owner="stays", viewport=SMALL) as stays:
        await stays.step(VisitPage(url=page), QUICK)
        first = set(browsers_in(service.state_dir))
        for _ in range(8):
            async with pool.lease(owner="passes", viewport=SMALL) as passes:
                assert (await passes.step(VisitPage(url=page), QUICK)).error is None
        await until(lambda: set(browsers_in(service.state_dir)) - first, "no new browser came")
        assert (await stays.step(ClickId(id=1), QUICK)).observation.title == "1", "its page was not loaded again"
        assert first <= set(browsers_in(service.state_dir)), "the old browser is there for it"
    await until(lambda: not first & set(browsers_in(service.state_dir)), "the old browser did not end")
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"{service.url}/metrics")).text
    assert 'browser_service_recycles_total{reason="leases"}' in metrics


async def test_a_killed_own_browser_costs_one_lease(pool: BrowserPool, service: Settings, site: Site) -> None:
    page = site.page("fine", "x")
    async with pool.lease(owner="shared", viewport=SMALL) as shared:
        await shared.step(VisitPage(url=page), QUICK)
        others = set(browsers_in(service.state_dir))
        async with pool.lease(owner="alone", viewport=SMALL, isolation="browser") as alone:
            await alone.step(VisitPage(url=page), QUICK)
            [own] = [pid for pid in browsers_in(service.state_dir) if pid not in others][:1]
            family = families([own])[own]
            for pid in set(browsers_in(service.state_dir)) - others:
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(BrowserCrashed):
                await alone.step(Observe(), QUICK)
        assert (await shared.step(Observe(), QUICK)).observation.title == "fine"
        await until(lambda: not any(map(is_running, family)), "processes of the killed browser are left")
        await until(lambda: own not in browsers_in(service.state_dir), "the killed browser's folder is left")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_an_unknown_watcher_sees_nothing_and_the_holder_sees_the_screen(
    pool: BrowserPool, service: Settings, site: Site
) -> None:
    async with pool.lease(owner="watched", viewport=SMALL) as browser, httpx.AsyncClient(timeout=PATIENCE_S) as http:
        evil = site.page("evil", "x", title="</title><script>parent.document.title=1</script>")
        await browser.step(VisitPage(url=evil), QUICK)
        view = f"{service.url}/sessions/{browser.lease.instance_id}/live"
        assert (await http.get(view)).status_code == 409
        assert (await http.get(f"{view}/stream", params={"token": "guessed"})).status_code == 409
        shown = await http.get(view, params={"token": browser.lease.token})
        assert "script" not in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        async with http.stream("GET", f"{view}/stream", params={"token": browser.lease.token}) as stream:
            first = await anext(stream.aiter_raw())
        assert b"image/jpeg" in first and b"\xff\xd8\xff" in first


async def test_events_are_published_as_they_happen(pool: BrowserPool, service: Settings) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http, http.stream("GET", f"{service.url}/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": listening"
        async with pool.lease(owner="told", viewport=SMALL):
            pass
        kinds: set[str] = set()
        while not {"lease_granted", "lease_ended"} <= kinds:
            kinds.add((await anext(lines)).removeprefix("event: "))


def test_only_two_kinds_of_stuck_operations_make_a_browser_degraded() -> None:
    now = 0.0
    strikes = Strikes(lambda: now)
    for _ in range(10):
        strikes.add("closing a context")
    assert not strikes.is_degraded
    strikes.add("answering a ping")
    assert strikes.is_degraded
    now = STRIKE_MEMORY_S + 1
    assert not strikes.is_degraded


@pytest.mark.chaos
def test_nothing_is_left_of_sessions_whose_holders_were_killed(service: Settings, site: Site) -> None:
    """A soak in short: half of the sessions are released, the others belong to clients that are killed."""
    site.page("soak", "<button>x</button>")
    soak(service, site, HOLDERS)  # what is made once is made now
    before = footprint(service)
    soak(service, site, SOAKED)
    deadline = time.monotonic() + PATIENCE_S
    while (more := grown(before, footprint(service))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not more, f"after {SOAKED} sessions there is more than before: {more}"


def soak(service: Settings, site: Site, sessions: int) -> None:
    """Clients in processes of their own, each of which opens some sessions; every other one is killed with its leases."""
    rounds = sessions // (2 * HOLDERS) or 1
    for number in range(rounds):
        command = [sys.executable, str(Path(__file__).with_name("soaking_client.py")), service.url, f"{site.url}/soak"]
        with subprocess.Popen([*command, str(HOLDERS)], stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            said = client.stdout.readline()
            client.kill()  # the first half was released before
        assert said == b"holding\n", number
        deadline = time.monotonic() + PATIENCE_S
        while httpx.get(f"{service.url}/sessions").json()["sessions"]:
            assert time.monotonic() < deadline, "leases of a killed client did not end"
            time.sleep(0.05)


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """The resources that have grown. One warm session is no leak: its processes and descriptors are allowed."""
    allowed = {"fds": 4, "processes": 3}
    return {key: (before[key], after[key]) for key in before if after[key] > before[key] + allowed.get(key, 0)}


def footprint(service: Settings) -> dict[str, int]:
    browsers = browsers_in(service.state_dir)
    return {
        "sessions": len(httpx.get(f"{service.url}/sessions").json()["sessions"]),
        "fds": psutil.Process().num_fds(),
        "processes": sum(map(len, families(browsers).values())),
        "homes": len(list(service.state_dir.glob("*/h*-pid"))),
        "zombies": orphans.zombies(),
    }


def test_four_sessions_are_ready_soon(short_folder: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "browser_service.cli", "up", "--slots", "4", "--port", str(port)]
    environment = {**os.environ, "BROWSER_SERVICE_STATE_DIR": str(short_folder)}
    start = time.monotonic()
    service = subprocess.Popen([*command, "--log-level", "warning"], env=environment)
    try:
        asyncio.run(_four_sessions(f"http://127.0.0.1:{port}", start + 2 * PATIENCE_S))
        assert folder_bytes(short_folder) > 0 and resident_bytes(service.pid) > 0
    finally:
        service.terminate()
        assert service.wait(PATIENCE_S) == 0
    assert list(short_folder.iterdir()) == []


async def _four_sessions(url: str, deadline: float) -> None:
    async with httpx.AsyncClient() as http:
        while time.monotonic() < deadline:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    async with BrowserPool(url) as pool:
        leases = [pool.lease(owner=f"{number}", wait_s=PATIENCE_S) for number in range(4)]
        browsers = await asyncio.gather(*(lease.__aenter__() for lease in leases))
        assert len({browser.lease.instance_id for browser in browsers}) == 4
        assert time.monotonic() < deadline, "five seconds on a quiet machine; see benchmarks/pool.py"
        await asyncio.gather(*(lease.__aexit__(None, None, None) for lease in leases))
