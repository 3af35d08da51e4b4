"""Typing, choosing, dragging, scrolling and waiting, as the pages of real widgets want it: a small page for each kind."""

import time

import pytest
from real_service import Site

from browser_service.client import Browser
from browser_service.models import (
    ActionError,
    ClickCoords,
    Drag,
    DragId,
    FillCoords,
    FillId,
    HoverAndScrollCoords,
    HoverCoords,
    Keypress,
    MouseDown,
    Observation,
    ObserveRequest,
    PageDown,
    SelectCoords,
    SelectOption,
    Sleep,
    StepReply,
    TypeText,
    VisitPage,
)
from browser_service.models.actions import Action

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
SAY = "const say = (what) => { document.title = what; };"


async def opened(browser: Browser, site: Site, name: str, body: str, script: str = "") -> Observation:
    reply = await browser.step(VisitPage(url=site.page(name, body, script=SAY + script)), TITLE)
    assert reply.error is None
    return reply.observation


async def acted(browser: Browser, action: Action) -> StepReply:
    return await browser.step(action, TITLE)


async def refused(browser: Browser, action: Action) -> ActionError:
    error = (await browser.step(action, TITLE)).error
    assert error is not None
    return error


def fill(value: str, mark: int = 1) -> FillId:
    return FillId(id=mark, value=value, press_enter=False, delete_existing=True)


async def test_typing_leaves_the_tokens_of_an_empty_field(browser: Browser, site: Site) -> None:
    script = "f.onkeydown = (e) => { if (e.key === 'Backspace' && f.value === '') say('token deleted'); };"
    await opened(browser, site, "tokens", "<input id=f aria-label=Tags>", script)
    after = (await acted(browser, fill("red"))).observation
    assert after.title != "token deleted" and after.marks[0].value == "red"
    assert (await acted(browser, fill("blue"))).observation.marks[0].value == "blue"


async def test_a_line_break_sends_nothing(browser: Browser, site: Site) -> None:
    body = "<div id=c contenteditable role=textbox aria-label=Chat style='min-height:40px'></div>"
    script = "c.onkeydown = (e) => { if (e.key === 'Enter' && !e.shiftKey) { e.preventDefault(); say('sent'); } };"
    await opened(browser, site, "chat", body, script)
    after = (await acted(browser, fill("line one\nline two"))).observation
    assert after.title != "sent" and "line two" in (after.marks[0].value or "")
    after = (await acted(browser, TypeText(value="\nline three"))).observation
    assert after.title != "sent" and "line three" in (after.marks[0].value or "")


async def test_a_text_area_gets_its_lines(browser: Browser, site: Site) -> None:
    await opened(browser, site, "area", "<textarea aria-label=Story></textarea>")
    value = "a\n  b\tc\n" + "x" * 400 + "\nend"
    assert (await acted(browser, fill(value))).observation.marks[0].value == value[:200]


DATES = """<input type=date aria-label=Day value=2020-01-01><input type=range aria-label=Loud min=1 max=9 value=2>
    <input type=time aria-label=At>"""


@pytest.mark.parametrize(("mark", "value"), [(1, "2024-12-25"), (2, "7"), (3, "14:30")])
async def test_dates_times_and_ranges_are_set_by_coordinates_too(
    browser: Browser, site: Site, mark: int, value: str
) -> None:
    seen = await opened(browser, site, "set", DATES)
    box = seen.marks[mark - 1].box
    x, y = box.x + box.width / 2, box.y + box.height / 2
    reply = await acted(browser, FillCoords(x=x, y=y, value=value, press_enter=False, delete_existing=True))
    assert reply.error is None and reply.observation.marks[mark - 1].value == value


@pytest.mark.parametrize(
    ("mark", "value", "form", "kept"),
    [(1, "tomorrow", "YYYY-MM-DD", "2020-01-01"), (2, "11", "from 1 to 9", "2"), (2, "loud", "from 1 to 9", "2"), (3, "noon", "HH:MM", "")],
)  # fmt: skip
async def test_a_refused_value_names_the_form_and_changes_nothing(
    browser: Browser, site: Site, mark: int, value: str, form: str, kept: str
) -> None:
    await opened(browser, site, "refused", DATES)
    reply = await acted(browser, fill(value, mark))
    assert reply.error is not None and reply.error.code == "BAD_VALUE" and form in reply.error.message
    assert reply.observation.marks[mark - 1].value == kept


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<input type=date readonly value=2020-01-01>", "READ_ONLY"),
        ("<input readonly value=fixed>", "READ_ONLY"),
        ("<textarea readonly>fixed</textarea>", "READ_ONLY"),
        ("<div role=slider tabindex=0 style='width:80px;height:20px'></div>", "NOT_EDITABLE"),
        ("<button>Go</button>", "NOT_EDITABLE"),
    ],
)
async def test_typing_where_nothing_can_be_typed_says_so(browser: Browser, site: Site, body: str, code: str) -> None:
    await opened(browser, site, "nowhere", body)
    assert (await refused(browser, fill("5"))).code == code


