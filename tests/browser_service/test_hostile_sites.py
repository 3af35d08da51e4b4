"""Sites that mean no good, and what they can't do: spoil the observation, keep the session, harm the slot or a neighbour.

Every trap here ends with a normal observation, or says that the site did not answer. `test_hostile_pages.py` has pages
that are too much, `test_hostile_hangs.py` those that no browser survives.
"""

from collections.abc import Callable, Generator

import pytest
from hostile_traps import ON_BUTTON, SEEN, Bystander, Trap, cases, spring
from real_service import Site, running_service

from browser_service.client.sync import SyncBrowserPool
from browser_service.models import Back, Forward, Observation, Reload
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
CLICK = (ON_BUTTON,)
FAILED, BLOCKED, NO_HISTORY = "NAVIGATION_FAILED", "NAV_BLOCKED", "NO_HISTORY"
MOST_TABS = 3


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """A slot for the bystander and one that all traps are sprung in."""
    with running_service(slots=2, navigation_deadline_s=3, settle_cap_s=0.5, max_tabs=MOST_TABS) as settings:
        yield settings


def titled(*titles: str) -> Callable[[Observation], bool]:
    return lambda seen: seen.title in titles


def stayed(seen: Observation) -> bool:
    return seen.url == "about:blank"


def has_few_tabs(seen: Observation) -> bool:
    return len(seen.tabs) <= MOST_TABS


def is_web(seen: Observation) -> bool:
    return all(
        tab.url.startswith(("http", "about:", "data:", "blob:", "chrome-error:")) or not tab.url for tab in seen.tabs
    )


