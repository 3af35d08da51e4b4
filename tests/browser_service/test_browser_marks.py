"""Marks: what counts as interactive, what it is called, how its number is kept, how it is drawn."""

import base64
from io import BytesIO

import pytest
from PIL import Image
from real_service import Site

from browser_service.client import Browser
from browser_service.models import Box, ClickId, Keypress, Mark, Observe, ObserveRequest, StepReply, VisitPage
from browser_service.tabs.marks import draw_marks

pytestmark = pytest.mark.browser


async def marks_of(browser: Browser, address: str) -> list[Mark]:
    reply = await browser.step(VisitPage(url=address))
    assert reply.error is None
    return reply.observation.marks


def named(reply: StepReply, name: str) -> Mark:
    return next(mark for mark in reply.observation.marks if mark.name == name)


async def test_form_controls_carry_role_name_value_and_state(browser: Browser, site: Site) -> None:
    address = site.page(
        "form",
        """<label for=u>User</label><input id=u value=ann><input type=password aria-label=Pass value=secret><br>
        <label><input type=checkbox checked>Keep me</label><label><input type=radio name=r>One</label>
        <select aria-label=Country><option>Chad<option selected>Peru</select>
        <textarea placeholder=Notes></textarea><input type=submit value=Go><button disabled>No</button>
        <a href=/x>More</a><input type=hidden><div role=switch aria-checked=true aria-label=Wifi tabindex=0>w</div>""",
    )
    marks = await marks_of(browser, address)
    assert [(mark.id, mark.role, mark.name, mark.value, mark.checked) for mark in marks] == [
        (1, "textbox", "User", "ann", None),
        (2, "textbox", "Pass", None, None),
        (3, "checkbox", "Keep me", None, True),
        (4, "radio", "One", None, False),
        (5, "combobox", "Country", "Peru", None),
        (6, "textbox", "Notes", "", None),
        (7, "button", "Go", None, None),
        (8, "link", "More", None, None),
        (9, "switch", "Wifi", None, True),
    ]
    assert marks[4].options == ["Chad", "Peru"]


async def test_elements_that_the_page_listens_to_are_marked(browser: Browser, site: Site) -> None:
    address = site.page(
        "listeners",
        "<div id=a>plain</div><p id=b>pressed</p><span>silent</span><svg width=80 height=40>"
        "<circle id=c cx=20 cy=20 r=10 fill=red /><rect id=d x=50 width=20 height=20 fill=blue /></svg>",
        script="""for (const [id, type] of [['a','click'],['b','mousedown'],['c','click'],['d','click']])
            document.getElementById(id).addEventListener(type, () => 0);
            document.body.addEventListener('click', () => 0); window.addEventListener('click', () => 0);""",
    )
    assert [mark.name for mark in await marks_of(browser, address)] == ["plain", "pressed", "red circle", "blue rect"]


async def test_a_box_that_listens_for_its_children_is_no_mark(browser: Browser, site: Site) -> None:
    address = site.page(
        "delegation",
        "<div id=all style='height:250px'><button>one</button><button>two</button></div>",
        script="document.getElementById('all').addEventListener('click', () => 0)",
    )
    assert [mark.name for mark in await marks_of(browser, address)] == ["one", "two"]


async def test_of_two_elements_around_the_same_words_one_is_marked(browser: Browser, site: Site) -> None:
    address = site.page(
        "doubles",
        "<style>#tabs {padding: 0; width: 100px} #tabs a {display: block} p {display: inline-block}</style>"
        "<ul id=tabs role=tablist><li role=tab tabindex=0><a href=/x role=presentation>Tab 1</a></li></ul>"
        "<p tabindex=0><a href=/y>More</a></p><label tabindex=0>Name <input></label>",
        script="document.getElementById('tabs').addEventListener('click', () => 0)",
    )
    marks = await marks_of(browser, address)
    assert [(mark.role, mark.name) for mark in marks][:2] == [("tab", "Tab 1"), ("link", "More")]
    assert marks[-1].role == "textbox", "a control is never dropped"


async def test_a_hand_cursor_marks_the_topmost_element_that_has_it(browser: Browser, site: Site) -> None:
    address = site.page("cursor", "<div style='cursor:pointer;width:90px'><b>Buy</b> <i>now</i></div><p>text</p>")
    assert [(mark.role, mark.name) for mark in await marks_of(browser, address)] == [("generic", "Buy now")]


async def test_open_shadow_roots_and_listbox_options_are_marked(browser: Browser, site: Site) -> None:
    address = site.page(
        "shadow",
        "<button>before</button><div id=host></div><select multiple size=2><option>x<option selected>y</select>",
        script="""const root = document.getElementById('host').attachShadow({mode: 'open'});
            root.innerHTML = '<button>inside</button>'; root.firstChild.onclick = () => document.title = 'hit';""",
    )
    reply = await browser.step(VisitPage(url=address))
    assert [(mark.role, mark.name, mark.checked) for mark in reply.observation.marks] == [
        ("button", "before", None),
        ("button", "inside", None),
        ("listbox", "", None),
        ("option", "x", False),
        ("option", "y", True),
    ]
    reply = await browser.step(ClickId(id=2))
    assert reply.observation.title == "hit"


