// ---- which elements can be acted on, in this document and in the frames of its origin -------------------------------
const ROLES = new Set(
  'button checkbox combobox gridcell link listbox menu menubar menuitem menuitemcheckbox menuitemradio option progressbar radio scrollbar searchbox separator slider spinbutton switch tab textbox tree treeitem'.split(' '),
);
// Roles that only hold others: a click means the item inside.
const HOLDERS = new Set('grid group listbox list menu menubar radiogroup row rowgroup table tablist toolbar tree treegrid'.split(' '));
// Those of them that have nothing to click beside their items.
const ONLY_HOLDERS = new Set('radiogroup tablist toolbar'.split(' '));
// Roles of items that have controls of their own inside: the arrow of a tree item, the button of a cell.
const NESTING = new Set([...HOLDERS, 'gridcell', 'treeitem', 'generic', 'dialog', 'tabpanel']);
const PLAIN_CURSORS = new Set(['auto', 'default', 'none', 'text', 'vertical-text', 'not-allowed', 'no-drop']);
const HANDLERS = ['onclick', 'onmousedown', 'onmouseup', 'onpointerdown', 'onpointerup', 'ondblclick', 'ontouchstart'];
const NATIVE = `input:not([type=hidden]),select,textarea,button,summary,a[href],area[href],area[onclick],audio[controls],video[controls],[contenteditable]:not([contenteditable=false]),[tabindex]:not([tabindex="-1"]),${HANDLERS.map((name) => `[${name}]`).join()}`;
const CONTROLS = 'input:not([type=hidden]),select,textarea,button,summary,a[href],[role=button],[role=link],[role=checkbox],[role=switch],[role=radio],[role=combobox],[role=slider],[role=spinbutton],[role=textbox]';
// Where in a rectangle to point, the centre first; the others only if that is covered.
const POINTS = [[0.5, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0.2], [0.5, 0.8], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];

function belongsTo(hit, el) {
  for (let node = hit; node; node = parentOf(node)) {
    if (node === el) return true;
    if (tagOf(node) === 'LABEL' && node.control === el) return true;
  }
  return false;
}
// The control that a drawn element stands for: a label's, or the one hidden input inside a drawn slider or switch.
function controlOf(el) {
  if (tagOf(el) === 'LABEL') return el.control || el;
  if (tagOf(el) !== 'SPAN' && tagOf(el) !== 'DIV') return el;
  const inputs = el.getAttribute('role') || el.childElementCount > 6 ? [] : el.querySelectorAll('input,select,textarea,button');
  return inputs.length === 1 && ['range', 'checkbox', 'radio'].includes(inputs[0].type) && isHidden(inputs[0]) ? inputs[0] : el;
}
function isEnabled(el) {
  const control = controlOf(el);
  return !control.matches(':disabled') && control.getAttribute('aria-disabled') !== 'true' && !el.closest('[inert]');
}

// A point where a click reaches the element: the visible centre of one of its rectangles, or else another spot that
// nothing covers; best one where no other control inside it takes the click. `rect` is the rectangle in our viewport.
function clickable(el) {
  if (!isVisible(el)) return null;
  const view = viewOf(homeOf(el));
  const parts = [];
  for (const box of rectsOf(el)) {
    const rect = placed(view, box);
    const left = Math.max(rect.x, view.left), right = Math.min(rect.x + rect.width, view.right);
    const top = Math.max(rect.y, view.top), bottom = Math.min(rect.y + rect.height, view.bottom);
    if (right - left >= 1 && bottom - top >= 1) parts.push({ rect, left, top, width: right - left, height: bottom - top });
  }
  // Sound is played by the button at the left of its controls; the middle is the line of time.
  if (tagOf(el) === 'AUDIO' && parts.length) parts[0].width = Math.min(parts[0].width, 2 * AUDIO_BUTTON);
  let taken = null;
  for (const [from, to] of [[0, 1], [1, POINTS.length]]) {
    for (const part of parts) {
      for (const [across, down] of POINTS.slice(from, to)) {
        const x = part.left + part.width * across, y = part.top + part.height * down;
        const hit = hitAt(x, y);
        if (!belongsTo(hit, el)) continue;
        const spot = { x, y, rect: part.rect };
        if (!controlInside(hit, el)) return spot;
        taken ??= spot;
      }
    }
  }
  return taken;
}
const AUDIO_BUTTON = 25;
// Another control inside `el` that a click at `hit` would reach: one that says something else than `el` itself.
function controlInside(hit, el) {
  for (let node = hit; node && node !== el; node = parentOf(node)) {
    if (!isMasked(node) && node.matches(CONTROLS) && textOf(node) !== textOf(el)) return node;
  }
  return null;
}

