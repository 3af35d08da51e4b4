"""The page script's world: out of the page's reach, and in every frame of it."""

from collections.abc import Generator

import pytest
from real_service import Site, running_service

from browser_service.client import Browser
from browser_service.models import ClickId, FillId, Observe, ObserveRequest, PageDown, SelectOption, VisitPage
from browser_service.page import LISTENERS, NAME
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """The pages of these tests come from two names of this machine, which Chromium gives a process each."""
    with running_service(slots=1, settle_cap_s=1, egress_sites=["127.0.0.1:*", "localhost:*"]) as settings:
        yield settings


FRAMED = (
    """<p>framed</p><button style='margin:10px' onclick="parent.postMessage(this.textContent, '*')">inner</button>"""
)
LISTENS = "onmessage = e => document.title = e.data"


async def test_marks_reach_into_frames_of_the_same_origin_in_document_order(browser: Browser, site: Site) -> None:
    site.page("inner", f"{FRAMED}<input oninput='parent.document.title=this.value'><select><option>x<option>y</select>")
    page = site.page(
        "outer",
        "<button>first</button><br><iframe src=/inner style='border:7px solid;padding:3px;width:300px;height:180px'></iframe><br>"
        "<button>last</button>",
        script=LISTENS,
    )
    reply = await browser.step(VisitPage(url=page), TITLE)
    assert [(mark.role, mark.name) for mark in reply.observation.marks] == [
        ("button", "first"),
        ("button", "inner"),
        ("textbox", ""),
        ("combobox", ""),
        ("button", "last"),
    ]
    assert (await browser.step(ClickId(id=2), TITLE)).observation.title == "inner"
    assert (await browser.step(FillId(id=3, value="typed", press_enter=False), TITLE)).observation.title == "typed"
    reply = await browser.step(SelectOption(id=4, label="y"), TITLE)
    assert reply.error is None and reply.observation.marks[3].value == "y"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_marks_reach_into_frames_of_other_origins(browser: Browser, site: Site, other: Site, name: str) -> None:
    inner = other.page("foreign", FRAMED + "<div style='height:900px'></div><button>far</button>")
    inner = inner.replace("127.0.0.1", name)
    page = site.page(
        f"outer-{name}",
        f"<button>first</button><br><iframe src='{inner}' style='width:300px;height:120px'></iframe><br><button>last</button>",
        script=LISTENS,
    )
    reply = await browser.step(VisitPage(url=page), TITLE)
    assert [mark.name for mark in reply.observation.marks] == ["first", "foreign", "inner", "last"]
    assert reply.observation.marks[1].scrollable, "the framed page is longer than its frame"
    assert reply.observation.marks[2].box.y > reply.observation.marks[0].box.y + 20
    assert (await browser.step(ClickId(id=3), TITLE)).observation.title == "inner"
    assert (await browser.step(ClickId(id=4), TITLE)).error is None


async def test_a_frame_behind_something_shows_no_marks(browser: Browser, site: Site, other: Site) -> None:
    inner = other.page("behind", "<button>hidden</button>")
    page = site.page(
        "covering",
        f"<iframe src='{inner}'></iframe><div style='position:fixed;inset:0;background:#eee'></div>",
    )
    assert (await browser.step(VisitPage(url=page), TITLE)).observation.marks == []


async def test_frames_in_frames(browser: Browser, site: Site, other: Site) -> None:
    site.page("deepest", "<button onclick=\"top.postMessage('deep', '*')\">deep</button>")
    middle = other.page("middle", f"<iframe src='{site.url}/deepest' style='width:200px;height:80px'></iframe>")
    page = site.page("shallow", f"<iframe src='{middle}' style='width:280px;height:150px'></iframe>", script=LISTENS)
    reply = await browser.step(VisitPage(url=page), TITLE)
    assert [mark.name for mark in reply.observation.marks] == ["deep"]
    assert (await browser.step(ClickId(id=1), TITLE)).observation.title == "deep"