async def test_hidden_covered_and_far_elements_are_not_marked(browser: Browser, site: Site) -> None:
    address = site.page(
        "hidden",
        """<button style="display:none">none</button><button style="visibility:hidden">invisible</button>
        <button style="position:absolute;top:100px;left:0">covered</button>
        <div style="position:absolute;top:90px;left:0;width:200px;height:60px;background:#eee"></div>
        <button style="position:absolute;top:2000px">far</button><button>seen</button>""",
    )
    assert [mark.name for mark in await marks_of(browser, address)] == ["seen"]


async def test_a_number_stays_with_its_element_until_the_next_look(browser: Browser, site: Site) -> None:
    address = site.page(
        "moving",
        "<div id=list><button onclick=\"document.title='old'\">old</button></div>",
        script="""onkeydown = () => document.getElementById('list').insertAdjacentHTML('afterbegin',
            "<button onclick=\\"document.title='new'\\">new</button><br>");""",
    )
    reply = await browser.step(VisitPage(url=address))
    assert named(reply, "old").id == 1
    picture_only = ObserveRequest(marks=False)
    reply = await browser.step(Keypress(keys=["a"]), ObserveRequest(marks=False, text=True, screenshot=False))
    assert "new" in (reply.observation.text or ""), "without asking for marks, so that the numbers stay"
    reply = await browser.step(ClickId(id=1), picture_only)
    assert reply.observation.title == "old"
    reply = await browser.step(Observe())
    assert [mark.name for mark in reply.observation.marks] == ["new", "old"]


async def test_an_element_that_is_gone_or_unknown_is_an_action_error(browser: Browser, site: Site) -> None:
    address = site.page("vanishing", "<button onclick='this.remove()'>bye</button><button>stay</button>")
    await browser.step(VisitPage(url=address))
    keep_numbers = ObserveRequest(marks=False, screenshot=False)
    assert (await browser.step(ClickId(id=1), keep_numbers)).error is None
    gone = (await browser.step(ClickId(id=1), keep_numbers)).error
    unknown = (await browser.step(ClickId(id=77), keep_numbers)).error
    assert gone is not None and (gone.code, gone.fault) == ("STALE_MARK", "policy")
    assert unknown is not None and unknown.code == "UNKNOWN_MARK"


async def test_numbers_of_a_page_mean_nothing_on_the_next(browser: Browser, site: Site) -> None:
    first = site.page("numbers1", "<button>a</button>")
    second = site.page("numbers2", "<button onclick=\"document.title='clicked'\">b</button>")
    await browser.step(VisitPage(url=first))
    await browser.step(VisitPage(url=second), ObserveRequest(marks=False, screenshot=False))
    reply = await browser.step(ClickId(id=1))
    assert reply.error is not None and reply.error.code == "UNKNOWN_MARK"
    assert reply.observation.title == "numbers2"


async def test_an_element_covered_since_the_look_is_not_clicked(browser: Browser, site: Site) -> None:
    address = site.page(
        "covered-later",
        "<button onclick=\"document.title='wrong'\">a</button>"
        "<button onclick=\"document.body.insertAdjacentHTML('beforeend',"
        "'<div style=position:fixed;inset:0;background:#fff></div>')\">cover</button>",
    )
    await browser.step(VisitPage(url=address))
    await browser.step(ClickId(id=2), ObserveRequest(marks=False))
    reply = await browser.step(ClickId(id=1))
    assert reply.error is not None and reply.error.code == "NOT_REACHABLE" and "<div>" in reply.error.message
    assert reply.observation.title == "covered-later"


async def test_a_password_never_leaves_the_page(browser: Browser, site: Site) -> None:
    address = site.page("password", "<input type=password value=hunter2>")
    reply = await browser.step(VisitPage(url=address), ObserveRequest(text=True))
    assert "hunter2" not in reply.model_dump_json()


async def test_draw_marks_changes_the_picture_only_around_the_marks(browser: Browser, site: Site) -> None:
    address = site.page(
        "drawn", "<button style='position:absolute;left:50px;top:60px;width:80px;height:30px'>ok</button>"
    )
    plain = await browser.step(VisitPage(url=address))
    drawn = await browser.step(Observe(), ObserveRequest(draw_marks=True))
    before, after = (_picture(reply) for reply in (plain, drawn))
    assert before.size == after.size == (400, 300)
    assert before.getpixel((50, 75)) != after.getpixel((50, 75)), "the box's left edge"
    assert before.getpixel((300, 200)) == after.getpixel((300, 200))


@pytest.mark.parametrize("size", [(160, 210), (1280, 768)])
def test_numbers_are_drawn_large_enough_to_read_and_apart(size: tuple[int, int]) -> None:
    blank = BytesIO()
    Image.new("RGB", size, "white").save(blank, "PNG")
    marks = [
        Mark(id=number, role="button", name="", box=Box(x=8, y=20 + 24 * number, width=60, height=20))
        for number in (1, 2, 12)
        if 20 + 24 * number + 20 < size[1] or number < 10
    ]
    picture = Image.open(BytesIO(draw_marks(blank.getvalue(), marks, ObserveRequest()))).convert("L")
    for mark in marks:
        plate = picture.crop((int(mark.box.x), int(mark.box.y) - 12, int(mark.box.x) + 14, int(mark.box.y)))
        shades = list(plate.tobytes())
        assert sum(shade < 140 for shade in shades) > 20, "a dark plate"
        assert sum(shade > 230 for shade in shades) > 3, "with light strokes"


def _picture(reply: StepReply) -> Image.Image:
    shot = reply.observation.screenshot
    assert shot is not None and shot.data is not None
    return Image.open(BytesIO(base64.b64decode(shot.data))).convert("RGB")
