// ---- scrolling --------------------------------------------------------------------------------------------------------
const STEPS = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] };
// What scrolls when an element does: of a document's root, the document.
const scrollerOf = (el) => (el === topOf(el) ? ofDocument.scroller(documentOf(el)) || el : el);
function scrollBy(el, direction, share) {
  const [dx, dy] = STEPS[direction];
  const scroller = scrollerOf(el);
  scroller.scrollBy({ left: dx * scroller.clientWidth * share, top: dy * scroller.clientHeight * share, behavior: 'instant' });
}
function scrollMark(id, direction) {
  const el = elementOf(id);
  if (!el) return missing(id);
  scrollBy(el, direction, 1);
  return {};
}
// Whether an element can go further in a direction. A page as such can when it is longer than its window.
function hasRoom(el, direction) {
  const [dx, dy] = STEPS[direction];
  const scroller = scrollerOf(el);
  const isPage = el === topOf(el);
  const style = getComputedStyle(el);
  const isFree = (overflow) => (isPage ? overflow !== 'hidden' && overflow !== 'clip' : /auto|scroll/.test(overflow));
  const [size, room, at, overflow] = dx ? [scroller.clientWidth, scroller.scrollWidth, scroller.scrollLeft, style.overflowX]
    : [scroller.clientHeight, scroller.scrollHeight, scroller.scrollTop, style.overflowY];
  if (room <= size + 1 || !isFree(overflow)) return false;
  return dx + dy < 0 ? Math.abs(at) > 0.5 || at < 0 : Math.abs(at) + size < room - 1;
}
// Scrolls what lies at a point, as a wheel does: the innermost that has room, from frame to page. `foreign`: a frame of another
// origin lies there, which only a real wheel reaches.
function scrollAt(x, y, direction) {
  let node = hitAt(x, y);
  if (node && isFrame(node) && !scriptOf(node)) return { foreign: true };
  while (node) {
    if (!isMasked(node) && hasRoom(node, direction)) { scrollBy(node, direction, 0.8); return {}; }
    node = parentOf(node) || (homeOf(node) !== window && homeOf(node)?.frameElement) || null;
  }
  const main = mainScroller(direction);
  if (main) scrollBy(main, direction, 0.8);
  return {};
}
function scrollPage(pixels, fullPage) {
  const main = mainScroller(pixels > 0 ? 'down' : 'up') || topOf(ofDocument.root(document));
  const scroller = scrollerOf(main);
  const amount = fullPage ? Math.sign(pixels) * Math.max(Math.min(innerHeight, scroller.clientHeight || innerHeight) - 50, 50) : pixels;
  scroller.scrollBy({ top: amount, behavior: 'instant' });
  return {};
}
// What a person means by "the page": the document, or where it is no longer than its window, the element that scrolls in the
// middle of the view, or else the largest one.
function mainScroller(direction) {
  const root = ofDocument.root(document);
  if (!root || hasRoom(root, 'down') || hasRoom(root, 'up') || hasRoom(root, direction)) return root;
  const opposite = { up: 'down', down: 'up', left: 'right', right: 'left' }[direction];
  const isScroller = (el) => !isMasked(el) && (hasRoom(el, direction) || hasRoom(el, opposite));
  for (let node = hitAt(innerWidth / 2, innerHeight / 2); node; node = parentOf(node)) if (isScroller(node)) return node;
  let largest = null, size = 0;
  const time = patience(LOOK_MS / 5);
  for (const el of elementsIn(document, [])) {
    if (time.isOver()) break;
    const area = el.clientWidth * el.clientHeight;
    if (area > size && inView(el) && isScroller(el)) [largest, size] = [el, area];
  }
  return largest || root;
}