SERVERS = [
    Trap("hangs in the body", "/half-a-page", seen=titled("half")),
    Trap("endless body", "/endless-page", seen=titled("endless")),
    Trap("garbage", "/garbage", ends=(FAILED,)),
    Trap("reset", "/reset", ends=(FAILED,)),
    Trap("reset midway", "/reset-midway", ends=(SEEN, FAILED)),
    Trap("closed without a word", "/closed", ends=(FAILED,)),
    Trap("shorter than it said", "/shorter-than-said", seen=titled("short")),
    Trap("no content", "/no-content", ends=(SEEN, FAILED)),
    Trap("redirects for ever", "/round", ends=(FAILED,)),
    Trap("redirects in a circle", "/ping", ends=(FAILED,)),
    Trap("redirects to a file", "/to-a-file", ends=(FAILED, BLOCKED)),
    Trap("a download", "/download", seen=stayed),
    Trap("an endless download", "/endless-download", seen=stayed),
    Trap("ten megabytes", "/ten-megabytes", seen=lambda seen: seen.title == "large" and "word" in (seen.text or "")),
    Trap("a bomb", "/bomb", ends=(SEEN, "PAGE_CRASHED"), seen=titled("bomb")),
    Trap("not packed", "/not-packed", ends=(SEEN, FAILED)),
    Trap("refreshes itself", "/refreshing", seen=titled("fresh"), holds=True),
    Trap("replaces itself", "/replaced", seen=titled("part", "")),
]
FLOOD = "for (let i = 0; i < 100; i++) open('/calm?' + i)"
ELSEWHERE = (
    "['file:///etc/hostname', 'chrome://version', 'chrome://crash', 'view-source:/calm', 'javascript:1', "
    "'data:text/html,x', URL.createObjectURL(new Blob(['x']))]"
)
TABS = [
    Trap("hundred popups at load", script=FLOOD, seen=has_few_tabs),
    Trap("hundred popups", script=f"spring = () => {{ {FLOOD} }}", actions=CLICK, seen=has_few_tabs),
    Trap("popups open popups", script="open(location)", ends=(SEEN, "DEADLINE"), seen=has_few_tabs, holds=True),
    Trap(
        "popups to everywhere",
        script=f"spring = () => {ELSEWHERE}.forEach(one => open(one))",
        actions=CLICK,
        ends=(SEEN, BLOCKED),
        seen=is_web,
    ),
    Trap("closes itself", script="spring = () => { open('/calm'); close() }", actions=CLICK),
]
STAY = "onbeforeunload = e => { e.preventDefault(); return 'stay' };"
ASKING = "spring = () => setInterval(() => { confirm('x'); prompt('y') }, 0)"
DIALOGS = [
    Trap(
        "alerts at load", script="for (let i = 0; i < 30; i++) alert(i)", seen=lambda seen: "alert: 0" in seen.dialogs
    ),
    # A document that is left while one dialog follows the other may block the next one, and its session with it.
    Trap("alerts again and again", script="spring = () => setInterval(alert, 0, 'x')", actions=CLICK, holds=True),
    Trap("asks again and again", script=ASKING, actions=CLICK, holds=True),
    Trap("prints again and again", script="spring = () => setInterval(print, 0)", actions=CLICK),
    Trap("asks whether it may be left", script=STAY, actions=CLICK),
    Trap("asks at every reload", script=f"{STAY} spring = () => location.reload()", actions=(ON_BUTTON, Reload())),
    Trap("long words", script="alert('x'.repeat(1e6))", seen=lambda seen: len(seen.dialogs[0]) < 1_000),
]
HISTORY = [
    Trap("pushes state", script="let i = 0; setInterval(() => history.pushState(0, '', '?' + i++), 0)"),
    Trap(
        "pushes state at once",
        script="spring = () => { for (let i = 0; i < 1e3; i++) history.pushState(0, '', '?' + i) }",
        actions=CLICK,
    ),
    Trap(
        "catches those who go back",
        script="history.pushState(0, '', '?1'); onpopstate = () => history.pushState(0, '', '?2')",
        actions=(ON_BUTTON, Back()),
        ends=(SEEN, NO_HISTORY),
    ),
    Trap(
        "sends back those who come",
        script="if (location.search) history.back(); else history.pushState(0, '', '?trap')",
        actions=(Back(), Forward()),
        ends=(SEEN, NO_HISTORY),
    ),
    Trap(
        "goes to and fro",
        script="history.pushState(0, '', '?1'); setInterval(() => { history.back(); history.forward() }, 0)",
    ),
    Trap("floods with hashes", script="let i = 0; setInterval(() => { location.hash = i++ }, 0)"),
]
# Those that go somewhere again and again may be faster than a visit, and then are there still.
MOVES = [
    Trap("goes to itself for ever", script="location = '?' + Math.random()", holds=True),
    Trap("goes to itself in a moment", script="setTimeout(() => { location = '?' + Math.random() }, 20)", holds=True),
    Trap("reloads for ever", script="setInterval(() => location.reload(), 10)", holds=True),
    Trap("refreshes in its head", body="<meta http-equiv=refresh content=0>", holds=True),
    Trap("sends its own form", body="<form><input name=x></form>", script="document.forms[0].submit()", holds=True),
    Trap("goes to what hangs", script="spring = () => { location = '/silent' }", actions=CLICK),
    Trap(
        "goes out of the web",
        script=f"spring = () => {ELSEWHERE}.forEach(one => {{ location = one }})",
        actions=CLICK,
        ends=(SEEN, BLOCKED),
        seen=is_web,
    ),
    Trap(
        "writes itself for ever",
        script="setInterval(() => { document.write('<title>written</title>' + Math.random()); document.close() }, 0)",
    ),
    Trap("writes without an end", script="setInterval(() => document.write('<p>' + Math.random()), 0)"),
]


@pytest.mark.parametrize("trap", cases([*SERVERS, *TABS, *DIALOGS, *HISTORY, *MOVES]))
def test_a_hostile_page_is_seen_and_left(
    trap: Trap, traps_pool: SyncBrowserPool, hostile: Site, bystander: Bystander
) -> None:
    spring(trap, traps_pool, hostile, bystander)
