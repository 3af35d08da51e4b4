"""Every kind of action on small pages, and what the page does back: tabs, dialogs, dead links."""

import pytest
from real_service import SMALL, Site, free_port

from browser_service.api.omniboxes import KINDS
from browser_service.client import Browser, BrowserPool
from browser_service.commands import TABLE, ActionFailed, check_address
from browser_service.models import (
    Action,
    Back,
    ClickCoords,
    ClickId,
    FillCoords,
    FillId,
    Forward,
    HoverAndScrollCoords,
    HoverCoords,
    HoverId,
    Keypress,
    Observe,
    ObserveRequest,
    PageDown,
    PageUp,
    Reload,
    Screenshot,
    ScrollId,
    SelectOption,
    Sleep,
    StepReply,
    TabAndEnter,
    TypeText,
    VisitPage,
)

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)
"""Test pages report through their title."""


async def title_after(browser: Browser, action: Action) -> str:
    reply = await browser.step(action, TITLE)
    assert reply.error is None, reply.error
    return reply.observation.title


async def failure_of(browser: Browser, action: Action) -> tuple[str, str]:
    reply = await browser.step(action, TITLE)
    assert reply.error is not None
    return reply.error.code, reply.error.fault


def test_every_kind_of_action_has_a_handler() -> None:
    assert TABLE.keys() == KINDS


async def test_click_by_id_and_by_coordinates(browser: Browser, site: Site) -> None:
    page = site.page(
        "click",
        "<button style='position:absolute;left:100px;top:50px;width:80px;height:30px' onclick='document.title=++n'>x</button>",
        script="n = 0",
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, ClickId(id=1)) == "1"
    assert await title_after(browser, ClickCoords(x=140, y=65)) == "2"
    assert await title_after(browser, ClickCoords(x=10, y=10)) == "2"


async def test_fill_replaces_or_appends_and_presses_enter(browser: Browser, site: Site) -> None:
    page = site.page(
        "fill",
        "<form onsubmit=\"document.title=document.getElementById('t').value;return false\"><input id=t value=ab "
        "style='position:absolute;left:0;top:0;width:200px;height:30px'></form>",
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, FillId(id=1, value="new", delete_existing=True)) == "new"
    assert await title_after(browser, FillCoords(x=190, y=15, value=" too")) == "new too"
    reply = await browser.step(FillId(id=1, value="é" * 400, delete_existing=True, press_enter=False), TITLE)
    assert reply.observation.title == "new too", "no Enter, no submit"
    assert await title_after(browser, Keypress(keys=["Enter"])) == "é" * 400


async def test_inputs_that_can_not_be_typed_into_are_set(browser: Browser, site: Site) -> None:
    page = site.page(
        "dates",
        "<input type=date onchange='document.title=this.value'>"
        "<input type=range max=10 oninput='document.title=this.value'>",
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, FillId(id=1, value="2024-02-29")) == "2024-02-29"
    assert await title_after(browser, FillId(id=2, value="7")) == "7"
    assert await failure_of(browser, FillId(id=1, value="tomorrow")) == ("BAD_VALUE", "policy")


async def test_select_option_by_label_and_by_its_own_mark(browser: Browser, site: Site) -> None:
    page = site.page(
        "select",
        "<select onchange='document.title=this.value'><option value=c>Chad<option value=p>Peru</select><br>"
        "<select size=2 onchange='document.title=this.value'><option>x<option>y</select>",
    )
    reply = await browser.step(VisitPage(url=page))
    assert await title_after(browser, SelectOption(id=1, label="Peru")) == "p"
    assert await title_after(browser, SelectOption(id=1, label="chad")) == "c"
    option = next(mark.id for mark in reply.observation.marks if mark.name == "y")
    assert await title_after(browser, SelectOption(id=option)) == "y"
    assert await failure_of(browser, SelectOption(id=1, label="Mars")) == ("NO_SUCH_OPTION", "policy")
    assert await failure_of(browser, SelectOption(id=1)) == ("NO_LABEL", "policy")


async def test_keyboard(browser: Browser, site: Site) -> None:
    page = site.page(
        "keys",
        "<input autofocus id=t value=hello><button onclick=\"document.title='pressed'\">b</button>",
        script="document.addEventListener('keydown', e => document.title = [e.ctrlKey && 'ctrl', e.key].filter(Boolean).join('+'))",
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, Keypress(keys=["ctrl", "a"])) == "ctrl+a"
    reply = await browser.step(TypeText(value="bye"), TITLE)
    assert reply.observation.marks[0].value == "bye", "everything was selected, so it is replaced"
    assert await title_after(browser, Keypress(keys=["arrowleft"])) == "ArrowLeft"
    assert await title_after(browser, TabAndEnter()) == "pressed"
    assert await failure_of(browser, Keypress(keys=["nosuchkey"])) == ("UNKNOWN_KEY", "policy")


