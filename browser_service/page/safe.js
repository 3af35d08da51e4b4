// ---- members that no page can put something else in front of --------------------------------------------------------
// In every world a form answers to the names of its controls, and a document to those of its images and forms, before it
// answers to what all forms and documents have: after <img name=title> `document.title` is a picture. The accessors
// themselves can't be named away.
const call = Function.prototype.call;
const reader = (type, name) => call.bind(Object.getOwnPropertyDescriptor(type.prototype, name).get);
const caller = (type, name) => call.bind(type.prototype[name]);
const ofDocument = {
  title: reader(Document, 'title'), body: reader(Document, 'body'), root: reader(Document, 'documentElement'), state: reader(Document, 'readyState'),
  view: reader(Document, 'defaultView'), scroller: reader(Document, 'scrollingElement'), active: reader(Document, 'activeElement'), animations: caller(Document, 'getAnimations'), walker: caller(Document, 'createTreeWalker'),
  hit: caller(Document, 'elementFromPoint'), hits: caller(Document, 'elementsFromPoint'), byId: caller(Document, 'getElementById'), all: caller(Document, 'querySelectorAll'),
};
const listen = caller(EventTarget, 'addEventListener');
const tagOf = reader(Element, 'tagName');
const openRootOf = reader(Element, 'shadowRoot');
// Closed shadow roots by their host, as listeners.js reports them: no script can ask a host for one.
const closedRoots = new WeakMap();
const shadowOf = (el) => openRootOf(el) || closedRoots.get(el) || null;
const parentElementOf = reader(Node, 'parentElement');
const rootOf = caller(Node, 'getRootNode');
const documentOf = reader(Node, 'ownerDocument');
const typeOf = reader(Node, 'nodeType');
// The slot that shows a child of a shadow host; of a closed root only the root itself tells.
function slotOf(el) {
  if (el.assignedSlot) return el.assignedSlot;
  const root = parentElementOf(el) && closedRoots.get(parentElementOf(el));
  return root ? [...root.querySelectorAll('slot')].find((slot) => slot.assignedNodes().includes(el)) || null : null;
}
const isBefore = (a, b) => Boolean(comparePlaces(a, b) & Node.DOCUMENT_POSITION_FOLLOWING);
const comparePlaces = caller(Node, 'compareDocumentPosition');

// A form that hides any of these is nothing to act on: its controls are.
const FUNCTIONS = ['matches', 'closest', 'getAttribute', 'hasAttribute', 'checkVisibility', 'getBoundingClientRect', 'getClientRects', 'querySelector', 'scrollBy', 'scrollIntoView'];
const WORDS = ['tagName', 'innerText', 'textContent', 'labels'];
function isMasked(el) {
  if (tagOf(el) !== 'FORM') return false;
  return FUNCTIONS.some((name) => typeof el[name] !== 'function') || WORDS.some((name) => typeof el[name] === 'object');
}

// A look takes in so much and no more, whatever the page holds; what is left out, it says.
const MOST_MARKS = 1000;
const MOST_UNSEEN = 5000;
const LOOK_MS = 2500;
function patience(ms) {
  const end = performance.now() + ms;
  return { isOver: () => performance.now() > end };
}
