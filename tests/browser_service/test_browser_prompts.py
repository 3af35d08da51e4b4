"""Everything that a page asks a person for is answered, and nothing of it blocks a step."""

import base64
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import pytest
from real_service import SMALL, Site

from browser_service.client import Browser, BrowserPool
from browser_service.models import ClickId, Observe, ObserveRequest, VisitPage

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
QUICK_MS = 6_000
"""Generous for a loaded machine; a prompt that blocks takes the deadline of the call, fifteen seconds."""


@pytest.mark.parametrize(("policy", "answers"), [("dismiss", "false/null"), ("accept", "true/typed")])
async def test_questions_are_answered_as_the_lease_says(
    pool: BrowserPool, site: Site, policy: Literal["accept", "dismiss"], answers: str
) -> None:
    page = site.page(
        "questions",
        "<button onclick=\"document.title = confirm('sure?') + '/' + prompt('name?', 'typed')\">ask</button>",
    )
    async with pool.lease(owner="asked", viewport=SMALL, dialogs=policy) as browser:
        await browser.step(VisitPage(url=page), TITLE)
        reply = await browser.step(ClickId(id=1), TITLE)
        assert reply.observation.title == answers
        assert reply.observation.dialogs == ["confirm: sure?", "prompt: name?"]


async def test_a_hundred_dialogs_are_no_end(browser: Browser, site: Site) -> None:
    page = site.page(
        "alarm", "<button onclick=\"for (let i = 0; i < 100; i++) alert(i); document.title = 'over'\">x</button>"
    )
    await browser.step(VisitPage(url=page), TITLE)
    reply = await browser.step(ClickId(id=1), TITLE)
    for _ in range(20):
        if reply.observation.title == "over":
            break
        reply = await browser.step(Observe(), TITLE)
    assert reply.observation.title == "over"
    assert len(reply.observation.dialogs) <= 20


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("notifications", "Notification.requestPermission().then(answer => document.title = answer == 'granted' ? 'told' : 'denied')"),
        ("position", "navigator.geolocation.getCurrentPosition(() => document.title = 'told', e => document.title = 'denied')"),
        ("camera", "navigator.mediaDevices.getUserMedia({video: 1}).then(() => document.title = 'told', e => document.title = 'denied')"),
        ("clipboard", "navigator.clipboard.readText().then(() => document.title = 'told', e => document.title = 'denied')"),
        ("print", "window.print(); document.title = 'denied'"),
        ("protocol", "location.href = 'mailto:someone@example.test'; document.title = 'denied'"),
        ("fullscreen", "document.body.requestFullscreen().then(() => document.exitFullscreen()).finally(() => document.title = 'denied')"),
        ("picker", "showOpenFilePicker().then(() => document.title = 'told', e => document.title = 'denied')"),
    ],
)  # fmt: skip
async def test_permissions_are_denied_without_a_prompt(browser: Browser, site: Site, name: str, script: str) -> None:
    page = site.page(f"may-{name}", f'<button onclick="{script}">ask</button>')
    await browser.step(VisitPage(url=page), TITLE)
    reply = await browser.step(ClickId(id=1), ObserveRequest())
    for _ in range(10):
        if reply.observation.title == "denied":
            break
        reply = await browser.step(Observe(), TITLE)
    assert reply.observation.title == "denied"
    assert reply.timings_ms["total"] < QUICK_MS


@pytest.fixture
def locked_site() -> Generator[str, None, None]:
    """A server that wants a name and a password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="members"')
            self.send_header("content-length", "12")
            self.end_headers()
            self.wfile.write(b"members only")

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join(5)
    server.server_close()


async def test_a_site_that_wants_a_password_shows_its_refusal(browser: Browser, locked_site: str) -> None:
    reply = await browser.step(VisitPage(url=locked_site), ObserveRequest(text=True))
    assert reply.timings_ms["total"] < QUICK_MS
    assert reply.observation.text == "members only" or reply.error is not None
    shot = reply.observation.screenshot
    assert shot is not None and shot.data and base64.b64decode(shot.data)


async def test_every_phase_of_a_step_is_timed(browser: Browser, site: Site) -> None:
    reply = await browser.step(VisitPage(url=site.page("timed", "x")), ObserveRequest(ax_tree=True))
    assert reply.timings_ms.keys() == {"act", "settle", "marks", "screenshot", "ax_tree", "total"}
    parts = sum(ms for phase, ms in reply.timings_ms.items() if phase != "total")
    assert parts <= reply.timings_ms["total"] + 1
