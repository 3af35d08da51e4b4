"""A step whose page the proxy refused: its error names the reason and the side at fault, never a bare network error."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from real_service import SMALL, Site, free_port, running_service

from browser_service.chromium.fleet import Fleet
from browser_service.chromium.profiles import Profile
from browser_service.client import Browser, BrowserPool
from browser_service.egress.addresses import IPAddress
from browser_service.egress.dial import Resolve
from browser_service.egress.egress import Egress
from browser_service.errors import BadRequest, EgressFailed
from browser_service.events import Events
from browser_service.models import ClickCoords, LeaseRequest, Observe, ObserveRequest, OpenTab, VisitPage
from browser_service.session.browser import LeasedBrowser
from browser_service.settings import Settings, read_settings
from browser_service.tiers.workdir import work_folder

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False, marks=False)


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Nothing private can be reached that a lease does not name."""
    with running_service(slots=2, egress_sites=[], navigation_deadline_s=5, settle_cap_s=0.5) as settings:
        yield settings


@pytest.fixture
async def browser(pool: BrowserPool, site: Site) -> AsyncGenerator[Browser, None]:
    """A browser whose one site is the tests' own."""
    async with pool.lease(owner="egress", viewport=SMALL, sites=[site.host, "down.invalid:80"]) as leased:
        yield leased


