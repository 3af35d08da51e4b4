"""Nothing that a page leaves behind is ever found by a page of another lease: in both isolation modes, and where contexts
are used again by leases of another word.
"""

import base64
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from real_service import SMALL, Site, running_service

from browser_service.client import Browser, BrowserPool
from browser_service.models import ClickId, Isolation, Keypress, Mark, Observation, Observe, ObserveRequest, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
QUICK = ObserveRequest(screenshot=False)
LEAVE = """
(async () => {
  document.cookie = 'secret=1; max-age=1000';
  localStorage.secret = sessionStorage.secret = window.name = 'secret';
  const opened = indexedDB.open('secret');
  await new Promise(done => { opened.onsuccess = opened.onerror = done; });
  try { await (await caches.open('secret')).put('/secret', new Response('secret')); } catch {}
  try { await navigator.serviceWorker.register('/worker.js'); } catch {}
  try { await (await navigator.storage.getDirectory()).getFileHandle('secret', {create: true}); } catch {}
  document.title = 'left';
})();
"""
FIND = """
(async () => {
  const found = [];
  const look = async (what, there) => { try { if (await there()) found.push(what); } catch {} };
  await look('cookie', () => document.cookie);
  await look('localStorage', () => localStorage.length);
  await look('sessionStorage', () => sessionStorage.length);
  await look('window.name', () => window.name);
  await look('indexedDB', async () => (await indexedDB.databases()).length);
  await look('caches', async () => (await caches.keys()).length);
  await look('service worker', async () => (await navigator.serviceWorker.getRegistrations()).length);
  await look('file system', async () => { for await (const _ of (await navigator.storage.getDirectory()).keys()) return true; });
  for (const name of ['geolocation', 'notifications', 'clipboard-read'])
    await look(name, async () => (await navigator.permissions.query({name})).state === 'granted');
  document.title = 'found:' + found.join();
})();
"""


class Counting(Site):
    """A site on an address of its own that counts: pages that may be cached, and pages that want a password."""

    asked: int = 0


@pytest.fixture(scope="module")
def counting() -> Generator[Counting, None, None]:
    """`/cached` may be kept for an hour; `/password` wants one, and says which it got."""
    counting = Counting()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            counting.asked += self.path == "/cached"
            refused = self.path == "/password" and not given
            self.send_response(401 if refused else 200)
            if refused:
                self.send_header("www-authenticate", 'Basic realm="x"')
            if self.path == "/cached":
                self.send_header("cache-control", "max-age=3600")
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>{'asked' if refused else 'given ' + given}</title>x".encode())

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    counting.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield counting
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Two slots; own browsers are used for several leases, so that these would meet."""
    with running_service(slots=2, settle_cap_s=1, own_leases=100) as settings:
        yield settings


def mark(observation: Observation, name: str) -> Mark:
    return next(mark for mark in observation.marks if mark.name == name)


async def look(browser: Browser) -> Observation:
    return (await browser.step(Observe(), QUICK)).observation


async def title(browser: Browser, url: str, *, until: str = "") -> str:
    """Title of the page, once it has one that begins so: a busy machine's first look can come before the page."""
    seen = (await browser.step(VisitPage(url=url), QUICK)).observation
    for _ in range(20):
        if seen.title and seen.title.startswith(until):
            break
        seen = await look(browser)
    return seen.title


@pytest.mark.parametrize("isolation", ["context", "browser"])
async def test_storage_is_each_leases_own(pool: BrowserPool, site: Site, isolation: Isolation) -> None:
    leave, find = site.page("leave", "x", script=LEAVE), site.page("find", "x", script=FIND)
    async with pool.lease(owner="one", viewport=SMALL, isolation=isolation) as one:
        assert await title(one, leave, until="left") == "left"
        assert "cookie" in await title(one, find, until="found"), "what the page looks for can be found"
        async with pool.lease(owner="two", viewport=SMALL, isolation=isolation) as two:
            assert await title(two, find, until="found") == "found:", "at the same time"
    async with pool.lease(owner="three", viewport=SMALL, isolation=isolation) as three:
        assert await title(three, find, until="found") == "found:", "afterwards"


