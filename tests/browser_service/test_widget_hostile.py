"""Pages that would keep a look or an action busy for ever: every step has an end, and says what there was."""

import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from real_service import SMALL, Site, running_service

from browser_service.client import Browser, BrowserPool
from browser_service.models import (
    ClickId,
    Drag,
    DragId,
    Mark,
    Observation,
    Observe,
    ObserveRequest,
    StepReply,
    Upload,
    VisitPage,
)
from browser_service.settings import Settings
from browser_service.tabs.notices import NOTICES

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
FILES, MISSED = NOTICES[6:8]
CAP_S = 1.0
BOUND_S = 10.0
"""Far above what a step may take here, far below the deadline of a call."""
MOST_MARKS = 1_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings, None, None]:
    """A service with a folder of a few files."""
    root: Path = tmp_path_factory.mktemp("files")
    (root / "task").mkdir()
    for name in ("a.txt", "b.txt"):
        (root / "task" / name).write_text(name)
    with running_service(slots=2, files_dir=root, settle_cap_s=CAP_S) as settings:
        yield settings


async def opened(browser: Browser, site: Site, name: str, body: str, script: str = "") -> Observation:
    reply = await bounded(browser, VisitPage(url=site.page(name, body, script=script)))
    assert reply.error is None
    return reply.observation


async def bounded(browser: Browser, action: ClickId | Drag | DragId | Observe | Upload | VisitPage) -> StepReply:
    began = time.monotonic()
    reply = await browser.step(action, TITLE)
    assert time.monotonic() - began < BOUND_S
    return reply


def mark(seen: Observation, name: str) -> Mark:
    return next(one for one in seen.marks if one.name == name)


