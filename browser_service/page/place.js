// ---- where things are: documents in frames, shadow trees, slots, rectangles in our viewport ----------------------------
// An object or embed that shows a page is a frame too; what shows a picture or nothing has no document.
const FRAMES = new Set(['IFRAME', 'FRAME', 'OBJECT', 'EMBED']);
function isFrame(el) {
  if (!FRAMES.has(tagOf(el))) return false;
  if (tagOf(el) === 'EMBED') return !/^(image|audio|video)\//.test(el.getAttribute('type') || '');
  return tagOf(el) !== 'OBJECT' || Boolean(el.contentWindow);
}
// A frame of our origin has a script of its own in our world, and nothing of it is hidden from us.
function scriptOf(frame) {
  try { return frame.contentDocument && frame.contentWindow[NAME] ? frame.contentWindow[NAME] : null; } catch { return null; }
}
const isRoot = (node) => typeOf(node) === Node.DOCUMENT_FRAGMENT_NODE && Boolean(node.host);
// The parent in the flat tree: what is drawn inside a slot belongs to the slot.
const parentOf = (el) => slotOf(el) || parentElementOf(el) || (isRoot(rootOf(el)) ? rootOf(el).host : null);
const homeOf = (el) => ofDocument.view(documentOf(el));
const bodyOf = (el) => ofDocument.body(documentOf(el));
const topOf = (el) => ofDocument.root(documentOf(el));
const isHeard = (el) => (homeOf(el) === window ? heard.has(el) : Boolean(homeOf(el)?.[NAME]?.heard.has(el)));
const imageOf = (area) => {
  const map = area.closest('map');
  return map && map.name ? [...ofDocument.all(documentOf(area), 'img[usemap]')].find((img) => img.useMap === `#${map.name}`) || null : null;
};
const isVisible = (el) => (tagOf(el) === 'AREA' ? Boolean(imageOf(el)) && isVisible(imageOf(el)) : el.checkVisibility({ visibilityProperty: true }));

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

// Where a document lies: its origin in our viewport, how much a transform scales it there, and the part of our viewport
// that shows it.
let clip = null;
function viewOf(home) {
  if (home === window || !home) {
    const { left, top, right, bottom } = clip || { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
    return {
      dx: 0, dy: 0, scaleX: 1, scaleY: 1,
      left: Math.max(left, 0), top: Math.max(top, 0), right: Math.min(right, innerWidth), bottom: Math.min(bottom, innerHeight),
    };
  }
  const owner = home.frameElement;
  const around = viewOf(homeOf(owner));
  const box = contentBox(owner);
  const outer = placed(around, box);
  return {
    dx: outer.x, dy: outer.y, scaleX: around.scaleX * box.scaleX, scaleY: around.scaleY * box.scaleY,
    left: Math.max(around.left, outer.x), top: Math.max(around.top, outer.y),
    right: Math.min(around.right, outer.x + outer.width), bottom: Math.min(around.bottom, outer.y + outer.height),
  };
}
// A rectangle of a document, in our viewport.
const placed = (view, { x, y, width, height }) => ({
  x: view.dx + x * view.scaleX, y: view.dy + y * view.scaleY, width: width * view.scaleX, height: height * view.scaleY,
});
// Where a frame shows its document, in the coordinates of the document around it; `scaleX`, `scaleY`: by how much a
// transform or zoom of the frame or of what is around it scales it. Rotations are not followed.
function contentBox(frame) {
  const rect = frame.getBoundingClientRect();
  const style = getComputedStyle(frame);
  const scaleX = frame.offsetWidth > 0 ? rect.width / frame.offsetWidth : 1;
  const scaleY = frame.offsetHeight > 0 ? rect.height / frame.offsetHeight : 1;
  const left = frame.clientLeft + parseFloat(style.paddingLeft), top = frame.clientTop + parseFloat(style.paddingTop);
  return {
    x: rect.x + left * scaleX, y: rect.y + top * scaleY,
    width: Math.max(rect.width - 2 * left * scaleX, 0), height: Math.max(rect.height - 2 * top * scaleY, 0),
    scaleX, scaleY,
  };
}
// The rectangles that an element is drawn in, in its own document. A framed document is as large as its frame shows it; an
// area of an image map lies where its picture is.
function rectsOf(el) {
  if (tagOf(el) === 'AREA') return areaRects(el);
  if (el === topOf(el) || (el === bodyOf(el) && homeOf(el) !== window)) {
    return [{ x: 0, y: 0, width: homeOf(el).innerWidth, height: homeOf(el).innerHeight }];
  }
  return [...el.getClientRects()];
}
function areaRects(area) {
  const img = imageOf(area);
  if (!img) return [];
  const box = contentBox(img);
  const numbers = area.coords.split(',').map(Number);
  if (area.shape === 'default') return [box];
  if (numbers.length < 3 || numbers.some(Number.isNaN)) return [];
  let [left, top, right, bottom] = numbers;
  if (area.shape === 'circle') [left, top, right, bottom] = [left - right, top - right, left + right, top + right];
  else if (area.shape === 'poly') {
    const xs = numbers.filter((_, i) => i % 2 === 0), ys = numbers.filter((_, i) => i % 2 === 1);
    [left, top, right, bottom] = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }
  return [{ x: box.x + left * box.scaleX, y: box.y + top * box.scaleY, width: (right - left) * box.scaleX, height: (bottom - top) * box.scaleY }];
}
function boundsOf(el) {
  if (tagOf(el) !== 'AREA') return el.getBoundingClientRect();
  const [rect] = areaRects(el);
  return rect || { x: 0, y: 0, width: 0, height: 0 };
}
function inView(el) {
  const view = viewOf(homeOf(el));
  const { x, y, width, height } = placed(view, boundsOf(el));
  return y + height > view.top && x + width > view.left && y < view.bottom && x < view.right;
}

// What a host's shadow root draws at a point. Text in a slot is the host's own, and the host is what is hit there: what is
// drawn around the slot is below it.
function innerHit(host, x, y) {
  const shadow = shadowOf(host);
  const hit = shadow.elementFromPoint(x, y);
  return hit && hit !== host ? hit : shadow.elementsFromPoint(x, y).find((one) => rootOf(one) === shadow) || null;
}
// The innermost element at a point of our viewport, through shadow roots and frames of our origin.
function hitAt(x, y) {
  let hit = ofDocument.hit(document, x, y);
  for (;;) {
    let inner = null;
    if (hit && shadowOf(hit)) inner = innerHit(hit, x, y);
    else if (hit && isFrame(hit) && scriptOf(hit)) {
      const box = contentBox(hit);
      x = (x - box.x) / box.scaleX;
      y = (y - box.y) / box.scaleY;
      inner = ofDocument.hit(hit.contentDocument, x, y);
    }
    if (!inner || inner === hit) return hit;
    hit = inner;
  }
}
