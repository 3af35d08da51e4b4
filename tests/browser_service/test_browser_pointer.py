"""Actions beyond click and fill: every kind of click, dragging, the wheel, tabs, uploads, points outside the viewport."""

from collections.abc import Generator
from pathlib import Path

import pytest
from real_service import SMALL, Site, running_service

from browser_service.client import Browser, BrowserPool
from browser_service.models import (
    Action,
    ClickCoords,
    ClickId,
    CloseTab,
    Drag,
    FillCoords,
    HoverAndScrollCoords,
    HoverCoords,
    KeyDown,
    Keypress,
    KeyUp,
    MouseDown,
    MouseUp,
    ObserveRequest,
    OpenTab,
    ScrollCoords,
    StepReply,
    SwitchTab,
    Upload,
    VisitPage,
)
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
TITLE = ObserveRequest(screenshot=False)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Settings, None, None]:
    """A service with a folder of files beside one that is nobody's business."""
    root = tmp_path_factory.mktemp("files")
    (root / "task" / "sub").mkdir(parents=True)
    (root / "task" / "a.txt").write_text("alpha")
    (root / "task" / "sub" / "b.txt").write_text("beta")
    (root / "secret.txt").write_text("secret")
    (root / "task" / "link.txt").symlink_to(root / "secret.txt")
    with running_service(slots=2, files_dir=root, max_tabs=3, settle_cap_s=1) as settings:
        yield settings


async def after(browser: Browser, action: Action) -> str:
    reply = await browser.step(action, TITLE)
    assert reply.error is None, reply.error
    return reply.observation.title


async def test_every_kind_of_click(browser: Browser, site: Site) -> None:
    page = site.page(
        "clicks",
        "<button id=b style='position:absolute;left:0;top:0;width:100px;height:50px'>b</button>",
        script="""const log = []; const b = document.getElementById('b');
            for (const type of ['click', 'dblclick', 'contextmenu', 'auxclick'])
              b.addEventListener(type, e => {
                document.title = log.push(type + e.button + '/' + e.detail) && log.join(); e.preventDefault(); });""",
    )
    await browser.step(VisitPage(url=page))
    assert "dblclick0/2" in await after(browser, ClickId(id=1, clicks=2))
    assert "click0/3" in await after(browser, ClickCoords(x=5, y=5, clicks=3))
    assert "contextmenu2" in await after(browser, ClickId(id=1, button="right"))
    assert "auxclick1/1" in await after(browser, ClickCoords(x=5, y=5, button="middle"))


async def test_drag_and_a_button_that_is_held(browser: Browser, site: Site) -> None:
    page = site.page(
        "slider",
        "<input type=range min=0 max=100 value=0 style='position:absolute;left:0;top:0;width:200px' "
        "oninput='document.title=this.value'><div id=d style='position:absolute;top:100px;width:300px;height:100px'></div>",
        script="""const d = document.getElementById('d');
            d.onmousedown = e => document.title = 'down' + e.button; d.onmouseup = e => document.title += ' up' + e.clientX;""",
    )
    await browser.step(VisitPage(url=page))
    assert 90 <= int(await after(browser, Drag(x=8, y=8, to_x=195, to_y=8))) <= 100
    assert await after(browser, MouseDown(x=10, y=150, button="right")) == "down2"
    assert await after(browser, MouseUp(x=200, y=150, button="right")) == "down2 up200"


async def test_things_can_be_dragged_and_dropped(browser: Browser, site: Site) -> None:
    page = site.page(
        "dragdrop",
        "<div id=a draggable=true style='position:absolute;left:0;top:0;width:50px;height:50px'>a</div>"
        "<div id=b style='position:absolute;left:200px;top:100px;width:100px;height:100px'>b</div>",
        script="""a.ondragstart = e => e.dataTransfer.setData('text', 'gift');
            b.ondragover = e => e.preventDefault(); b.ondrop = e => document.title = e.dataTransfer.getData('text');""",
    )
    await browser.step(VisitPage(url=page))
    assert await after(browser, Drag(x=20, y=20, to_x=250, to_y=150)) == "gift"


