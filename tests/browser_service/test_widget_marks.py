"""The marks of widgets, and the target of a click on each: kinds of pages that agents meet, a small page for each."""

import pytest
from real_service import Site

from browser_service.client import Browser
from browser_service.models import ClickId, Mark, Observation, ObserveRequest, ScrollId, StepReply, VisitPage

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
SAY = "const say = (what) => { document.title = what; };"


async def opened(browser: Browser, site: Site, name: str, body: str, script: str = "") -> Observation:
    reply = await browser.step(VisitPage(url=site.page(name, body, script=SAY + script)), TITLE)
    assert reply.error is None
    return reply.observation


def mark(seen: Observation, name: str, role: str | None = None) -> Mark:
    found = [one for one in seen.marks if one.name == name and role in (None, one.role)]
    assert found, f"no {role or 'mark'} {name!r} among {[(one.role, one.name) for one in seen.marks]}"
    return found[0]


async def click(browser: Browser, seen: Observation, name: str, role: str | None = None) -> StepReply:
    reply = await browser.step(ClickId(id=mark(seen, name, role).id), TITLE)
    assert reply.error is None
    return reply


CLICKED = [
    (
        "items of a list that listens for them",
        "<ul id=l><li data-n=a>Apples<li data-n=b>Pears<li data-n=c>Plums</ul><style>li{cursor:pointer;width:90px}</style>",
        "l.onclick = (e) => say(e.target.dataset.n);",
        "Pears",
        "b",
    ),
    (
        "days of a calendar whose table has the hand",
        "<table id=t style='cursor:pointer'><tr><td>14<td>15<tr><td>21<td>22</table>",
        "t.addEventListener('mousedown', (e) => say(e.target.textContent));",
        "15",
        "15",
    ),
    (
        "an arrow inside a tree item",
        "<div role=tree><div role=treeitem tabindex=0 onclick='say(1)'><i id=a title=Open style='cursor:pointer;display:inline-block;"
        "width:20px;height:20px'></i><span>Root of all trees and shrubs</span></div></div>",
        "a.addEventListener('click', (e) => { e.stopPropagation(); say('arrow'); });",
        "Open",
        "arrow",
    ),
    (
        "the only item of a labelled menu",
        "<ul role=menu aria-label=Account><li role=menuitem tabindex=0 onclick='say(`deleted`)'>Delete</li></ul>",
        "",
        "Delete",
        "deleted",
    ),
    (
        "a card with a button in its middle",
        "<div id=c style='width:300px;height:120px;display:grid;place-items:center;cursor:pointer'><b>Offer</b>"
        "<button onclick='event.stopPropagation();say(`liked`)'>Like</button><b>more</b></div>",
        "c.addEventListener('click', () => say('opened'));",
        "Offer Like more",
        "opened",
    ),
    (
        "a linked row with a box in its middle",
        "<a href='#row' style='display:block;width:300px;text-align:center' onclick='say(`row`)'>Row "
        "<input type=checkbox onclick='event.stopPropagation()'> end</a>",
        "",
        "Row end",
        "row",
    ),
    (
        "handlers that are attributes and properties",
        "<div onmousedown='say(`down`)' style='width:90px'>Press</div>",
        "",
        "Press",
        "down",
    ),
    (
        "a property other than onclick",
        "<div id=p style='width:90px'>Point</div>",
        "p.onpointerdown = () => say('pointed');",
        "Point",
        "pointed",
    ),
    (
        "an area of an image map",
        "<img usemap='#m' width=200 height=100 src='data:image/gif;base64,R0lGODlhAQABAIAAAMLCwgAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=='>"
        "<map name=m><area shape=circle coords='150,50,30' href='#b' alt=Bath onclick='say(`bath`)'></map>",
        "",
        "Bath",
        "bath",
    ),
    (
        "a button filled by a slot",
        "<x-b><span style='display:block;padding:20px 60px'>Buy now</span></x-b>",
        """customElements.define('x-b', class extends HTMLElement { constructor() { super();
        this.attachShadow({mode: 'open'}).innerHTML = '<button style="padding:0;border:0"><slot></slot></button>';
        this.shadowRoot.querySelector('button').onclick = () => say('bought'); } });""",
        "Buy now",
        "bought",
    ),
    (
        "a slot in a closed shadow root",
        "<x-c><span style='display:block;padding:20px 60px'>Sell now</span></x-c>",
        """customElements.define('x-c', class extends HTMLElement { constructor() { super();
        const root = this.attachShadow({mode: 'closed'}); root.innerHTML = '<button style="padding:0"><slot></slot></button>';
        root.querySelector('button').onclick = () => say('sold'); } });""",
        "Sell now",
        "sold",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "script", "name", "said"), CLICKED, ids=[row[0] for row in CLICKED])
