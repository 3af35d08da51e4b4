"""Pages that are too much: too large, too busy, or made to mislead the scripts that read them."""

from collections.abc import Generator

import pytest
from hostile_traps import ON_BUTTON, SEEN, Bystander, Trap, cases, spring
from real_service import Site, running_service

from browser_service.client.sync import SyncBrowserPool
from browser_service.models import Observation
from browser_service.settings import Settings

pytestmark = pytest.mark.browser
CLICK = (ON_BUTTON,)
DEEPEST = 50


@pytest.fixture(scope="module")
def service() -> Generator[Settings, None, None]:
    """A slot for the bystander and one that all traps are sprung in."""
    with running_service(slots=2, navigation_deadline_s=4, settle_cap_s=0.5, max_tabs=3) as settings:
        yield settings


def has_button(seen: Observation) -> bool:
    """The real button, where it is."""
    return any(mark.name == "spring" and mark.role == "button" and mark.box.x == 0 for mark in seen.marks)


def is_cut(seen: Observation) -> bool:
    """True if excess content is left out, and the observation says so."""
    return has_button(seen) and seen.partial and len(seen.marks) <= 1_000


def is_short(seen: Observation) -> bool:
    return has_button(seen) and len(seen.model_dump_json(exclude={"screenshot"})) < 100_000