async def test_the_wheel_turns_in_both_directions(browser: Browser, site: Site) -> None:
    page = site.page(
        "wheel",
        "<p style='height:3000px;width:3000px'>",
        script="document.onscroll = () => document.title = Math.round(scrollX) + '/' + Math.round(scrollY)",
    )
    await browser.step(VisitPage(url=page))
    assert await after(browser, ScrollCoords(x=100, y=100, dy=150)) == "0/150"
    assert await after(browser, ScrollCoords(x=100, y=100, dx=40, dy=-50)) == "40/100"


async def test_keys_are_held_during_an_action_or_over_several(browser: Browser, site: Site) -> None:
    page = site.page(
        "held",
        "<div id=d style='position:absolute;left:0;top:0;width:300px;height:200px'></div>",
        script="""const said = []; const tell = what => document.title = said.push(what) && said.join();
            for (const type of ['click', 'mouseup']) d.addEventListener(type, e => tell(
              type + (e.shiftKey ? '+shift' : '') + (e.ctrlKey ? '+ctrl' : '')));
            let since; onkeydown = e => { if (!e.repeat) since = performance.now(); };
            onkeyup = e => tell(e.key + (performance.now() - since > 250 ? ' long' : ' short'));""",
    )
    await browser.step(VisitPage(url=page))
    reported = await after(browser, ClickCoords(x=5, y=5, hold=["shift", "ctrl"]))
    assert reported == "mouseup+shift+ctrl,click+shift+ctrl,Control short,Shift short"
    assert (await after(browser, ClickCoords(x=5, y=5))).endswith("mouseup,click"), "they are let go"
    assert (await after(browser, Keypress(keys=["a"], duration=0.3))).endswith("a long")
    await after(browser, KeyDown(keys=["shift"]))
    assert (await after(browser, ClickCoords(x=5, y=5, hold=["shift"]))).endswith("mouseup+shift,click+shift")
    assert (await after(browser, ClickCoords(x=5, y=5))).endswith("mouseup+shift,click+shift"), "held before, held on"
    await after(browser, KeyUp(keys=["shift"]))
    assert (await after(browser, Drag(x=5, y=5, to_x=90, to_y=90))).endswith("mouseup,click")
    for action in (ClickCoords(x=5, y=5, hold=["shift", "bogus"]), KeyDown(keys=["bogus"]), Keypress(keys=["bogus"])):
        reply = await browser.step(action, TITLE)
        assert reply.error is not None and (reply.error.code, "bogus" in reply.error.message) == ("UNKNOWN_KEY", True)
    assert (await after(browser, ClickCoords(x=5, y=5))).endswith("mouseup,click"), "none is left held"


@pytest.mark.parametrize(
    "action",
    [
        ClickCoords(x=401, y=5),
        ClickCoords(x=5, y=5_000),
        FillCoords(x=500, y=5, value="x"),
        HoverCoords(x=5, y=301),
        HoverAndScrollCoords(x=500, y=1),
        ScrollCoords(x=500, y=1, dy=5),
        MouseDown(x=500, y=1),
        MouseUp(x=500, y=1),
        Drag(x=1, y=1, to_x=500, to_y=1),
    ],
    ids=lambda action: action.kind,
)
async def test_a_point_outside_the_viewport_is_no_click(browser: Browser, action: Action) -> None:
    reply = await browser.step(action, TITLE)
    assert reply.error is not None and (reply.error.code, reply.error.fault) == ("OUT_OF_VIEW", "policy")


def shown(reply: StepReply) -> list[tuple[str, bool]]:
    return [(tab.url.rpartition("/")[2], tab.active) for tab in reply.observation.tabs]


async def test_tabs_are_opened_switched_and_closed(browser: Browser, site: Site) -> None:
    one, two = site.page("one", "1"), site.page("two", "2")
    await browser.step(VisitPage(url=one))
    assert shown(await browser.step(OpenTab(url=two), TITLE)) == [("one", False), ("two", True)]
    reply = await browser.step(SwitchTab(index=0), TITLE)
    assert reply.observation.title == "one" and shown(reply) == [("one", True), ("two", False)]
    await browser.step(OpenTab(), TITLE)
    full = await browser.step(OpenTab(url=two), TITLE)
    assert full.error is not None and full.error.code == "TOO_MANY_TABS"
    reply = await browser.step(CloseTab(), TITLE)
    assert shown(reply) == [("one", True), ("two", False)], "the one before is active again"
    reply = await browser.step(CloseTab(index=0), TITLE)
    assert shown(reply) == [("two", True)]
    for action, code in (
        (CloseTab(), "LAST_TAB"),
        (CloseTab(index=1), "NO_SUCH_TAB"),
        (SwitchTab(index=9), "NO_SUCH_TAB"),
    ):
        refused = await browser.step(action, TITLE)
        assert refused.error is not None and refused.error.code == code
    blocked = await browser.step(OpenTab(url="file:///etc/passwd"), TITLE)
    assert blocked.error is not None and blocked.error.code == "NAV_BLOCKED" and len(blocked.observation.tabs) == 1