async def test_a_click_on_the_mark_does_what_a_person_meant(
    browser: Browser, site: Site, kind: str, body: str, script: str, name: str, said: str
) -> None:
    seen = await opened(browser, site, kind.replace(" ", "-"), body, script)
    assert (await click(browser, seen, name)).observation.title == said


async def test_a_component_around_its_button_is_one_mark_with_words_without_invisible_ones(
    browser: Browser, site: Site
) -> None:
    script = """customElements.define('x-d', class extends HTMLElement { constructor() { super();
      this.attachShadow({mode: 'open'}).innerHTML = '<button style="padding:20px 60px"><slot></slot></button>'; } });
      d.addEventListener('click', () => say('saved'));"""
    seen = await opened(browser, site, "component", "<x-d id=d>Save\u2060\u2060 it\u200b</x-d>", script)
    assert [mark.name for mark in seen.marks] == ["Save it"]
    assert (await click(browser, seen, "Save it")).observation.title == "saved"


HIDDEN = "position:absolute;"


@pytest.mark.parametrize(
    "style",
    ["display:none", HIDDEN + "clip:rect(0,0,0,0);pointer-events:none", HIDDEN + "left:-9999px", "width:0;height:0;opacity:0;" + HIDDEN],
    ids=["none", "clipped", "offscreen", "no size"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["checkbox", "radio"])
async def test_a_hidden_choice_is_its_label(browser: Browser, site: Site, style: str, kind: str) -> None:
    body = f"<input type={kind} id=i style='{style}' onchange='say(i.checked)'><label for=i>Choice</label><p>rest"
    seen = await opened(browser, site, f"hidden-{kind}", body)
    assert [(one.role, one.checked) for one in seen.marks] == [(kind, False)]
    after = (await click(browser, seen, "Choice")).observation
    assert after.title == "true" and mark(after, "Choice").checked is True


async def test_a_control_in_a_closed_shadow_root_is_marked(browser: Browser, site: Site) -> None:
    script = """customElements.define('x-pub', class extends HTMLElement { constructor() { super();
        const root = this.attachShadow({mode: 'closed'}); root.innerHTML = '<input placeholder=Card><button>Publish</button>';
        root.querySelector('button').addEventListener('click', () => say('published')); } });"""
    seen = await opened(browser, site, "closed", "<x-pub></x-pub>", script)
    assert mark(seen, "Card", "textbox")
    assert (await click(browser, seen, "Publish")).observation.title == "published"


async def test_names_say_what_is_meant_and_no_more(browser: Browser, site: Site) -> None:
    body = """<button style='background:#fff'><svg width=20 height=20><path d='M2 2L18 18' stroke=black /></svg></button>
        <label>Size <select><option>Small<option>Large</select></label>
        <div onclick='0' style='background:#f00;width:40px;height:40px'></div>"""
    seen = await opened(browser, site, "names", body)
    assert [(one.role, one.name) for one in seen.marks] == [("button", ""), ("combobox", "Size"), ("generic", "red")]


async def test_controls_of_a_pdf_viewer_are_named_by_what_is_drawn(browser: Browser, site: Site) -> None:
    body = """<section title='Your name'><input name=f1></section>
        <div title='Both'><input name=f2><input name=f3></div>
        <p style='position:relative;width:200px'><span>Terms of use</span><a href=#t style='position:absolute;inset:0'></a></p>"""
    seen = await opened(browser, site, "pdf", body)
    named = [(one.role, one.name) for one in seen.marks]
    assert named == [("textbox", "Your name"), ("textbox", "f2"), ("textbox", "f3"), ("link", "Terms of use")]


async def test_options_of_one_label_are_kept_apart(browser: Browser, site: Site) -> None:
    body = """<select aria-label=Region><optgroup label=North><option>Other<option>Oslo</optgroup>
        <optgroup label=South><option>Other<option>Other</optgroup></select>"""
    seen = await opened(browser, site, "groups", body)
    assert seen.marks[0].options == ["North: Other", "Oslo", "South: Other", "South: Other (2)"]


async def test_an_editor_that_is_a_framed_document_is_a_textbox(browser: Browser, site: Site) -> None:
    body = "<iframe id=f title=Letter srcdoc='<body>old text' width=300 height=80></iframe>"
    seen = await opened(
        browser, site, "framed-editor", body, "f.onload = () => { f.contentDocument.designMode = 'on'; };"
    )
    found = mark(seen, "Letter", "textbox")
    assert found.value == "old text" and found.box.height > 60


async def test_a_scaled_frame_is_hit_where_it_is_drawn(browser: Browser, site: Site) -> None:
    body = """<iframe srcdoc='<button onclick="top.document.title=1">In</button>' width=400 height=200
        style='transform:scale(.5);transform-origin:0 0;border:0'></iframe>"""
    seen = await opened(browser, site, "scaled", body)
    assert mark(seen, "In").box.height < 15
    assert (await click(browser, seen, "In")).observation.title == "1"


async def test_an_object_that_shows_a_page_is_a_frame(browser: Browser, site: Site) -> None:
    inner = site.page("inside-object", "<button onclick='top.document.title=`object`'>In</button>")
    seen = await opened(browser, site, "object", f"<object data='{inner}' type=text/html width=300 height=80></object>")
    assert (await click(browser, seen, "In")).observation.title == "object"


@pytest.mark.parametrize("origin", ["same", "other"])
async def test_a_framed_page_scrolls_by_its_mark(browser: Browser, site: Site, other: Site, origin: str) -> None:
    home = site if origin == "same" else other
    inner = home.page("long", "<p style='height:900px'>long</p><button>deep</button>")
    seen = await opened(browser, site, f"frame-{origin}", f"<iframe src='{inner}' width=300 height=150></iframe>")
    area = next(one for one in seen.marks if one.scrollable)
    for _ in range(8):
        seen = (await browser.step(ScrollId(id=area.id), TITLE)).observation
        if any(one.name == "deep" for one in seen.marks):
            break
    assert mark(seen, "deep")


async def test_an_area_that_scrolls_sideways_is_in_the_observation(browser: Browser, site: Site) -> None:
    body = """<div style='width:300px;overflow-x:auto;white-space:nowrap'><div style='width:2000px'><button>near</button>
        <button style='margin-left:700px'>far</button></div></div>"""
    seen = await opened(browser, site, "sideways", body)
    area = next(one for one in seen.marks if one.scrollable)
    for _ in range(6):
        seen = (await browser.step(ScrollId(id=area.id, direction="right"), TITLE)).observation
        if any(one.name == "far" for one in seen.marks):
            break
    assert mark(seen, "far", "button")


async def test_media_with_controls_are_marked(browser: Browser, site: Site) -> None:
    body = "<audio controls src='data:audio/wav;base64,UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA='></audio>"
    seen = await opened(browser, site, "media", body)
    assert [(one.name, one.value) for one in seen.marks] == [("audio player", "paused")]


async def test_handles_around_a_window_are_no_marks_and_a_splitter_is(browser: Browser, site: Site) -> None:
    sides = ("n", "e", "s", "w", "ne", "se", "sw", "nw")
    handles = "".join(f"<i style='position:absolute;{'top' if 'n' in s else 'bottom'}:0;{'left' if 'w' in s else 'right'}:0;"
                      f"width:8px;height:8px;cursor:{s}-resize'></i>" for s in sides)  # fmt: skip
    body = f"""<div id=d role=dialog aria-label=News style='position:relative;width:200px;height:80px'><button>Close</button>{handles}</div>
      <div id=p style='display:flex;height:60px'><b>left</b><i style='width:9px;cursor:col-resize'></i><b>right</b></div>"""
    script = "d.addEventListener('mousedown', () => 0); p.addEventListener('mousedown', () => 0);"
    seen = await opened(browser, site, "window", body, script)
    small = [one for one in seen.marks if one.box.width < 10]
    assert mark(seen, "Close") and [round(one.box.height) for one in small] == [60]


@pytest.mark.parametrize("role", ["tablist", "radiogroup", "toolbar"])
async def test_what_only_holds_others_is_no_mark_beside_them(browser: Browser, site: Site, role: str) -> None:
    items = "".join(f"<li role=tab tabindex=0 style='display:inline-block;width:40px'>T{n}</li>" for n in range(3))
    body = f"<ul id=l role={role} style='width:300px;padding:0'>{items}</ul>"
    seen = await opened(browser, site, role, body, "l.addEventListener('mousedown', () => 0);")
    assert [one.name for one in seen.marks] == ["T0", "T1", "T2"]