HAND = '<i style="cursor:pointer;position:fixed;width:1px;height:1px;top:200px;left:9px"></i>'
ADD = "document.body.insertAdjacentHTML('beforeend', '%s'.repeat(%s))"
FRAMES = """spring = () => {
  for (let i = 0; i < %s; i++) {
    const frame = document.createElement('iframe');
    frame.style = 'width:9px;height:9px;border:0';
    document.body.append(frame);
  }
}"""
DEEP = """let at = document.body;
for (let i = 0; i < 1e3; i++) {
  const inner = document.createElement('div');
  inner.onclick = () => 1;
  at.append(inner);
  at = inner;
}
at.textContent = 'deep'"""
WORDS = """const huge = document.getElementById('huge'), words = 'x'.repeat(2e6);
document.title = huge.textContent = huge.title = words;
huge.setAttribute('aria-label', words);
huge.setAttribute('role', words);
history.pushState(0, '', '#' + words.slice(0, 1e6))"""
FIELD = """document.querySelector('textarea').value = 'x'.repeat(1e6);
for (let i = 0; i < 1e4; i++) document.querySelector('select').add(new Option('o' + i))"""
LARGE = [
    Trap("hundred thousand buttons", script=ADD % ("<button>x</button>", "1e5"), seen=has_button),
    Trap("hundred thousand hands in view", script=ADD % (HAND, "1e5"), seen=is_cut),
    Trap("hundred thousand words", script=ADD % ("<p onclick=1>many words</p>", "1e5"), seen=has_button),
    Trap("a deep page", script=DEEP, seen=has_button),
    Trap("three hundred frames", script=FRAMES % 300, actions=CLICK, seen=has_button),
    # More than the heap of one page holds, where every frame is a world of its own.
    Trap(
        "a thousand frames",
        script=FRAMES % 1_000,
        actions=CLICK,
        ends=(SEEN, "PAGE_CRASHED", "DEADLINE"),
        seen=has_button,
    ),
    Trap("frames in frames", body="<iframe src=/nest?0 style='width:90vw;height:90vh'></iframe>", seen=has_button),
    Trap("huge words", body="<button id=huge>x</button>", script=WORDS, seen=is_short),
    Trap("a huge field", body="<textarea></textarea><select></select>", script=FIELD, seen=is_short),
]
# JavaScript counts an emoji as two characters: a page may hold one without the other, and so may a text that was cut.
HALF = "'\\ud83d'"
HALVES = [
    Trap(
        "half a title", script=f"document.title = {HALF}", seen=lambda seen: has_button(seen) and seen.title == "\ufffd"
    ),
    Trap("half in the words", script=f"document.body.append({HALF})", seen=lambda seen: "\ufffd" in (seen.text or "")),
    Trap(
        "a name that is cut in an emoji",
        body=f"<a href=/calm>{'x' * 199}\U0001f600</a>",
        seen=lambda seen: [mark.name for mark in seen.marks if mark.role == "link"] == ["x" * 199 + "\ufffd"],
    ),
    Trap(
        "half a role",
        body="<p style='height:50px'></p><a href=/calm id=odd>odd</a>",
        script=f"odd.setAttribute('role', {HALF})",
        seen=lambda seen: "\ufffd" in [mark.role for mark in seen.marks],
    ),
    Trap(
        "half a dialog",
        script=f"alert({HALF}); confirm('x'.repeat(499) + '\U0001f600')",
        seen=lambda seen: seen.dialogs == ["alert: \ufffd", f"confirm: {'x' * 499}\U0001f600"],
    ),
    Trap("half an answer", script=f"prompt('name?', {HALF})", seen=lambda seen: seen.dialogs == ["prompt: name?"]),
    Trap("half an address", script=f"history.pushState(0, '', '#' + {HALF})", seen=has_button),
]
SHAKE = "<style>@keyframes k { to { transform: translate(9px) rotate(9deg) } } p { animation: k .1s infinite }</style>"
BLUR = "<style>p { filter: blur(20px); backdrop-filter: blur(20px) }</style>"
WISHES = """const wishes = [
  () => document.body.requestFullscreen(), () => document.body.requestPointerLock(), () => navigator.clipboard.readText(),
  () => navigator.clipboard.writeText('x'), () => navigator.mediaDevices.getUserMedia({video: true, audio: true}),
  () => new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:9'}]}).createDataChannel('x'),
  () => navigator.mediaDevices.getDisplayMedia(), () => navigator.usb.requestDevice({filters: []}),
  () => navigator.bluetooth.requestDevice({acceptAllDevices: true}), () => navigator.wakeLock.request(),
  () => Notification.requestPermission(), () => navigator.geolocation.watchPosition(print), () => showOpenFilePicker(),
  () => navigator.credentials.get({publicKey: {challenge: new Uint8Array(9)}}), () => navigator.keyboard.lock(),
  () => navigator.registerProtocolHandler('web+x', '/?%s'), () => navigator.share({text: 'x'}),
  () => moveTo(9999, 9999), () => print(), () => window.stop(), () => document.body.remove(),
];
spring = () => { for (const wish of wishes) try { Promise.resolve(wish()).catch(() => 0) } catch {} }"""
SOCKETS = """for (let i = 0; i < 4; i++) {
  new WebSocket(`ws://${location.host}/spamming-socket`);
  new EventSource('/events?' + i);
}"""
ASKS = "setInterval(() => { for (let i = 0; i < 3; i++) fetch('/silent?' + Math.random()) }, 10)"
SPIN = "const code = URL.createObjectURL(new Blob(['for (;;);'])); for (let i = 0; i < 4; i++) new Worker(code)"
BUSY = [
    Trap(
        "never still",
        script="const turn = () => { document.body.append('x'); requestAnimationFrame(turn) }; turn()",
        seen=has_button,
    ),
    Trap("moves all the time", body=SHAKE + "<p>x</p>" * 50, seen=has_button),
    Trap("sockets that spam", script=SOCKETS, seen=has_button),
    # All connections to its host are taken: other pages of the same host can't come.
    Trap("asks for much", script=ASKS, seen=has_button, holds=True),
    Trap("workers that spin", script=SPIN, seen=has_button),
    Trap("a worker that intercepts", script="navigator.serviceWorker?.register('/worker.js')", seen=has_button),
    Trap("messages without end", script="onmessage = () => postMessage(1); postMessage(1)", seen=has_button),
    Trap("errors without end", script="onerror = () => setTimeout(() => nothing, 0); nothing()", seen=has_button),
    Trap(
        "logs without end",
        script="setInterval(() => { for (let i = 0; i < 5; i++) console.log('x'.repeat(1000)) }, 0)",
        seen=has_button,
    ),
    Trap("wants everything", script=WISHES, actions=CLICK),
    Trap("slow to paint", body=BLUR + "<p>x</p>" * 300, seen=has_button),
]
PROTOTYPES = """const kinds = [Element, Node, Document, HTMLElement, EventTarget, Array, Promise, Map, WeakSet, WeakRef, Set, String,
  RegExp, MutationObserver, TreeWalker, DOMRect, Touch, TouchEvent, Performance, Function];
for (const {prototype} of kinds)
  for (const name of Object.getOwnPropertyNames(prototype))
    try { Object.defineProperty(prototype, name, {value: () => { throw new Error('forged') }}) } catch {}"""