async def test_a_page_can_neither_see_nor_fake_the_script(browser: Browser, site: Site) -> None:
    page = site.page(
        "spy",
        "<button>real</button>",
        script=f"""const fake = {{quiet: () => true,
                look: () => ({{url: 'http://fake/', title: 'fake', marks: [], text: 'fake', frames: []}})}};
            window['{NAME}'] = window.__rlLoop = fake;
            const seen = Object.getOwnPropertyNames(window).filter(n => /rlLoop/.test(n)).length;
            Object.prototype.title = 'polluted'; Array.prototype.map = () => ['polluted']; JSON.stringify = () => '"polluted"';
            Document.prototype.elementFromPoint = () => null; Element.prototype.getClientRects = () => [];
            window.MutationObserver = null; document.title = 'names:' + seen;""",
    )
    reply = await browser.step(VisitPage(url=page), ObserveRequest(screenshot=False, text=True))
    assert reply.observation.title == "names:2", "its own two"
    assert reply.observation.url == page and reply.observation.text == "real"
    assert [(mark.role, mark.name) for mark in reply.observation.marks] == [("button", "real")]


async def test_listeners_are_known_however_they_were_added(browser: Browser, site: Site) -> None:
    page = site.page(
        "ways",
        "<div id=a>a</div><div id=b>b</div><div id=c>c</div><div id=d>d</div><div id=host></div>",
        script="""a.addEventListener('click', () => 0); b.onclick = () => 0; c.onclick = () => 0; c.onclick = null;
            const late = document.createElement('div'); late.textContent = 'late'; late.addEventListener('click', () => 0);
            d.after(late); const root = host.attachShadow({mode: 'open'}); root.innerHTML = '<div>shadow</div>';
            root.firstChild.addEventListener('click', () => 0);""",
    )
    reply = await browser.step(VisitPage(url=page), TITLE)
    assert [mark.name for mark in reply.observation.marks] == ["a", "b", "late", "shadow"]


async def test_documents_that_are_written_anew_keep_their_marks(browser: Browser, site: Site) -> None:
    page = site.page(
        "written",
        "x",
        script="""setTimeout(() => { document.open(); document.write("<div id=w>written</div>"); document.close();
            document.getElementById('w').addEventListener('click', () => document.title = 'hit'); }, 50);""",
    )
    reply = await browser.step(VisitPage(url=page), TITLE)
    for _ in range(20):
        if reply.observation.marks:
            break
        reply = await browser.step(Observe(), TITLE)
    assert [mark.name for mark in reply.observation.marks] == ["written"]
    assert (await browser.step(ClickId(id=1), TITLE)).observation.title == "hit"


async def test_a_covered_centre_is_clicked_beside_the_cover(browser: Browser, site: Site) -> None:
    page = site.page(
        "half",
        "<button style='position:absolute;left:0;top:0;width:200px;height:60px' onclick=\"document.title='hit'\">wide</button>"
        "<div style='position:absolute;left:60px;top:0;width:80px;height:60px;background:#ccc'></div>",
    )
    reply = await browser.step(VisitPage(url=page), TITLE)
    assert [mark.name for mark in reply.observation.marks] == ["wide"]
    assert (await browser.step(ClickId(id=1), TITLE)).observation.title == "hit"


async def test_two_digit_labels_hit_their_own_element_on_a_scrolled_page(browser: Browser, site: Site) -> None:
    """OmniBoxes' labels from 10 on meant elements out of view, on any page that is scrolled."""
    rows = "".join(
        f"<button style='display:block;height:18px' onclick='document.title={n}'>{n}</button>" for n in range(60)
    )
    page = site.page("long", rows)
    await browser.step(VisitPage(url=f"{page}#"), TITLE)
    await browser.step(ClickId(id=1), TITLE)
    reply = await browser.step(PageDown(amount=360), TITLE)
    assert len(reply.observation.marks) >= 15
    for mark in reply.observation.marks[9:15]:
        after = await browser.step(ClickId(id=mark.id), TITLE)
        assert after.observation.title == mark.name


def test_the_script_in_the_pages_world_tells_nothing_of_marks() -> None:
    assert NAME not in LISTENERS and "marked" not in LISTENERS
