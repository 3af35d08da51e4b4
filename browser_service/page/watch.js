// ---- what the page does to itself -----------------------------------------------------------------------------------
let lastChange = -Infinity;
new MutationObserver(() => { lastChange = performance.now(); })
  .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });

// Elements that the page listens to, as listeners.js tells.
const heard = new WeakSet();
performance.addEventListener('__rl-loop-heard', (event) => { for (const { target } of event.touches) heard.add(target); });
performance.addEventListener('__rl-loop-not', (event) => { for (const { target } of event.touches) heard.delete(target); });
performance.addEventListener('__rl-loop-root', (event) => { for (const { target } of event.touches) closedRoots.set(target.host, target); });
// What happened and does not show, by number (session/notices.py): what the page asked for in vain, as refusals.js tells, and
// clicks that missed. The topmost document of an origin knows it for its frames.
let noticed = new Set();
const MOST_NOTICED = 20;
const MISSED = 7;
function notice(kinds) {
  let above = null;
  try { above = parent !== window ? parent[NAME] : null; } catch { /* a frame of another origin: it is asked by itself */ }
  if (above) above.notice(kinds);
  else for (const kind of kinds) if (noticed.size < MOST_NOTICED) noticed.add(kind);
}
performance.addEventListener('__rl-loop-refused', (event) => notice([...event.touches].map((one) => one.identifier)));
function takeNoticed() {
  const taken = [...noticed];
  noticed = new Set();
  return taken;
}
// The mark that is about to be pressed, and where: it may move away in between, as when the mouse comes near. One that was
// drawn anew in its place was not missed.
let aimed = null;
const AIM_MS = 1000;
listen(window, 'mousedown', (event) => {
  const goal = aimed;
  aimed = null;
  if (!goal || !event.isTrusted || performance.now() > goal.until || !goal.el.isConnected) return;
  const isThere = Math.abs(event.clientX - goal.x) < 2 && Math.abs(event.clientY - goal.y) < 2;
  if (isThere && !belongsTo(hitAt(goal.x, goal.y), goal.el)) notice([MISSED]);
}, { capture: true, passive: true });
const catchUp = () => { performance.dispatchEvent(new Event('__rl-loop-ask')); };

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// A background tab draws no frames, hence the timer beside it.
const frame = () => new Promise((resolve) => { requestAnimationFrame(() => resolve()); setTimeout(resolve, 40); });

// Transitions and animations that end, in this document and the frames of its origin; endless ones are decoration.
function isMoving() {
  if (document.visibilityState === 'hidden') return false;
  return ofDocument.animations(document).some((one) => {
    if (one.playState !== 'running' || !one.effect) return false;
    const { endTime, duration } = one.effect.getComputedTiming();
    return endTime < Infinity && endTime - (one.currentTime || 0) < LONGEST_MOTION_MS && duration > 0;
  });
}
const LONGEST_MOTION_MS = 2000;
const MOTION_MS = 20;
// When the last timer ends that the page has set in answer to input, as listeners.js tells: a search that waits for a pause in
// the typing. Milliseconds of `performance.now()`.
let timersEnd = -Infinity;
performance.addEventListener('__rl-loop-timer', (event) => { timersEnd = event.touches[0].clientX; });

async function quiet(quietMs, capMs) {
  const end = performance.now() + capMs;
  if (ofDocument.state(document) === 'loading') {
    await Promise.race([new Promise((done) => listen(document, 'DOMContentLoaded', done, { once: true })), wait(capMs)]);
  }
  await frame();
  await frame();
  for (;;) {
    const now = performance.now();
    const left = lastChange + quietMs - now;
    if (left <= 0) {
      catchUp();
      const pending = timersEnd - now;
      if (pending <= 0 && !isMoving()) return ofDocument.state(document) !== 'loading';
      if (now >= end) return false;
      await wait(Math.min(pending > 0 ? pending + 5 : MOTION_MS, end - now));
      continue;
    }
    if (now >= end) return false;
    await wait(Math.min(left + 1, end - now));
  }
}

// Chromium never paints some documents, such as one that broke off before its body, and then gives no picture of them.
const hasPainted = () => performance.getEntriesByType('paint').length > 0;

function forget() {
  try { sessionStorage.clear(); } catch { /* documents without an origin have none */ }
  window.name = '';
  location.replace('about:blank');
}
