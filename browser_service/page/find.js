// ---- which elements can be acted on, in this document and in the frames of its origin -------------------------------
const ROLES = new Set(
  'button checkbox combobox gridcell link listbox menu menubar menuitem menuitemcheckbox menuitemradio option progressbar radio scrollbar searchbox separator slider spinbutton switch tab textbox tree treeitem'.split(' '),
);
const PLAIN_CURSORS = new Set(['auto', 'default', 'none', 'text', 'vertical-text', 'not-allowed', 'no-drop']);
const NATIVE = 'input:not([type=hidden]),select,textarea,button,summary,a[href],area[href],[onclick],[contenteditable]:not([contenteditable=false]),[tabindex]:not([tabindex="-1"])';
// Where in a rectangle to point, the centre first; the others only if that is covered.
const POINTS = [[0.5, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0.2], [0.5, 0.8], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];

// A frame of our origin has a script of its own in our world, and nothing of it is hidden from us.
const isFrame = (el) => tagOf(el) === 'IFRAME' || tagOf(el) === 'FRAME';
function scriptOf(frame) {
  try { return frame.contentDocument && frame.contentWindow[NAME] ? frame.contentWindow[NAME] : null; } catch { return null; }
}
const isRoot = (node) => typeOf(node) === Node.DOCUMENT_FRAGMENT_NODE && Boolean(node.host);
const parentOf = (el) => parentElementOf(el) || (isRoot(rootOf(el)) ? rootOf(el).host : null);
const homeOf = (el) => ofDocument.view(documentOf(el));
const bodyOf = (el) => ofDocument.body(documentOf(el));
const topOf = (el) => ofDocument.root(documentOf(el));
const isHeard = (el) => (homeOf(el) === window ? heard.has(el) : Boolean(homeOf(el)?.[NAME]?.heard.has(el)));
const isVisible = (el) => el.checkVisibility({ visibilityProperty: true });

function* elementsIn(root, frames) {
  const walker = ofDocument.walker(document, root, NodeFilter.SHOW_ELEMENT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!isMasked(node)) yield node;
    if (shadowOf(node)) yield* elementsIn(shadowOf(node), frames);
    if (!isFrame(node)) continue;
    const script = scriptOf(node);
    if (!script) frames.push(node);
    else if (inView(node)) {
      script.catchUp();
      yield* elementsIn(node.contentDocument, frames);
    }
  }
}