async def test_a_select_is_chosen_from_by_typing_and_by_coordinates(browser: Browser, site: Site) -> None:
    seen = await opened(browser, site, "typed-select", "<select aria-label=Size><option>Small<option>Large</select>")
    assert (await acted(browser, fill("Large"))).observation.marks[0].value == "Large"
    box = seen.marks[0].box
    reply = await acted(browser, SelectCoords(x=box.x + 5, y=box.y + 5, label="Small"))
    assert reply.observation.marks[0].value == "Small"
    assert (await refused(browser, fill("Huge"))).code == "NO_SUCH_OPTION"
    assert (await refused(browser, SelectCoords(x=5, y=200, label="Small"))).code == "NOT_A_SELECT"


async def test_choices_of_a_list_are_taken_and_taken_away(browser: Browser, site: Site) -> None:
    body = "<select multiple aria-label=Toppings><option>Ham<option selected>Cheese<option disabled>Gold</select>"
    await opened(browser, site, "several", body)
    assert (await acted(browser, SelectOption(id=1, label="Ham"))).observation.marks[0].value == "Ham, Cheese"
    assert (await acted(browser, SelectOption(id=3))).observation.marks[0].value == "Ham"
    after = await acted(browser, SelectOption(id=1, label="Ham", selected=False))
    assert after.observation.marks[0].value == ""
    assert "disabled" in (await refused(browser, SelectOption(id=1, label="Gold"))).message


async def test_an_option_of_a_disabled_group_can_not_be_chosen(browser: Browser, site: Site) -> None:
    body = "<select aria-label=Where><option>Earth<optgroup label=Sky disabled><option>Moon</optgroup></select>"
    await opened(browser, site, "disabled-group", body)
    assert "disabled" in (await refused(browser, SelectOption(id=1, label="Moon"))).message


TRACK = """let moves = 0, last = 0, first = 0; onpointermove = (e) => { if (!e.buttons) return; moves += 1; last = performance.now();
    first = first || last; }; onpointerup = (e) => say(`${moves} ${Math.round(last - first)} ${Math.round(e.clientX)}`);"""


async def test_a_drag_moves_as_a_hand_does(browser: Browser, site: Site) -> None:
    await opened(browser, site, "drag", "<p>drag", TRACK)
    moves, took, x = map(int, (await acted(browser, Drag(x=50, y=50, to_x=250, to_y=60))).observation.title.split())
    assert moves >= 12 and took >= 200 and x == 250


async def test_a_mark_is_dragged_onto_another_and_by_an_offset(browser: Browser, site: Site) -> None:
    body = "<button style='width:60px'>A</button><button style='width:60px;margin-left:200px'>B</button>"
    seen = await opened(browser, site, "drag-id", body, TRACK)
    goal = seen.marks[1].box.x + 30
    assert (await acted(browser, DragId(id=1, to_id=2))).observation.title.endswith(f" {round(goal)}")
    start = seen.marks[0].box.x + 30
    assert (await acted(browser, DragId(id=1, dx=100))).observation.title.endswith(f" {round(start + 100)}")
    assert (await refused(browser, DragId(id=1, dx=4_000))).code == "OUT_OF_VIEW"
    assert (await refused(browser, DragId(id=1, to_id=99))).code == "UNKNOWN_MARK"


async def test_an_element_under_a_held_drag_gets_dragover_all_the_time(browser: Browser, site: Site) -> None:
    body = "<div draggable=true id=a style='width:90px;height:40px'>Letter</div><div id=b style='width:90px;height:40px'>Box</div>"
    script = """a.ondragstart = (e) => e.dataTransfer.setData('text/plain', 'x');
        let n = 0; b.ondragover = () => { n += 1; if (n > 8) say('open'); };"""
    await opened(browser, site, "rest", body, script)
    await acted(browser, MouseDown(x=40, y=28))
    for y in (34, 50, 66):
        await acted(browser, HoverCoords(x=42, y=y))
    assert (await acted(browser, Sleep(duration=1.0))).observation.title == "open"


