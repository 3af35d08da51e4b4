// ---- marks: numbers that stay with their elements until the next look -----------------------------------------------
const TEXT_LIMIT = 50000;
const TITLE_LIMIT = 500;
const URL_LIMIT = 8192;
// Elements out of view have numbers too, for old clients; far above those that are drawn, so that none means two things.
const FIRST_UNSEEN = 1001;
let marked = new Map();
let unseen = new Map();
let frames = [];

function look(wantMarks, wantText, seenFrom, withOptions) {
  const seen = { url: location.href.slice(0, URL_LIMIT), title: ofDocument.title(document).slice(0, TITLE_LIMIT), status: performance.getEntriesByType('navigation')[0]?.responseStatus || null, marks: [], text: null, frames: [], partial: false };
  catchUp();
  if (wantMarks) {
    clip = seenFrom;
    const all = targets();
    if (withOptions) addOpenOptions(all.found);
    marked = new Map();
    unseen = new Map();
    for (const [el, spot] of all.found) {
      // Words are the slow part: those of nested elements are read again for each of them.
      if (marked.size > 0 && all.time.isOver()) { all.isPartial = true; break; }
      marked.set(marked.size + 1, el);
      seen.marks.push(describe(el, spot, marked.size));
    }
    seen.partial = all.isPartial;
    frames = all.frames;
    seen.frames = frames.map((el) => ({ before: [...marked.values()].filter((other) => order(other, el) < 0).length }));
  }
  if (wantText) seen.text = (ofDocument.body(document)?.innerText || '').slice(0, TEXT_LIMIT);
  seen.noticed = takeNoticed();
  return seen;
}

// Every element that can be acted on, out of view too: with the number of its mark, or one of its own.
function survey() {
  clip = null;
  catchUp();
  const numbers = new Map([...marked, ...unseen].map(([id, el]) => [el, id]));
  const seen = new Map(targets().found);
  const time = patience(LOOK_MS);
  const everything = [];
  for (const el of elementsIn(document, [])) {
    if (everything.length >= MOST_UNSEEN || time.isOver()) break;
    if (seen.has(el) || isOutOfView(el)) everything.push(el);
  }
  return everything.map((el) => {
    let id = numbers.get(el);
    if (!id) unseen.set(id = FIRST_UNSEEN + unseen.size, el);
    const rect = placed(viewOf(homeOf(el)), boundsOf(el));
    const where = seen.has(el) ? 'in view' : rect.y + rect.height / 2 < 0 ? 'above' : 'below';
    return { where, ...describe(el, { rect }, id) };
  });
}
function isOutOfView(el) {
  if (inView(el) || interest(el) !== 2 || !isVisible(el) || !isEnabled(el)) return false;
  const { width, height } = el.getBoundingClientRect();
  return width >= 1 && height >= 1;
}

// The frame of another origin whose marks come next: the service knows it by number, and asks it by itself.
const adopt = (el) => frames.indexOf(el);
function frameBox(index) {
  const el = frames[index];
  if (!el || !el.isConnected) return null;
  const view = viewOf(homeOf(el));
  const box = contentBox(el);
  const { x, y, width, height } = placed(view, box);
  const scaleX = view.scaleX * box.scaleX, scaleY = view.scaleY * box.scaleY;
  return {
    x, y, scale_x: scaleX, scale_y: scaleY,
    clip: {  // in the coordinates of the framed document
      left: Math.max(view.left - x, 0) / scaleX, top: Math.max(view.top - y, 0) / scaleY,
      right: Math.min(view.right - x, width) / scaleX, bottom: Math.min(view.bottom - y, height) / scaleY,
    },
  };
}
// Which points inside a frame nothing of ours covers.
const bare = (index, points) => points.map(([x, y]) => hitAt(x, y) === frames[index]);
function showFrame(index) {
  frames[index]?.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  return frameBox(index);
}

function elementOf(id) {
  const el = marked.get(id) || unseen.get(id);
  return el && el.isConnected && homeOf(el) ? el : null;
}
function missing(id) {
  if (!marked.has(id) && !unseen.has(id)) return { error: 'UNKNOWN_MARK', message: `there is no mark ${id} on this page; look again` };
  return { error: 'STALE_MARK', message: `the element of mark ${id} is gone; look again` };
}

// Where to point at a mark now: it may have moved since the look.
function aim(id, seenFrom) {
  clip = seenFrom;
  const el = elementOf(id);
  if (!el) return missing(id);
  if (!isEnabled(el)) return { error: 'DISABLED', message: `the element of mark ${id} is disabled` };
  let spot = clickable(el);
  if (!spot) {
    el.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    spot = clickable(el);
  }
  if (spot) aimed = { el, x: spot.x, y: spot.y, until: performance.now() + AIM_MS };
  if (spot) return { x: spot.x, y: spot.y, type: el.tagName === 'INPUT' ? el.type : el.tagName.toLowerCase() };
  const over = hitAt(...centreOf(el));
  const what = over && !belongsTo(over, el) ? `covered by <${over.tagName.toLowerCase()}>` : 'not visible';
  return { error: 'NOT_REACHABLE', message: `the element of mark ${id} is ${what}` };
}
