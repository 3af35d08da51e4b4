// ---- what the page does to itself -----------------------------------------------------------------------------------
let lastChange = -Infinity;
new MutationObserver(() => { lastChange = performance.now(); })
  .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });

// Elements that the page listens to, as listeners.js tells.
const heard = new WeakSet();
performance.addEventListener('__rl-loop-heard', (event) => { for (const { target } of event.touches) heard.add(target); });
performance.addEventListener('__rl-loop-not', (event) => { for (const { target } of event.touches) heard.delete(target); });
performance.addEventListener('__rl-loop-root', (event) => { for (const { target } of event.touches) closedRoots.set(target.host, target); });
// What the page asked for in vain, as refusals.js tells, by number. The topmost document of an origin knows it for its frames.
let refused = new Set();
const MOST_REFUSED = 20;
function refuse(kinds) {
  let above = null;
  try { above = parent !== window ? parent[NAME] : null; } catch { /* a frame of another origin: it is asked by itself */ }
  if (above) above.refuse(kinds);
  else for (const kind of kinds) if (refused.size < MOST_REFUSED) refused.add(kind);
}
performance.addEventListener('__rl-loop-refused', (event) => refuse([...event.touches].map((one) => one.identifier)));
function takeRefused() {
  const taken = [...refused];
  refused = new Set();
  return taken;
}
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