async def test_an_address_that_is_not_for_the_lease_is_blocked_with_the_reason(browser: Browser, site: Site) -> None:
    port = free_port()
    for url, word in (
        (f"http://127.0.0.1:{port}/", "no site of this lease"),
        (f"https://127.0.0.1:{port}/", "no site of this lease"),
        ("http://2130706433/", "private"),
        ("http://localhost./", "private"),
        ("https://[::1]/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "no page may reach"),
        ("http://127.0.0.1:1/", "ERR_UNSAFE_PORT"),
    ):
        reply = await browser.step(VisitPage(url=url), QUICK)
        assert reply.error is not None, url
        assert (reply.error.code, reply.error.fault) == ("NAV_BLOCKED", "policy"), url
        assert word in reply.error.message
        reply = await browser.step(VisitPage(url=site.page("fine", "ok")), QUICK)
        assert reply.error is None and reply.observation.title == "fine", "the session goes on"


@pytest.mark.parametrize("kind", [VisitPage, OpenTab])
async def test_a_new_tab_goes_nowhere_that_a_visit_does_not(
    browser: Browser, site: Site, kind: type[VisitPage | OpenTab]
) -> None:
    """Every way to give an address has the same gate in front of the browser, and the same proxy behind it."""
    await browser.step(VisitPage(url=site.page("before", "here")), QUICK)
    for url in (
        "file:///etc/passwd",
        " file:///etc/passwd",
        "FILE:/etc/passwd",
        "view-source:file:///etc/passwd",
        "javascript:document.title='ran'",
        "java\nscript:document.title='ran'",
        "data:text/html,x",
        "blob:http://127.0.0.1/x",
        "chrome://version",
        "chrome-untrusted://x",
        "devtools://devtools/x",
        "about:srcdoc",
        "ftp://127.0.0.1/",
        "ws://127.0.0.1/",
        "http://",
        "//127.0.0.1/",
        "etc/passwd",
        "http://[::1",
    ):
        reply = await browser.step(kind(url=url), QUICK)
        assert reply.error is not None and (reply.error.code, reply.error.fault) == ("NAV_BLOCKED", "policy"), url
        assert [(tab.title, tab.active) for tab in reply.observation.tabs] == [("before", True)], url
    reply = await browser.step(kind(url=f"http://127.0.0.1:{free_port()}/"), QUICK)
    assert (
        reply.error is not None and reply.error.code == "NAV_BLOCKED" and "no site of this lease" in reply.error.message
    )
    assert (await browser.step(kind(url=site.page("fine", "ok")), QUICK)).observation.title == "fine"


async def test_a_click_that_leads_to_a_blocked_address_says_so_once(browser: Browser, site: Site) -> None:
    url = f"http://127.0.0.1:{free_port()}/x"
    for how in (
        f"location.href = '{url}'",
        f"document.body.innerHTML = `<form action='{url}' method=post></form>`; document.forms[0].submit()",
        f"document.body.innerHTML = `<meta http-equiv=refresh content='0;{url}'>`",
        f"open('{url}')",
        f"document.body.innerHTML = `<a href='{url}' target=_blank>`; document.querySelector('a').click()",
    ):
        script = f"document.addEventListener('click', () => {{ {how} }}, {{once: true}})"
        assert (await browser.step(VisitPage(url=site.page("trap", "click me", script=script)), QUICK)).error is None
        reply = await browser.step(ClickCoords(x=20, y=10), QUICK)
        assert reply.error is not None and reply.error.code == "NAV_BLOCKED", how
        assert (await browser.step(Observe(), QUICK)).error is None


async def test_a_redirect_to_a_blocked_address_is_blocked(browser: Browser, site: Site) -> None:
    port = free_port()
    site.redirects["/away"] = f"http://127.0.0.1:{port}/secret"
    reply = await browser.step(VisitPage(url=f"{site.url}/away"), QUICK)
    assert reply.error is not None and reply.error.code == "NAV_BLOCKED"
    assert f"127.0.0.1:{port} " in reply.error.message


async def test_a_blocked_image_is_no_error_of_the_step(browser: Browser, site: Site) -> None:
    reply = await browser.step(VisitPage(url=site.page("pictures", "<img src='http://127.0.0.1:9999/x.png'>")), QUICK)
    assert reply.error is None and reply.observation.title == "pictures"


async def test_a_site_that_is_down_is_the_sites_fault(pool: BrowserPool) -> None:
    port = free_port()
    async with pool.lease(owner="down", viewport=SMALL, sites=[f"127.0.0.1:{port}"]) as browser:
        for scheme in ("http", "https"):
            reply = await browser.step(VisitPage(url=f"{scheme}://127.0.0.1:{port}/"), QUICK)
            assert reply.error is not None
            assert (reply.error.code, reply.error.fault) == ("NAVIGATION_FAILED", "site")
            assert f"127.0.0.1:{port} can't be reached" in reply.error.message


async def test_a_host_without_address_is_the_sites_fault(browser: Browser) -> None:
    reply = await browser.step(VisitPage(url="http://down.invalid/"), QUICK)
    assert reply.error is not None
    assert (reply.error.code, reply.error.fault) == ("NAVIGATION_FAILED", "site")
    assert "can't be resolved" in reply.error.message


async def test_only_web_addresses_can_be_visited(browser: Browser) -> None:
    for url in (
        "file:///etc/passwd", "chrome://version", "view-source:http://example.com", "devtools://devtools/", "javascript:1",
        "data:text/html,hi", "blob:http://example.com/1", "filesystem:http://example.com/temporary/x", "about:config",
        "chrome-extension://abc/", "ws://example.com", "ftp://example.com/", "//example.com", "http://", "HTTP:example",
    ):  # fmt: skip
        reply = await browser.step(VisitPage(url=url), QUICK)
        assert reply.error is not None and reply.error.code == "NAV_BLOCKED", url
        assert reply.observation.url == "about:blank"


async def test_no_page_gets_itself_out_of_the_web(browser: Browser, site: Site) -> None:
    for target in (
        "file:///etc/hostname",
        "chrome://version/",
        "view-source:file:///etc/hostname",
        "data:text/html,<h1>x",
    ):
        script = f"document.onclick = () => {{ location.href = '{target}'; open('{target}') }}"
        await browser.step(VisitPage(url=site.page("escape", "x", script=script)), QUICK)
        reply = await browser.step(ClickCoords(x=20, y=10), QUICK)
        for tab in reply.observation.tabs:
            assert tab.url.split(":")[0] in ("http", "about", ""), tab.url


async def test_bad_sites_are_refused_when_the_lease_is_asked_for(pool: BrowserPool) -> None:
    with pytest.raises(BadRequest, match="256"):
        async with pool.lease(owner="typo", viewport=SMALL, sites=["256.1.1.1:80"]):
            pass
    async with pool.lease(owner="next", viewport=SMALL, wait_s=60):  # and no slot is lost by that
        pass


async def test_the_service_shows_what_a_lease_sends_and_receives(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="counted", viewport=SMALL, sites=[site.host]) as browser:
        picture = "<img src='http://127.0.0.1:9999/x.png'>"
        await browser.step(VisitPage(url=site.page("counted", picture + "x" * 50_000)), QUICK)
        [session] = [one for node in (await pool.info()).nodes for one in node.sessions if one.owner == "counted"]
        traffic = session.traffic
        assert traffic is not None and traffic.received_bytes > 50_000 > traffic.sent_bytes > 100
        assert traffic.refused == {"port": 1} and traffic.hosts == {"127.0.0.1": traffic.requests}
    async with pool.lease(owner="next", viewport=SMALL):
        [session] = [one for node in (await pool.info()).nodes for one in node.sessions if one.owner == "next"]
        assert session.traffic is not None and session.traffic.requests == 0


async def test_the_next_lease_of_a_reused_context_has_its_own_sites(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="one", viewport=SMALL, reuse="trusted", sites=[site.host]) as browser:
        assert (await browser.step(VisitPage(url=site.page("mine", "x")), QUICK)).error is None
    async with pool.lease(owner="two", viewport=SMALL, reuse="trusted") as browser:
        reply = await browser.step(VisitPage(url=site.page("mine", "x")), QUICK)
        assert reply.error is not None and reply.error.code == "NAV_BLOCKED"


async def test_a_context_takes_its_port_along_when_it_goes(
    pool: BrowserPool, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    def listening() -> int:
        connections = psutil.Process().net_connections("tcp")
        return sum(connection.status == psutil.CONN_LISTEN for connection in connections)

    async with pool.lease(owner="first", viewport=SMALL):
        leased = listening()
    for _ in range(6):
        async with pool.lease(owner="another", viewport=SMALL):
            pass
    await asyncio.to_thread(eventually, lambda: listening() <= leased)


@asynccontextmanager
async def lone_browser(resolve: Resolve) -> AsyncGenerator[LeasedBrowser, None]:
    """A browser without a service around it, whose proxy resolves names like this."""
    with tempfile.TemporaryDirectory(prefix="bs-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240 - nothing else runs yet
        settings = read_settings(os.environ, state_dir=Path(folder), egress_connect_s=0.3)
        with work_folder(settings) as workdir:
            fleet = Fleet(settings, workdir, Events())
            fleet.egress = Egress(settings, resolve)
            async with fleet:
                profile = Profile.of(LeaseRequest(viewport=SMALL), settings)
                browser = await LeasedBrowser.open(await fleet.host("context"), profile, settings)
                browser.may_reach(fleet.egress.policy(LeaseRequest()))
                yield browser
                await browser.close()


async def test_a_fault_of_our_own_proxy_is_never_the_sites_and_no_local_file_is_ever_shown() -> None:
    async def broken(host: str) -> list[IPAddress]:
        raise RuntimeError("the resolver is upside down")

    async with lone_browser(broken) as browser:
        [page] = browser._context.pages
        for address in ("file:///etc/hostname", "file:///etc/"):
            await page.goto(address)  # as if a page had found a way
            seen, error, _ = await browser.step(Observe(), ObserveRequest(text=True))
            assert error is not None and error.code == "NAV_BLOCKED"
            assert (seen.url, seen.text) == ("about:blank", "")
        with pytest.raises(EgressFailed, match="RuntimeError") as failed:
            await browser.step(VisitPage(url="http://shop.test/"), QUICK)
        assert failed.value.fault == "infra" and browser.lost is failed.value
