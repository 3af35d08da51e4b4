"""Pages that no browser survives, and servers that never answer: the deadline ends them, and nothing but their own session."""

from collections.abc import Generator

import pytest
from hostile_traps import ON_BUTTON, SEEN, Bystander, Trap, cases, spring
from real_service import Site, running_service

from browser_service.client.sync import SyncBrowserPool
from browser_service.models import Observation, Reload, VisitPage
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
CLICK = (ON_BUTTON,)
AWAY = (ON_BUTTON, VisitPage(url="about:blank"))
CRASHED, LATE, FAILED, HUNG = "PAGE_CRASHED", "NAVIGATION_TIMEOUT", "NAVIGATION_FAILED", "DEADLINE"


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """Short deadlines: these tests wait for them. Little memory: it is soon full."""
    limits = {"call_deadline_s": 3, "navigation_deadline_s": 2, "settle_cap_s": 0.5}
    with running_service(slots=2, heap_mb=64, renderer_memory_mb=400, **limits) as settings:
        yield settings


def has_stayed(seen: Observation) -> bool:
    return seen.title == "once"


LOOP = "for (;;);"
ASKS = "const asked = new XMLHttpRequest(); asked.open('GET', '/silent', false); asked.send()"
GROWS = """const all = [];
spring = () => {
  for (let i = 0; i < 30; i++) all.push(new Uint8Array(3e7).fill(1));
  const end = performance.now() + 2500;
  while (performance.now() < end);
}"""
SILENT = [
    Trap("hangs before the head", "/silent", ends=(LATE,)),
    Trap("hangs in the head", "/half-a-head", ends=(LATE,)),
    Trap("endless head", "/endless-head", ends=(LATE, FAILED)),
    *(
        Trap(f"hangs when loaded again {n}", f"/once?{n}", actions=(Reload(),), ends=(LATE,), seen=has_stayed)
        for n in "12"
    ),
    Trap("a script that hangs", body="<script src=/silent></script>"),
    Trap("asks and waits", script=f"spring = () => {{ {ASKS} }}", actions=CLICK, ends=(HUNG,)),
]
LOOPS = [
    Trap("loops at load", script=LOOP, ends=(HUNG,)),
    Trap("loops when clicked", script=f"spring = () => {{ {LOOP} }}", actions=CLICK, ends=(HUNG,)),
    Trap(
        "loops when left",
        script=f"onbeforeunload = () => {{ {LOOP} }}",
        actions=AWAY,
        ends=(HUNG, LATE, SEEN),
        holds=True,
    ),
    Trap(
        "loops when hidden",
        script=f"onpagehide = onunload = () => {{ {LOOP} }}",
        actions=AWAY,
        ends=(HUNG, LATE, SEEN),
        holds=True,
    ),
    Trap(
        "loops when reloaded",
        script=f"onbeforeunload = () => {{ {LOOP} }}",
        actions=(ON_BUTTON, Reload()),
        ends=(HUNG, LATE),
        holds=True,
    ),
    Trap(
        "promises for ever",
        script="spring = () => { const again = () => Promise.resolve().then(again); again() }",
        actions=CLICK,
        ends=(HUNG, CRASHED),
    ),
    Trap("alerts in a loop", script="spring = () => { for (;;) alert(1) }", actions=CLICK, ends=(HUNG,)),
    Trap(
        "questions in a loop",
        script="spring = () => { while (!confirm('y') || !prompt('x')); }",
        actions=CLICK,
        ends=(HUNG,),
    ),
    Trap(
        "a pattern that never ends",
        script="spring = () => /^(a+)+$/.test('a'.repeat(99) + 'b')",
        actions=CLICK,
        ends=(HUNG,),
    ),
    Trap(
        "loops while it changes",
        script="spring = () => { for (;;) document.body.append(1) }",
        actions=CLICK,
        ends=(HUNG, CRASHED),
    ),
    Trap(
        "loops in its listener",
        script=f"performance.addEventListener('__rl-loop-ask', () => {{ {LOOP} }})",
        ends=(HUNG,),
    ),
]
CRASHES = [
    Trap(
        "fills its heap",
        script="spring = () => { const all = []; for (;;) all.push(new Array(1e5).fill(all.length + 0.5)) }",
        actions=CLICK,
        ends=(CRASHED,),
    ),
    Trap("fills the memory", script=GROWS, actions=CLICK, ends=(CRASHED,)),
]


@pytest.mark.parametrize("trap", cases([*SILENT, *LOOPS, *CRASHES]))
def test_what_hangs_costs_its_own_session(
    trap: Trap, traps_pool: SyncBrowserPool, hostile: Site, bystander: Bystander
) -> None:
    spring(trap, traps_pool, hostile, bystander)