async def test_a_chord_with_an_unknown_key_leaves_none_pressed(browser: Browser, site: Site) -> None:
    page = site.page("chord", "x", script="onkeydown = e => document.title = [e.key, e.ctrlKey, e.shiftKey].join()")
    await browser.step(VisitPage(url=page), TITLE)
    assert await failure_of(browser, Keypress(keys=["ctrl", "shift", "nosuchkey"])) == ("UNKNOWN_KEY", "policy")
    assert await title_after(browser, Keypress(keys=["a"])) == "a,false,false"


async def test_hover(browser: Browser, site: Site) -> None:
    page = site.page(
        "hover", "<button onmouseover=\"document.title='over'\" onmouseout=\"document.title='out'\">h</button>"
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, HoverId(id=1)) == "over"
    assert await title_after(browser, HoverCoords(x=300, y=280)) == "out"


async def test_scrolling(browser: Browser, site: Site) -> None:
    page = site.page(
        "scroll",
        "<div id=box style='height:100px;width:200px;overflow:auto'><p style='height:900px'>long</p></div><p style='height:3000px'>",
        script="""const show = () => document.title = Math.round(scrollY) + '/' + document.getElementById('box').scrollTop;
            document.addEventListener('scroll', show, true); show();""",
    )
    reply = await browser.step(VisitPage(url=page))
    box = next(mark for mark in reply.observation.marks if mark.scrollable)
    assert await title_after(browser, ScrollId(id=box.id)) == "0/100"
    assert await title_after(browser, HoverAndScrollCoords(x=50, y=50)) == "0/180"
    assert await title_after(browser, HoverAndScrollCoords(x=50, y=50, direction="up")) == "0/100"
    assert await title_after(browser, PageDown()) == "200/100"
    assert await title_after(browser, PageDown(full_page=True)) == "450/100"
    assert await title_after(browser, PageUp(amount=50)) == "400/100"
    assert await title_after(browser, HoverAndScrollCoords(x=50, y=250)) == "640/100"


async def test_history(browser: Browser, site: Site) -> None:
    site.page("second", "two")
    first = site.page("first", "<a href=/second>go</a>")
    await browser.step(VisitPage(url=first))
    assert await title_after(browser, ClickId(id=1)) == "second"
    assert await title_after(browser, Back()) == "first"
    assert await title_after(browser, Forward()) == "second"
    assert await title_after(browser, Reload()) == "second"
    assert await failure_of(browser, Forward()) == ("NO_HISTORY", "policy")


async def test_a_click_waits_for_the_slow_page_behind_it(browser: Browser, site: Site) -> None:
    page = site.page("to-slow", "<a href='/slow?0.6'>go</a>")
    await browser.step(VisitPage(url=page))
    reply = await browser.step(ClickId(id=1), TITLE)
    assert reply.observation.url.endswith("/slow?0.6")
    assert reply.observation.settled


async def test_content_that_is_fetched_is_waited_for(browser: Browser, site: Site) -> None:
    page = site.page(
        "fetching",
        "<button onclick=\"fetch('/slow?0.4').then(() => document.title='loaded')\">load</button>",
    )
    await browser.step(VisitPage(url=page))
    assert await title_after(browser, ClickId(id=1)) == "loaded"


async def test_a_quiet_page_costs_few_milliseconds_and_a_restless_one_the_cap(browser: Browser, site: Site) -> None:
    quiet = site.page("quiet", "<button onclick=\"document.title='x'\">q</button>")
    restless = site.page(
        "restless", "<p id=p>", script="setInterval(() => document.getElementById('p').textContent = Math.random(), 10)"
    )
    await browser.step(VisitPage(url=quiet))
    settles = [(await browser.step(ClickId(id=1), TITLE)).timings_ms["settle"] for _ in range(5)]
    assert min(settles) < 200, "a fraction of what a fixed sleep would be, on a busy machine"
    reply = await browser.step(VisitPage(url=restless), TITLE)
    assert not reply.observation.settled
    assert 500 < reply.timings_ms["settle"] < 5_000


async def test_a_popup_is_followed_and_left_when_it_closes(browser: Browser, site: Site) -> None:
    site.page("popup", "<button onclick='window.close()'>close</button>")
    page = site.page("opener", "<a href=/popup target=_blank rel=opener>open</a>")
    await browser.step(VisitPage(url=page))
    reply = await browser.step(ClickId(id=1))
    assert reply.observation.title == "popup"
    assert [(tab.url.rpartition("/")[2], tab.active) for tab in reply.observation.tabs] == [
        ("opener", False),
        ("popup", True),
    ]
    reply = await browser.step(ClickId(id=1))
    assert reply.observation.title == "opener"
    assert len(reply.observation.tabs) == 1