FUNCTIONS = """for (const name of ['requestAnimationFrame', 'setTimeout', 'getComputedStyle', 'Promise', 'Map', 'Set', 'WeakSet',
  'Number', 'NodeFilter', 'MutationObserver', 'Event', 'parseFloat', 'JSON', 'Object', 'Reflect', 'Symbol'])
  window[name] = () => 0;
Math.max = Math.min = Math.round = () => NaN;
performance.now = () => NaN"""
PLACES = """const far = {x: 999, y: 999, width: 1, height: 1, top: 999, left: 999, right: 1000, bottom: 1000};
Element.prototype.getBoundingClientRect = () => far;
Element.prototype.getClientRects = () => [far];
Element.prototype.checkVisibility = () => false;
document.elementFromPoint = () => null"""
ANSWERS = """Object.prototype.toJSON = Array.prototype.toJSON = String.prototype.toJSON = () => ({title: 'forged', marks: []});
Object.prototype.then = 1"""
LISTENERS = """const told = [...document.querySelectorAll('*')].map((target, identifier) => new Touch({identifier, target}));
setInterval(() => performance.dispatchEvent(new TouchEvent('__rl-loop-heard', {touches: told})), 5);
performance.dispatchEvent(new Event('__rl-loop-heard'));
performance.addEventListener('__rl-loop-ask', e => { e.stopImmediatePropagation(); throw 1 })"""
FREEZE = "[document, performance, Element.prototype, Array.prototype].forEach(Object.freeze)"
OF_A_FORM = (
    "matches closest getAttribute hasAttribute tagName parentElement getRootNode ownerDocument shadowRoot checkVisibility "
    "getBoundingClientRect getClientRects scrollHeight clientHeight innerText textContent querySelector labels nodeType "
    "compareDocumentPosition isConnected isContentEditable previousElementSibling namespaceURI contains"
)
OF_THE_DOCUMENT = (
    "title body documentElement readyState createTreeWalker elementFromPoint addEventListener querySelectorAll "
    "scrollingElement nodeType defaultView getElementById location"
)
OF_THE_WINDOW = "performance NAME heard innerWidth location frames marked getComputedStyle ofDocument"
FORM = f"<form style='cursor:pointer' onclick=1>{''.join(f'<input name={name}>' for name in OF_A_FORM.split())}<b>in it</b></form>"
IMAGES = "".join(f"<img name={name}>" for name in OF_THE_DOCUMENT.split())
LINKS = "".join(f"<a id={name} name={name}></a>" for name in OF_THE_WINDOW.split())
COVER = "<style>* { position: fixed !important; inset: 0 !important; opacity: 0 !important; cursor: pointer !important }</style>"
FORGED = [
    Trap("patched prototypes", script=PROTOTYPES, seen=has_button),
    Trap("patched functions", script=FUNCTIONS, seen=has_button),
    Trap("patched places", script=PLACES, seen=has_button),
    Trap("patched answers", script=ANSWERS, seen=lambda seen: has_button(seen) and seen.title == "patched-answers"),
    Trap("forged listeners", script=LISTENERS, seen=has_button),
    Trap("names of a form", body=FORM, seen=has_button),
    Trap(
        "names of the document",
        body=IMAGES,
        seen=lambda seen: has_button(seen) and seen.title == "names-of-the-document",
    ),
    Trap("names of the window", body=LINKS, seen=has_button),
    Trap("covered all over", body=COVER),
    Trap("hidden all over", body="<style>html, body { display: none !important }</style>"),
    Trap("no root", script="document.documentElement.remove()"),
    Trap("another root", script="document.documentElement.replaceWith(document.createElementNS('x', 'x'))"),
    Trap("a frozen page", script=FREEZE, seen=has_button),
]


@pytest.mark.parametrize("trap", cases([*LARGE, *HALVES, *BUSY, *FORGED]))
def test_a_page_that_is_too_much_is_seen_and_left(
    trap: Trap, traps_pool: SyncBrowserPool, hostile: Site, bystander: Bystander
) -> None:
    nested = f"const depth = Number(location.search.slice(1)); if (depth < {DEEPEST}) frames[0].location = '/nest?' + (depth + 1)"
    hostile.page("nest", "<button>inner</button><iframe style='width:90vw;height:90vh'></iframe>", script=nested)
    spring(trap, traps_pool, hostile, bystander)