// 2: interactive by what it is; 1: only because the page listens to it or shows a hand over it; 0: not at all.
function interest(el) {
  if (el === bodyOf(el) || el === topOf(el)) return isFramedEditor(el) ? 2 : 0;
  if (el.matches(NATIVE)) return isStoodFor(el) ? 0 : 2;
  const role = el.getAttribute('role');
  if (role && ROLES.has(role)) return 2;
  if (el.tagName === 'OPTION') return isListbox(el.closest('select')) || isDrawnOption(el) ? 2 : 0;
  if (el.tagName === 'LABEL' && el.control && (isChoice(el.control) ? isHidden(el.control) : !isVisible(el.control))) return 2;
  if (isHeard(el)) return 1;
  if (!PLAIN_CURSORS.has(getComputedStyle(el).cursor) && !isLabelOfControl(el)) return 1;
  return 0;
}
// A document in which everything is text to edit, as editors keep theirs in a frame.
const isFramedEditor = (el) => el === bodyOf(el) && el.isContentEditable && (homeOf(el) !== window || self !== top);
const isListbox = (select) => Boolean(select && (select.multiple || select.size > 1));
// The open list of a select whose list is part of the page (`appearance: base-select`).
const isDrawnOption = (el) => { const select = el.closest('select'); return Boolean(select) && getComputedStyle(select).appearance === 'base-select'; };
const isLabelOfControl = (el) => { const label = el.closest('label'); return Boolean(label && label.control); };
const isControl = (el) => ['INPUT', 'SELECT', 'TEXTAREA', 'BUTTON', 'OPTION'].includes(el.tagName);
// A control that is there but not drawn: none of it, too small, clipped, beyond the page's edge, or out of the pointer's reach.
function isHidden(control) {
  if (!isVisible(control)) return true;
  const style = getComputedStyle(control);
  if (style.pointerEvents === 'none' || style.opacity === '0') return !strictlyHit(control);
  const { x, y, width, height } = control.getBoundingClientRect();
  if (width <= 2 || height <= 2) return true;
  if (/^rect\(0(px)?[, ]/.test(style.clip) || /inset\((50|100)%|circle\(0/.test(style.clipPath)) return true;
  const home = homeOf(control);
  if (x + width + home.scrollX <= 0 || y + height + home.scrollY <= 0) return true;
  return inView(control) && !strictlyHit(control);
}
const centreOf = (el) => {
  const { x, y, width, height } = placed(viewOf(homeOf(el)), boundsOf(el));
  return [x + width / 2, y + height / 2];
};
function strictlyHit(el) {
  for (let node = hitAt(...centreOf(el)); node; node = parentOf(node)) if (node === el) return true;
  return false;
}
const isChoice = (el) => tagOf(el) === 'INPUT' && ['checkbox', 'radio', 'file'].includes(el.type);
// A hidden control whose drawn label takes its place.
function isStoodFor(el) {
  if (!isChoice(el) || !el.labels) return false;
  return [...el.labels].some((label) => isVisible(label) && label.getBoundingClientRect().width > 2) && isHidden(el);
}
// An element with content beyond its edges, in either direction; of a framed document, the document itself.
function scrolls(el) {
  const isRootOfFrame = el === topOf(el) && (homeOf(el) !== window || self !== top);
  if (isRootOfFrame) {
    const scroller = ofDocument.scroller(documentOf(el)) || el;
    return scroller.scrollHeight > homeOf(el).innerHeight + 1 && getComputedStyle(el).overflowY !== 'hidden';
  }
  if (el === topOf(el) || el === bodyOf(el)) return false;
  const isLong = el.scrollHeight > el.clientHeight + 1 && el.clientHeight > 0;
  const isWide = el.scrollWidth > el.clientWidth + 1 && el.clientWidth > 0;
  if (!isLong && !isWide) return false;
  const style = getComputedStyle(el);
  return (isLong && /auto|scroll/.test(style.overflowY)) || (isWide && /auto|scroll/.test(style.overflowX));
}

const isSideways = (el) => el.scrollWidth > el.clientWidth + 1 && el.scrollHeight <= el.clientHeight + 1 && scrolls(el);

// A hand cursor is inherited: the topmost ancestor that has it is what was meant.
function lifted(el) {
  const cursor = getComputedStyle(el).cursor;
  if (PLAIN_CURSORS.has(cursor)) return el;
  let top = el;
  for (let node = parentOf(el); node && node !== bodyOf(el) && !isMasked(node); node = parentOf(node)) {
    if (getComputedStyle(node).cursor !== cursor) break;
    if (isRowOfLikes(top, node)) break;
    top = node;
  }
  return top;
}
// Items of a list whose container has the hand for all of them: each is what was meant, and not the container.
const ITEMS = 'li,td,th,tr,option,path,circle,rect,polygon,[data-index],[data-value],[data-id],[data-day],[data-date]';
function isRowOfLikes(item, container) {
  if (!item.matches(ITEMS) || !container || isMasked(container) || container.matches('a[href],button,label,[role=button],[role=link],[role=option],[role=menuitem],[role=tab]')) return false;
  return container.children.length > 1 && [...container.children].slice(0, 8).filter((one) => tagOf(one) === tagOf(item)).length > 1;
}

// What can be clicked and what can be scrolled in view, in document order, and the frames of other origins in view.
function targets() {
  const found = new Map(), areas = [], frames = [];
  const time = patience(LOOK_MS);
  let isPartial = false;
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
// The options of the select that has the focus, after it, in rows below it: Chromium draws its list outside of the page.
function addOpenOptions(found) {
  const select = ofDocument.active(document);
  const at = found.findIndex(([el]) => el === select);
  if (at < 0 || tagOf(select) !== 'SELECT' || isListbox(select)) return;
  const { rect } = found[at][1];
  const rows = [...select.options].filter((option) => !isOff(option)).slice(0, MOST_ROWS).map((option, i) => {
    const row = { x: rect.x, y: rect.y + rect.height * (i + 1), width: rect.width, height: rect.height };
    return [option, { x: row.x + row.width / 2, y: row.y + row.height / 2, rect: row, how: 2 }];
  });
  found.splice(at + 1, 0, ...rows);
}
const MOST_ROWS = 50;
const isOff = (option) => option.disabled || Boolean(option.closest('optgroup')?.disabled);
function consider(el, found) {
  let how = interest(el);
  if (how === 0) return;
  const explicit = how === 2 || isHeard(el);
  const target = explicit ? el : lifted(el);
  if (target !== el) {
    // Inside something that counts anyway, the cursor says nothing new.
    if (found.has(target) || target === topOf(el)) return;
    how = 1;
  }
  if (how === 1 && !explicit && (isPartOfControl(target, found) || isEdgeOfWindow(target))) return;
  if (!isEnabled(target)) return;
  const spot = clickable(target);
  if (spot) found.set(target, { ...spot, how });
}
// The handles around a window, four or eight without a word: as marks they would be most of what a dialog has.
function isEdgeOfWindow(el) {
  if (!getComputedStyle(el).cursor.endsWith('-resize') || textOf(el)) return false;
  const around = [...(parentOf(el)?.children || [])].slice(-20).map((one) => getComputedStyle(one).cursor);
  return new Set(around.filter((cursor) => cursor.endsWith('-resize'))).size > 2;
}
// A hand inside a control says nothing new; inside a list, a tree item or a box that listens for all in it, it does.
function isPartOfControl(el, found) {
  for (let node = parentOf(el); node; node = parentOf(node)) {
    const around = found.get(node);
    if (around && !(around.how === 1 && PLAIN_CURSORS.has(getComputedStyle(node).cursor)) && !NESTING.has(roleOf(node))) return true;
    if (around && getComputedStyle(node).cursor === getComputedStyle(el).cursor && !isRowOfLikes(el, parentOf(el))) return true;
  }
  return false;
}
// Of two targets inside one another, one says nothing new when a click on it hits the other anyway: a box that only
// listens on behalf of what is in it (event delegation), or a second element around the same words.
function withoutDoubles(found, time) {
  const dropped = new Set();
  const items = itemsIn(found);
  for (const [el] of found) {
    if (time.isOver()) break;
    for (let outer = parentOf(el); outer; outer = parentOf(outer)) {
      const around = found.get(outer);
      if (!around || dropped.has(outer)) continue;
      const big = around.rect.width * around.rect.height > 0.3 * innerWidth * innerHeight;
      const centred = belongsTo(hitAt(around.x, around.y), el);
      const isDelegating = items.get(outer) > 1 && PLAIN_CURSORS.has(getComputedStyle(outer).cursor) && !isEditor(outer);
      const onlyHolds = ONLY_HOLDERS.has(roleOf(outer));
      if (around.how === 1 && (big || centred || isDelegating || onlyHolds)) dropped.add(outer);
      else if (HOLDERS.has(roleOf(outer)) ? textOf(outer) === textOf(el) : centred && textOf(outer) === textOf(el) && !isControl(el)) {
        dropped.add(roleOf(outer) === 'generic' || HOLDERS.has(roleOf(outer)) ? outer : el);
      }
      // A component around its own button.
      else if (centred && isControl(el) && outer.localName.includes('-') && textOf(outer) === textOf(el)) dropped.add(outer);
    }
  }
  return [...found].filter(([el]) => !dropped.has(el));
}
// How many items with nothing but a hand cursor lie in each target that only listens.
function itemsIn(found) {
  const items = new Map();
  for (const [el, { how }] of found) {
    if (how !== 1 || isHeard(el)) continue;
    for (let outer = parentOf(el); outer; outer = parentOf(outer)) {
      if (found.get(outer)?.how === 1) items.set(outer, (items.get(outer) || 0) + 1);
    }
  }
  return items;
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