async def test_a_page_that_opens_many_tabs_gets_no_more_than_the_cap(browser: Browser, site: Site) -> None:
    site.page("child", "c")
    page = site.page(
        "many", "<button onclick='for (let i = 0; i < 12; i++) window.open(\"/child?\" + i)'>open</button>"
    )
    await browser.step(VisitPage(url=page))
    await browser.step(ClickId(id=1), TITLE)
    reply = await browser.step(Observe(), TITLE)
    assert 2 <= len(reply.observation.tabs) <= 5


async def test_dialogs_are_answered_and_give_notices(browser: Browser, site: Site) -> None:
    page = site.page(
        "dialogs",
        "<button onclick=\"alert('hi'); document.title = confirm('sure?') + '/' + prompt('name?')\">ask</button>",
    )
    await browser.step(VisitPage(url=page))
    reply = await browser.step(ClickId(id=1))
    assert reply.observation.title == "false/null"
    assert reply.observation.dialogs == ["alert: hi", "confirm: sure?", "prompt: name?"]
    assert (await browser.step(Observe())).observation.dialogs == []


async def test_a_page_that_does_not_want_to_be_left_is_left(browser: Browser, site: Site) -> None:
    page = site.page(
        "stay", "<button>b</button>", script="window.addEventListener('beforeunload', e => e.preventDefault())"
    )
    other = site.page("other", "o")
    await browser.step(VisitPage(url=page))
    await browser.step(ClickId(id=1))  # Chromium only asks once the page was used
    assert await title_after(browser, VisitPage(url=other)) == "other"


async def test_file_choosers_do_not_block(browser: Browser, site: Site) -> None:
    page = site.page("file", "<input type=file><button onclick=\"document.title='after'\">b</button>")
    await browser.step(VisitPage(url=page))
    await browser.step(ClickId(id=1))
    assert await title_after(browser, ClickId(id=2)) == "after"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "chrome://version",
        "view-source:http://x",
        "javascript:alert(1)",
        "data:text/html,x",
        "x.test",
        "http://",
    ],
)
async def test_only_web_addresses_can_be_visited(url: str) -> None:
    with pytest.raises(ActionFailed) as blocked:
        check_address(url)
    assert (blocked.value.error.code, blocked.value.error.fault) == ("NAV_BLOCKED", "policy")


async def test_a_blocked_address_leaves_the_page_as_it_was(browser: Browser, site: Site) -> None:
    await browser.step(VisitPage(url=site.page("safe", "s")))
    reply = await browser.step(VisitPage(url="file:///etc/hostname"), ObserveRequest(text=True))
    assert reply.error is not None and reply.error.code == "NAV_BLOCKED"
    assert reply.observation.title == "safe"


async def test_a_dead_link_and_an_unknown_name_are_the_sites_fault(browser: Browser, site: Site) -> None:
    assert await failure_of(browser, VisitPage(url=f"http://127.0.0.1:{free_port()}/")) == ("NAVIGATION_FAILED", "site")
    assert await failure_of(browser, VisitPage(url="http://no-such-name.invalid/")) == ("NAVIGATION_FAILED", "site")
    page = site.page("with-dead-link", f"<a href=http://127.0.0.1:{free_port()}/>dead</a>")
    await browser.step(VisitPage(url=page))
    await browser.step(ClickId(id=1))
    assert await title_after(browser, VisitPage(url=page)) == "with-dead-link"


async def test_an_answer_that_never_comes_ends_at_the_navigation_deadline(browser: Browser, site: Site) -> None:
    assert await failure_of(browser, VisitPage(url=f"{site.url}/slow?7")) == ("NAVIGATION_TIMEOUT", "site")
    assert await title_after(browser, VisitPage(url=site.page("alive", "a"))) == "alive"


async def test_sleep_takes_its_time(browser: Browser) -> None:
    reply = await browser.step(Sleep(duration=0.3))
    assert 290 <= reply.timings_ms["act"] < 20_000


async def test_an_unchanged_screen_is_sent_once_and_the_client_fills_it_in(pool: BrowserPool, site: Site) -> None:
    async with pool.lease(owner="pictures", viewport=SMALL) as browser:
        first = await browser.step(VisitPage(url=site.page("still", "<h1>still</h1>")))
        again = await browser.step(Observe())
        kept = await browser.step(Observe(), ObserveRequest(have_sha256=_shot(first).sha256))
    assert _shot(again).sha256 == _shot(first).sha256
    assert _shot(again).data == _shot(first).data is not None
    assert _shot(kept).data is None, "the caller said that it has it"


def _shot(reply: StepReply) -> Screenshot:
    assert reply.observation.screenshot is not None
    return reply.observation.screenshot