RESTLESS = {
    "transitions that follow each other": (
        "<div id=t style='width:9px;height:9px;transition:width .3s'></div>",
        "const turn = () => { t.style.width = t.style.width === '9px' ? '90px' : '9px' }; t.ontransitionend = turn; setTimeout(turn, 1);",
    ),
    "animations that are started anew": (
        "<div id=t>x</div>",
        "(function again() { t.animate([{opacity: 0}, {opacity: 1}], 500).onfinish = again; })();",
    ),
    "timers of input that set timers": ("", "onclick = function again() { for (let i = 0; i < 5; i++) setTimeout(again, 300); };"),
    "a text that never rests": ("<p id=t></p>", "setInterval(() => { t.textContent = Math.random(); }, 5);"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RESTLESS)
async def test_a_page_that_never_rests_is_looked_at_and_said_to_be_busy(
    browser: Browser, site: Site, kind: str
) -> None:
    body, script = RESTLESS[kind]
    await opened(browser, site, kind.replace(" ", "-"), f"<button>Go</button>{body}", script)
    reply = await bounded(browser, ClickId(id=1))
    assert reply.error is None and reply.observation.marks[0].name == "Go"
    if kind == "a text that never rests":  # the others pause for a moment, which a look may meet
        assert not reply.observation.settled


async def test_ten_thousand_listeners_are_a_bounded_look(browser: Browser, site: Site) -> None:
    script = """for (let i = 0; i < 10000; i++) { const b = document.createElement('div'); b.textContent = 'n' + i;
      b.style.cssText = 'float:left;width:4px;height:4px;overflow:hidden;cursor:pointer'; b.onclick = () => 0;
      document.body.append(b); b.addEventListener('mousedown', () => 0); }"""
    seen = await opened(browser, site, "crowd", "", script)
    assert 1 <= len(seen.marks) <= MOST_MARKS and seen.partial
    assert (await bounded(browser, ClickId(id=len(seen.marks)))).error is None


async def test_ten_thousand_items_under_one_listener_are_a_bounded_look(browser: Browser, site: Site) -> None:
    script = """l.innerHTML = '<li>item</li>'.repeat(10000); for (let i = 0; i < 10000; i++) l.addEventListener('click', () => i);"""
    seen = await opened(browser, site, "delegates", "<ul id=l style='cursor:pointer;margin:0'></ul>", script)
    assert 1 <= len(seen.marks) <= MOST_MARKS


async def test_a_mark_that_flees_is_said_to_be_missed(browser: Browser, site: Site) -> None:
    body = "<button id=b style='position:absolute;left:300px;top:200px'>Catch</button>"
    # A new page is told where the mouse of the test before rests, which is no reason to flee.
    script = "onmousemove = (e) => { if (e.clientX > 250) b.style.left = '150px'; }; b.onclick = () => { document.title = 'caught'; };"
    seen = await opened(browser, site, "fleeing", body, script)
    reply = await bounded(browser, ClickId(id=mark(seen, "Catch").id))
    assert reply.observation.title != "caught" and reply.observation.notices == [MISSED]
    again = await bounded(browser, ClickId(id=mark(reply.observation, "Catch").id))  # it has fled as far as it can
    assert again.observation.title == "caught" and again.observation.notices == []


async def test_a_mark_that_is_drawn_anew_is_not_missed(browser: Browser, site: Site) -> None:
    script = """const anew = '<button data-new=1 onclick="document.title = `hit`">Catch</button>';
      h.onmouseover = (e) => { if (!e.target.dataset.new) h.innerHTML = anew; };"""
    seen = await opened(browser, site, "anew", "<div id=h><button>Catch</button></div>", script)
    reply = await bounded(browser, ClickId(id=mark(seen, "Catch").id))
    assert reply.observation.title == "hit" and reply.observation.notices == []


async def test_a_mark_that_glides_is_hit_or_said_to_be_missed(browser: Browser, site: Site) -> None:
    body = """<style>@keyframes k{to{left:250px}} button{position:absolute;left:0;animation:k .2s linear infinite alternate}</style>
      <button onclick="document.title = 'caught'">Catch</button>"""
    seen = await opened(browser, site, "gliding", body)
    for _ in range(5):
        reply = await bounded(browser, ClickId(id=mark(seen, "Catch").id))
        assert reply.observation.title == "caught" or reply.error or reply.observation.notices == [MISSED]
        seen = reply.observation


async def test_a_page_that_asks_for_files_ten_thousand_times_gives_one_notice(browser: Browser, site: Site) -> None:
    script = "b.onclick = () => { for (let i = 0; i < 10000; i++) f.click(); };"
    seen = await opened(browser, site, "beggar", "<input id=f type=file multiple><button id=b>Beg</button>", script)
    reply = await bounded(browser, ClickId(id=mark(seen, "Beg").id))
    reported = reply.observation.notices
    while not reported:
        reported = (await bounded(browser, Observe())).observation.notices
    assert reported == [FILES]


async def test_ten_thousand_files_are_one_clear_refusal(service: Settings) -> None:
    names = [f"{n}.txt" for n in range(10_000)]
    with pytest.raises(ValidationError, match="at most 20 items"):
        Upload(id=1, files=names)
    body = {"lease_id": "x" * 8, "action": {"kind": "upload", "id": 1, "files": names}}
    async with httpx.AsyncClient(base_url=f"http://{service.host}:{service.port}") as client:
        reply = await client.post("/step", json=body)
    assert 400 <= reply.status_code < 500 and len(reply.content) < 2_000


async def test_two_files_for_an_input_of_one_are_a_refusal(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="two", viewport=SMALL, files="task") as browser:
        await opened(browser, site, "single", "<input type=file>")
        error = (await bounded(browser, Upload(id=1, files=["a.txt", "b.txt"]))).error
        assert error is not None and (error.code, error.fault) == ("ONE_FILE_ONLY", "policy")
        assert (await bounded(browser, Upload(id=1, files=["a.txt"]))).error is None, "the session goes on"


async def test_an_upload_by_a_chooser_is_no_notice(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="chosen", viewport=SMALL, files="task") as browser:
        seen = await opened(
            browser, site, "chooser", "<input type=file id=f hidden><button onclick='f.click()'>Attach</button>"
        )
        reply = await bounded(browser, Upload(id=mark(seen, "Attach").id, files=["a.txt"]))
        assert reply.error is None and reply.observation.notices == []
        error = (await bounded(browser, Upload(id=mark(seen, "Attach").id, files=["a.txt", "b.txt"]))).error
        assert error is not None and error.code == "ONE_FILE_ONLY"
        seen = await opened(
            browser,
            site,
            "tree",
            "<input type=file id=f webkitdirectory hidden><button onclick='f.click()'>Attach</button>",
        )
        error = (await bounded(browser, Upload(id=mark(seen, "Attach").id, files=["a.txt"]))).error
        assert error is not None and error.code == "FILES_REFUSED"


@pytest.mark.parametrize(("dx", "dy"), [(4_000, 0), (-4_000, 0), (0, 4_000), (0, -4_000)])
async def test_a_drag_out_of_the_window_is_refused_before_it_begins(
    browser: Browser, site: Site, dx: int, dy: int
) -> None:
    script = "onmousedown = () => { document.title = 'pressed'; };"
    await opened(browser, site, "edge", "<button>Handle</button>", script)
    reply = await bounded(browser, DragId(id=1, dx=dx, dy=dy))
    assert (
        reply.error is not None and reply.error.code == "OUT_OF_VIEW" and "outside the viewport" in reply.error.message
    )
    assert reply.observation.title == "edge"


async def test_a_drag_to_the_edge_lets_go(browser: Browser, site: Site) -> None:
    script = "onmouseup = () => { document.title = 'let go'; }; onmousedown = () => { document.title = 'held'; };"
    seen = await opened(browser, site, "brink", "<button>Handle</button>", script)
    reply = await bounded(browser, Drag(x=10, y=10, to_x=seen.viewport.width, to_y=seen.viewport.height))
    calm = await bounded(browser, Drag(x=10, y=10, to_x=0, to_y=0))
    assert reply.error is None and calm.error is None and calm.observation.title == "let go"