UPLOAD = """for (const input of document.querySelectorAll('input')) input.onchange = async () =>
    document.title = (await Promise.all([...input.files].map(async f => f.name + '=' + await f.text()))).join();"""


async def test_files_of_the_leases_folder_are_uploaded(pool: BrowserPool, site: Site) -> None:
    page = site.page(
        "upload",
        "<input type=file multiple><input type=file hidden id=h><button onclick=\"document.getElementById('h').click()\">attach</button>"
        "<button>plain</button>",
        script=UPLOAD,
    )
    async with pool.lease(owner="uploads", viewport=SMALL, files="task") as browser:
        await browser.step(VisitPage(url=page))
        assert await after(browser, Upload(id=1, files=["a.txt", "sub/b.txt"])) == "a.txt=alpha,b.txt=beta"
        assert await after(browser, Upload(id=2, files=["a.txt"])) == "a.txt=alpha"
        none = await browser.step(Upload(id=3, files=["a.txt"]), TITLE)
        assert none.error is not None and none.error.code == "NO_FILE_CHOOSER"


@pytest.mark.parametrize(
    "name", ["../secret.txt", "link.txt", "/etc/passwd", "a\0.txt", "x" * 255, "sub", "../task2/x"]
)
async def test_nothing_outside_the_folder_is_uploaded(pool: BrowserPool, site: Site, name: str) -> None:
    page = site.page("upload-no", "<input type=file>", script=UPLOAD)
    async with pool.lease(owner="thief", viewport=SMALL, files="task") as browser:
        await browser.step(VisitPage(url=page))
        reply = await browser.step(Upload(id=1, files=[name]), TITLE)
        assert reply.error is not None and reply.error.code == "NO_SUCH_FILE"
        assert reply.observation.title == "upload-no"


@pytest.mark.parametrize("folder", [None, "..", "nowhere", "/etc", ".", "task/..", "secret.txt"])
async def test_without_a_folder_nothing_is_uploaded(pool: BrowserPool, site: Site, folder: str | None) -> None:
    page = site.page("upload-none", "<input type=file>")
    async with pool.lease(owner="nothing", viewport=SMALL, files=folder) as browser:
        await browser.step(VisitPage(url=page))
        reply = await browser.step(Upload(id=1, files=["secret.txt" if folder == ".." else "passwd"]), TITLE)
        assert reply.error is not None and reply.error.code in ("NO_FILES", "NO_SUCH_FILE")


def test_the_files_are_where_the_tests_think(service: Settings) -> None:
    assert service.files_dir is not None and (Path(service.files_dir) / "task" / "link.txt").read_text() == "secret"


async def test_the_next_lease_of_a_reused_context_holds_no_button_and_no_key(pool: BrowserPool, site: Site) -> None:
    page = site.page(
        "mouse", "x", script="onmousemove = e => document.title = 'buttons ' + e.buttons + (e.shiftKey ? ' shift' : '')"
    )
    for _ in range(2):
        async with pool.lease(owner="holds", viewport=SMALL, reuse="mice") as browser:
            await browser.step(VisitPage(url=page), TITLE)
            assert await after(browser, HoverCoords(x=120, y=90)) == "buttons 0"
            assert await after(browser, MouseDown(x=200, y=150)) == "buttons 0"
            assert await after(browser, MouseDown(x=210, y=150, button="right")) == "buttons 1"
            assert await after(browser, KeyDown(keys=["shift"])) == "buttons 1"
            assert await after(browser, HoverCoords(x=120, y=90)) == "buttons 3 shift"