async def test_the_page_is_whatever_scrolls(browser: Browser, site: Site) -> None:
    body = """<style>html,body{height:100%;margin:0;overflow:hidden}#m{height:100%;overflow-y:auto}</style>
        <div id=m><div style='height:1500px'>start</div><button>Bottom</button></div>"""
    seen = await opened(browser, site, "inner-scroller", body)
    for _ in range(6):
        seen = (await acted(browser, PageDown(full_page=True))).observation
    assert any(one.name == "Bottom" for one in seen.marks)


async def test_a_point_over_a_frame_of_another_origin_scrolls_the_frame(
    browser: Browser, site: Site, other: Site
) -> None:
    inner = other.page("far-frame", "<p style='height:900px'>long</p><button>deep</button>")
    body = f"<iframe src='{inner}' width=300 height=150></iframe><p style='height:3000px'>outer</p>"
    seen = await opened(browser, site, "over-frame", body)
    for _ in range(8):
        seen = (await acted(browser, HoverAndScrollCoords(x=100, y=80))).observation
        if any(one.name == "deep" for one in seen.marks):
            break
    assert any(one.name == "deep" for one in seen.marks)


# ---- looking neither too early nor too late --------------------------------------------------------------------------
async def test_a_popup_that_fades_is_gone_when_the_page_is_looked_at(browser: Browser, site: Site) -> None:
    body = """<style>#p{transition:opacity .25s}.off{opacity:0}</style><div id=p><button id=x>Close</button></div>"""
    script = "x.onclick = () => { p.className = 'off'; p.ontransitionend = () => p.remove(); };"
    seen = await opened(browser, site, "fade", body, script)
    after = (
        await acted(browser, FillId(id=seen.marks[0].id, value="x"))
    ).observation  # the click of a refused fill closes it
    assert after.marks == []


@pytest.mark.parametrize("way", ["timer", "timer, then request"])
async def test_suggestions_that_wait_for_a_pause_are_there(browser: Browser, site: Site, way: str) -> None:
    answer = site.page("suggestions", "apricot")
    show = "l.innerHTML = '<button>apricot</button>'"
    later = show if way == "timer" else f"fetch('{answer}').then((r) => r.text()).then(() => {{ {show}; }})"
    script = f"let t; f.oninput = () => {{ clearTimeout(t); t = setTimeout(() => {{ {later}; }}, 300); }};"
    await opened(browser, site, f"debounce-{len(way)}", "<input id=f aria-label=Fruit><div id=l></div>", script)
    after = (await acted(browser, fill("ap"))).observation
    assert [one.name for one in after.marks] == ["Fruit", "apricot"]


RESTLESS = {
    "an endless animation": """<style>@keyframes k{to{transform:rotate(1turn)}}
        b{display:block;width:9px;animation:k 1s infinite}</style><b>o</b>""",
    "a very long transition": """<style>b{transition:width 60s;width:9px;display:block}b.on{width:900px}</style><b id=b>o</b>
        <script>setTimeout(() => { b.className = 'on' }, 1)</script>""",
    "timers that never rest": "<script>(function again() { setTimeout(again, 90); setInterval(() => 0, 50); })()</script>",
}


@pytest.mark.parametrize("kind", RESTLESS)
async def test_a_page_that_never_rests_holds_nobody_up(browser: Browser, site: Site, kind: str) -> None:
    await opened(browser, site, "calm", "<button onclick='0'>Go</button>")
    began = time.monotonic()
    await acted(browser, FillId(id=1, value=""))
    calm = time.monotonic() - began
    await opened(browser, site, kind.replace(" ", "-"), "<button onclick='0'>Go</button>" + RESTLESS[kind])
    began = time.monotonic()
    await acted(browser, FillId(id=1, value=""))
    assert time.monotonic() - began < 5 * calm + 2


async def test_leaving_a_page_that_asks_gives_a_notice(browser: Browser, site: Site) -> None:
    goal = site.page("elsewhere", "there")
    script = "onbeforeunload = (e) => { e.preventDefault(); return ''; };"
    await opened(browser, site, "asks", "<input aria-label=Draft>", script)
    await acted(browser, fill("text"))
    reported = (await acted(browser, VisitPage(url=goal))).observation.dialogs
    assert reported == ["beforeunload: the page asked whether to leave it"]


async def test_a_select_is_chosen_from_by_keys(browser: Browser, site: Site) -> None:
    body = "<select id=s aria-label=Size><option>Small<option>Medium<option>Large</select>"
    seen = await opened(browser, site, "by-keys", body)
    box = seen.marks[0].box
    await acted(browser, ClickCoords(x=box.x + box.width / 2, y=box.y + box.height / 2))
    await acted(browser, Keypress(keys=["ArrowDown"]))
    assert (await acted(browser, Keypress(keys=["Enter"]))).observation.marks[0].value == "Medium"