@pytest.mark.parametrize("second", ["same", "other"])
async def test_a_used_context_is_clean_and_other_words_never_get_it(pool: BrowserPool, site: Site, second: str) -> None:
    leave, find = site.page("leave", "x", script=LEAVE), site.page("find", "x", script=FIND)
    async with pool.lease(owner="one", viewport=SMALL, reuse="same") as one:
        await title(one, leave, until="left")
    async with pool.lease(owner="two", viewport=SMALL, reuse=second) as two:
        assert await title(two, find, until="found") == "found:"


@pytest.mark.parametrize("isolation", ["context", "browser"])
async def test_cache_and_password_are_each_leases_own(
    pool: BrowserPool, counting: Counting, isolation: Isolation
) -> None:
    signed = base64.b64encode(b"me:secret").decode()
    before = counting.asked
    for owner in ("one", "two"):
        async with pool.lease(owner=owner, viewport=SMALL, isolation=isolation) as browser:
            assert await title(browser, f"{counting.url}/password") == "asked", "no password of another lease"
            with_password = counting.url.replace("//", "//me:secret@") + "/password"
            assert await title(browser, with_password) == f"given Basic {signed}"
            for _ in range(2):
                await title(browser, f"{counting.url}/cached")
    assert counting.asked - before >= 2, "each lease asked for itself"


COPY = "<textarea aria-label=from>{text}</textarea><input aria-label=to>"


async def press(browser: Browser, *keys: str) -> str | None:
    reply = await browser.step(Keypress(keys=list(keys)), QUICK)
    return reply.error.code if reply.error else None


async def into(browser: Browser, url: str, name: str) -> None:
    seen = (await browser.step(VisitPage(url=url), QUICK)).observation
    await browser.step(ClickId(id=mark(seen, name).id), QUICK)


async def pasted(browser: Browser) -> str | None:
    return mark(await look(browser), "to").value


@pytest.mark.parametrize("isolation", ["context", "browser"])
async def test_the_clipboard_is_each_leases_own(pool: BrowserPool, site: Site, isolation: Isolation) -> None:
    page = site.page("clipboard", COPY.format(text="secret"))
    async with pool.lease(owner="one", viewport=SMALL, isolation=isolation) as one:
        await into(one, page, "from")
        await press(one, "Control", "a")
        await press(one, "Control", "c")
        await into(one, page, "to")
        assert await press(one, "Control", "v") is None
        assert await pasted(one) == "secret", "within a lease it works"
        async with pool.lease(owner="two", viewport=SMALL, isolation=isolation) as two:
            await into(two, page, "to")
            assert await press(two, "Control", "v") == "NOTHING_COPIED"
            await press(two, "Control", "c")  # nothing is selected
            assert await press(two, "Control", "v") is None
            assert not await pasted(two)
    async with pool.lease(owner="three", viewport=SMALL, isolation=isolation) as three:
        await into(three, page, "to")
        assert await press(three, "Shift", "Insert") == "NOTHING_COPIED"
        assert not await pasted(three)


async def test_a_page_can_neither_copy_nor_paste_by_itself(pool: BrowserPool, site: Site) -> None:
    thief = site.page(
        "thief",
        "<input aria-label=to><button onclick='steal()'>steal</button>",
        script="""addEventListener('paste', event => { document.title = event.clipboardData.getData('text/plain'); });
            async function steal() {
              document.querySelector('input').focus();
              document.execCommand('paste');
              try { document.title = await navigator.clipboard.readText(); } catch { document.title = 'refused'; }
            }""",
    )
    page = site.page("clipboard", COPY.format(text="secret"))
    async with (
        pool.lease(owner="victim", viewport=SMALL) as victim,
        pool.lease(owner="thief", viewport=SMALL) as browser,
    ):
        await into(victim, page, "from")
        await press(victim, "Control", "a")
        await press(victim, "Control", "c")
        await into(browser, thief, "steal")
        assert (await look(browser)).title == "refused"
        assert not await pasted(browser)