// Where a document lies: its origin in our viewport, and the part of our viewport that shows it.
let clip = null;
function viewOf(home) {
  if (home === window || !home) {
    const { left, top, right, bottom } = clip || { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
    return { dx: 0, dy: 0, left: Math.max(left, 0), top: Math.max(top, 0), right: Math.min(right, innerWidth), bottom: Math.min(bottom, innerHeight) };
  }
  const owner = home.frameElement;
  const around = viewOf(homeOf(owner));
  const box = contentBox(owner);
  const dx = box.x + around.dx, dy = box.y + around.dy;
  return {
    dx, dy, left: Math.max(around.left, dx), top: Math.max(around.top, dy),
    right: Math.min(around.right, dx + box.width), bottom: Math.min(around.bottom, dy + box.height),
  };
}
function contentBox(frame) {
  const rect = frame.getBoundingClientRect();
  const style = getComputedStyle(frame);
  const left = frame.clientLeft + parseFloat(style.paddingLeft), top = frame.clientTop + parseFloat(style.paddingTop);
  return {
    x: rect.x + left, y: rect.y + top,
    width: Math.max(rect.width - 2 * left, 0), height: Math.max(rect.height - 2 * top, 0),
  };
}
function inView(el) {
  const view = viewOf(homeOf(el));
  const bounds = el.getBoundingClientRect();
  return bounds.bottom + view.dy > view.top && bounds.right + view.dx > view.left
    && bounds.top + view.dy < view.bottom && bounds.left + view.dx < view.right;
}

// The innermost element at a point of our viewport, through shadow roots and frames of our origin.
function hitAt(x, y) {
  let hit = ofDocument.hit(document, x, y);
  for (;;) {
    let inner = null;
    if (hit && shadowOf(hit)) inner = shadowOf(hit).elementFromPoint(x, y);
    else if (hit && isFrame(hit) && scriptOf(hit)) {
      const box = contentBox(hit);
      x -= box.x;
      y -= box.y;
      inner = ofDocument.hit(hit.contentDocument, x, y);
    }
    if (!inner || inner === hit) return hit;
    hit = inner;
  }
}
function belongsTo(hit, el) {
  for (let node = hit; node; node = parentOf(node)) {
    if (node === el) return true;
    if (tagOf(node) === 'LABEL' && node.control === el) return true;
  }
  return false;
}
function isEnabled(el) {
  return !el.matches(':disabled') && el.getAttribute('aria-disabled') !== 'true' && !el.closest('[inert]');
}

// A point where a click reaches the element: the visible centre of one of its rectangles, or else another spot that
// nothing covers. `rect` is the rectangle in our viewport.
function clickable(el) {
  if (!isVisible(el)) return null;
  const view = viewOf(homeOf(el));
  const parts = [];
  for (const { x, y, width, height } of el.getClientRects()) {
    const rect = { x: x + view.dx, y: y + view.dy, width, height };
    const left = Math.max(rect.x, view.left), right = Math.min(rect.x + width, view.right);
    const top = Math.max(rect.y, view.top), bottom = Math.min(rect.y + height, view.bottom);
    if (right - left >= 1 && bottom - top >= 1) parts.push({ rect, left, top, width: right - left, height: bottom - top });
  }
  for (const part of parts) {
    const spot = spotIn(part, el, 0, 1);
    if (spot) return spot;
  }
  for (const part of parts) {
    const spot = spotIn(part, el, 1, POINTS.length);
    if (spot) return spot;
  }
  return null;
}
function spotIn(part, el, from, to) {
  for (const [across, down] of POINTS.slice(from, to)) {
    const x = part.left + part.width * across, y = part.top + part.height * down;
    if (belongsTo(hitAt(x, y), el)) return { x, y, rect: part.rect };
  }
  return null;
}

// 2: interactive by what it is; 1: only because the page listens to it or shows a hand over it; 0: not at all.
function interest(el) {
  if (el === bodyOf(el) || el === topOf(el)) return 0;
  if (el.matches(NATIVE)) return 2;
  const role = el.getAttribute('role');
  if (role && ROLES.has(role)) return 2;
  if (el.tagName === 'OPTION') return isListbox(el.closest('select')) ? 2 : 0;
  if (el.tagName === 'LABEL' && el.control && !isVisible(el.control)) return 2;
  if (isHeard(el)) return 1;
  if (!PLAIN_CURSORS.has(getComputedStyle(el).cursor) && !isLabelOfControl(el)) return 1;
  return 0;
}
const isListbox = (select) => Boolean(select && (select.multiple || select.size > 1));
const isLabelOfControl = (el) => { const label = el.closest('label'); return Boolean(label && label.control); };
const isControl = (el) => ['INPUT', 'SELECT', 'TEXTAREA', 'BUTTON', 'OPTION'].includes(el.tagName);
const scrolls = (el) => el.scrollHeight > el.clientHeight + 1 && el.clientHeight > 0
  && el !== topOf(el) && el !== bodyOf(el) && /auto|scroll/.test(getComputedStyle(el).overflowY);

// A hand cursor is inherited: the topmost ancestor that has it is what was meant.
function lifted(el) {
  const cursor = getComputedStyle(el).cursor;
  if (PLAIN_CURSORS.has(cursor)) return el;
  let top = el;
  for (let node = parentOf(el); node && node !== bodyOf(el) && !isMasked(node); node = parentOf(node)) {
    if (getComputedStyle(node).cursor !== cursor) break;
    top = node;
  }
  return top;
}

// What can be clicked and what can be scrolled in view, in document order, and the frames of other origins in view.
function targets() {
  const found = new Map(), areas = [], frames = [];
  const time = patience(LOOK_MS);
  let isPartial = false;
  catchUp();
  for (const el of elementsIn(document, frames)) {
    if (found.size + areas.length >= MOST_MARKS || time.isOver()) { isPartial = true; break; }
    if (!inView(el)) continue;
    if (scrolls(el)) areas.push(el);
    consider(el, found);
  }
  const kept = new Map(withoutDoubles(found, time));
  for (const el of areas) {
    const spot = kept.has(el) ? null : clickable(el);
    if (spot) kept.set(el, { ...spot, how: 2 });
  }
  return { time, isPartial, found: [...kept].sort(([a], [b]) => order(a, b)), frames: frames.filter((el) => isVisible(el) && inView(el)) };
}
function consider(el, found) {
  let how = interest(el);
  if (how === 0) return;
  const explicit = how === 2 || isHeard(el);
  const target = explicit ? el : lifted(el);
  if (target !== el) {
    // Inside something that counts anyway, the cursor says nothing new.
    if (found.has(target) || target === topOf(el)) return;
    how = 1;
  } else if (how === 1 && !explicit && insideFound(el, found)) return;
  if (!isEnabled(target)) return;
  const spot = clickable(target);
  if (spot) found.set(target, { ...spot, how });
}
function insideFound(el, found) {
  for (let node = parentOf(el); node; node = parentOf(node)) if (found.has(node)) return true;
  return false;
}
// Of two targets inside one another, one says nothing new when a click on it hits the other anyway: a box that only
// listens on behalf of what is in it (event delegation), or a second element around the same words.
function withoutDoubles(found, time) {
  const dropped = new Set();
  for (const [el] of found) {
    if (time.isOver()) break;
    for (let outer = parentOf(el); outer; outer = parentOf(outer)) {
      const around = found.get(outer);
      if (!around || dropped.has(outer)) continue;
      const big = around.rect.width * around.rect.height > 0.3 * innerWidth * innerHeight;
      const centred = belongsTo(hitAt(around.x, around.y), el);
      if (around.how === 1 && (big || centred)) dropped.add(outer);
      else if (centred && textOf(outer) === textOf(el) && !isControl(el)) dropped.add(roleOf(outer) === 'generic' ? outer : el);
    }
  }
  return [...found].filter(([el]) => !dropped.has(el));
}
function order(a, b) {
  const up = (el) => parentOf(el) || (homeOf(el) !== window && homeOf(el)?.frameElement) || null;
  const chain = (el) => { const path = []; for (let node = el; node; node = up(node)) path.unshift(node); return path; };
  const left = chain(a), right = chain(b);
  let depth = 0;
  while (depth < left.length && left[depth] === right[depth]) depth += 1;
  if (!left[depth]) return -1;
  if (!right[depth]) return 1;
  return isBefore(left[depth], right[depth]) ? -1 : 1;
}
