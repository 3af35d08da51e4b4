"""A trap is a page and the action that springs it; it is sprung in a session of its own, beside one that must not notice."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from _pytest.mark.structures import ParameterSet
from real_service import SMALL, Site

from browser_service.client.sync import SyncBrowser, SyncBrowserPool
from browser_service.errors import BY_CODE, BrowserServiceError
from browser_service.models import Action, ClickCoords, Observation, ObserveRequest, VisitPage

SEEN = "seen"
"""How a step ends that the page could not spoil: with a normal observation. Otherwise the code of its error."""
STEP_DEADLINE_S = 25.0
SLACK_S = 20.0
"""For a machine that is busy with other things: a step that hangs takes for ever."""
LOOKED = ObserveRequest(text=True)
CALM = (
    "<button style='position:absolute;left:0;top:0;width:60px;height:30px' onclick='document.title=++count'>x</button>"
)
ON_BUTTON = ClickCoords(x=20, y=10)
BUTTON = (
    "<button style='position:fixed;left:0;top:0;width:60px;height:30px;z-index:1' onclick='spring()'>spring</button>"
)


@dataclass(frozen=True)
class Trap:
    """Example: `Trap("loops when clicked", script="spring = () => { for (;;); }", ends=("DEADLINE",))`."""

    name: str
    path: str = ""
    """Address to visit, unless it is the page of `body` and `script`."""
    body: str = ""
    """Beside a button in the top left corner that calls `spring()`."""
    script: str = ""
    actions: tuple[Action, ...] = ()
    """Actions after the visit; the last step springs the trap."""
    ends: tuple[str, ...] = (SEEN,)
    """How that step may end."""
    seen: Callable[[Observation], object] = lambda _: True
    """Condition on the last observation, if there is one."""
    holds: bool = False
    """True if the page may refuse to be left, as no browser can prevent it."""


class Ended(NamedTuple):
    """How a step ended."""

    how: str
    observation: Observation | None


def step(browser: SyncBrowser, action: Action) -> Ended:
    """One step that must end in time, with a reply or an error of the tree."""
    start = time.monotonic()
    try:
        reply = browser.step(action, LOOKED, deadline_s=STEP_DEADLINE_S)
    except BrowserServiceError as error:
        assert error.code in BY_CODE, f"a typed error was expected, found {error!r}"
        assert error.session_state == "lost", "an error that leaves the session alive is part of a reply"
        return Ended(error.code, None)
    finally:
        took = time.monotonic() - start
        assert took < STEP_DEADLINE_S + SLACK_S, f"{action.kind} took {took:.1f} s"
    return Ended(reply.error.code if reply.error else SEEN, reply.observation)


class Bystander:
    """A session that is open all the time and counts its clicks in the page."""

    def __init__(self, browser: SyncBrowser, url: str) -> None:
        self._browser = browser
        self._clicks = 0
        self.is_whole = True
        """False once a check failed: the next trap wants another bystander."""
        assert step(browser, VisitPage(url=url)).how == SEEN

    def check(self) -> None:
        """One more step of it works, on the page that it had."""
        self._clicks += 1
        self.is_whole = False
        ended = step(self._browser, ON_BUTTON)
        assert ended.how == SEEN and ended.observation is not None
        assert ended.observation.title == str(self._clicks), "the page lost its state"
        self.is_whole = True


def calm_page(site: Site) -> str:
    """A page that does no harm; a click on its button counts."""
    return site.page("calm", CALM, script="let count = 0")


class Bystanders(AbstractContextManager["Bystanders"]):
    """The bystander of a module's traps, in a slot of its own, and its successor after a trap that did harm."""

    def __init__(self, pool: SyncBrowserPool, site: Site) -> None:
        self._pool, self._site = pool, site
        self._lease = ExitStack()
        self._standing: Bystander | None = None

    def standing(self) -> Bystander:
        """The bystander; another one if it is not whole."""
        if self._standing is None or not self._standing.is_whole:
            self._lease.close()
            browser = self._lease.enter_context(self._pool.lease(owner="bystander", viewport=SMALL, ttl_s=600))
            self._standing = Bystander(browser, calm_page(self._site))
        return self._standing

    def __exit__(self, *exc: object) -> None:
        self._lease.close()


def spring(trap: Trap, pool: SyncBrowserPool, site: Site, bystander: Bystander) -> None:
    """Springs a trap: it ends as it should, nobody else notices, and the slot is as good as before."""
    made = site.page(trap.name.replace(" ", "-"), BUTTON + trap.body, script=trap.script)
    url = f"{site.url}{trap.path}" if trap.path else made
    with pool.lease(owner=trap.name, viewport=SMALL, wait_s=60) as victim:
        with ThreadPoolExecutor(1) as beside:
            sprung = beside.submit(_sprung, victim, [VisitPage(url=url), *trap.actions])
            bystander.check()
            ended = sprung.result()
        assert ended.how in trap.ends, f"expected {' or '.join(trap.ends)}, found {ended.how}"
        if ended.observation is not None:
            assert trap.seen(ended.observation), f"not what should be seen: {_told(ended.observation)}"
            _leave(victim, site, trap)
    bystander.check()
    with pool.lease(owner="next", viewport=SMALL, wait_s=60) as following:
        first = step(following, VisitPage(url=calm_page(site)))
        assert first.how == SEEN and first.observation is not None and first.observation.title == "calm"
        counted = step(following, ON_BUTTON)
        assert counted.observation is not None and counted.observation.title == "1"


def _sprung(victim: SyncBrowser, actions: list[Action]) -> Ended:
    for action in actions[:-1]:
        before = step(victim, action)
        assert before.how == SEEN, f"{action.kind} before the trap is sprung: {before.how}"
    return step(victim, actions[-1])


def _leave(victim: SyncBrowser, site: Site, trap: Trap) -> None:
    """A session that goes on is left with no trace of the trap."""
    left = step(victim, VisitPage(url=calm_page(site)))
    if trap.holds:
        return
    assert left.observation is not None, f"the page could not be left: {left.how}"
    assert left.how == SEEN and left.observation.title == "calm", _told(left.observation)


def _told(observation: Observation) -> str:
    return observation.model_dump_json(exclude={"screenshot"})[:1_000]


LEFT_TO_CHAOS = frozenset(
    {
        *(
            "a thousand frames",
            "hundred thousand hands in view",
            "asks for much",
            "hundred popups at load",
            "refreshes itself",
            "reloads for ever",
        ),
        *("popups open popups", "goes to itself in a moment", "sends its own form", "refreshes in its head"),
        *("replaces itself", "hangs in the body", "hangs in the head", "hangs when loaded again 2"),
        *("loops when left", "loops when hidden", "loops when reloaded", "loops while it changes"),
        *("questions in a loop", "hundred thousand words"),
    }
)
"""Slow traps whose kind a quicker one shows too."""


def cases(traps: Iterable[Trap]) -> list[ParameterSet]:
    """The traps as parameters of a test, named; the slow ones run in `make chaos` only."""
    return [
        pytest.param(trap, id=trap.name, marks=[pytest.mark.chaos] if trap.name in LEFT_TO_CHAOS else [])
        for trap in traps
    ]
