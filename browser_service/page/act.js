// ---- what can't be done with mouse and keyboard ---------------------------------------------------------------------
const announce = (el) => ['input', 'change'].forEach((type) => el.dispatchEvent(new Event(type, { bubbles: true })));

// For controls that can't be typed into: dates, colours, sliders.
function setValue(id, value) {
  const el = elementOf(id);
  if (!el) return missing(id);
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(el, value);
  announce(el);
  return el.value === '' && value !== '' ? { error: 'BAD_VALUE', message: `an input of type ${el.type} does not take ${JSON.stringify(value)}` } : {};
}
function choose(id, label) {
  const el = elementOf(id);
  if (!el) return missing(id);
  const select = el.tagName === 'OPTION' ? el.closest('select') : el;
  if (!select || select.tagName !== 'SELECT') return { error: 'NOT_A_SELECT', message: `mark ${id} is a ${roleOf(el)}, not a select` };
  if (!isEnabled(select)) return { error: 'DISABLED', message: `the element of mark ${id} is disabled` };
  const options = [...select.options];
  if (el === select && label === null) return { error: 'NO_LABEL', message: `say which option of mark ${id} is meant` };
  const wanted = clean(label);
  const option = el !== select ? el
    : options.find((o) => clean(o.label) === wanted) || options.find((o) => o.value === label)
    || options.find((o) => clean(o.label).toLowerCase() === wanted.toLowerCase());
  if (!option || option.disabled) return { error: 'NO_SUCH_OPTION', message: `mark ${id} has no option ${JSON.stringify(label)}` };
  select.focus();
  option.selected = true;
  announce(select);
  return {};
}
// The element of a mark itself, for the driver to hand files to; a label or button stands for the input in or behind it.
function fileInput(id) {
  const el = elementOf(id);
  const input = el && [el, el.control, el.querySelector('input[type=file]')].find((one) => one && one.tagName === 'INPUT' && one.type === 'file');
  return input || null;
}

const STEPS = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] };
function scrollBy(el, direction, share) {
  const [dx, dy] = STEPS[direction];
  el.scrollBy({ left: dx * el.clientWidth * share, top: dy * el.clientHeight * share, behavior: 'instant' });
}
function scrollMark(id, direction) {
  const el = elementOf(id);
  if (!el) return missing(id);
  scrollBy(el, direction, 1);
  return {};
}
function scrollAt(x, y, direction) {
  let node = hitAt(x, y);
  const page = pageOf(node);
  while (node && node !== page && (isMasked(node) || !scrolls(node))) node = parentOf(node);
  scrollBy(node || page, direction, 0.8);
  return {};
}
function scrollPage(pixels, fullPage) {
  const page = pageOf(null);
  const amount = fullPage ? Math.sign(pixels) * Math.max(innerHeight - 50, 50) : pixels;
  page.scrollBy({ top: amount, behavior: 'instant' });
  return {};
}
function pageOf(el) {
  const home = el ? documentOf(el) : document;
  return ofDocument.scroller(home) || ofDocument.root(home);
}

// ---- what the page says about itself to machines --------------------------------------------------------------------
const ENOUGH = 200;
const LONG = 2000;
function metadata() {
  const metaTags = {};
  for (const tag of [...ofDocument.all(document, 'meta[content]')].slice(0, ENOUGH)) {
    const name = tag.getAttribute('name') || tag.getAttribute('property') || tag.getAttribute('http-equiv') || tag.getAttribute('itemprop');
    if (name) metaTags[name] = tag.content.slice(0, LONG);
  }
  const jsonld = [...ofDocument.all(document, 'script[type="application/ld+json"]')].slice(0, ENOUGH).map((one) => one.textContent.trim().slice(0, 10 * LONG));
  const microdata = [...ofDocument.all(document, '[itemscope]:not([itemprop])')].slice(0, ENOUGH).map(item);
  return { meta_tags: metaTags, jsonld, microdata };
}
function item(scope) {
  const properties = {};
  for (const el of scope.querySelectorAll('[itemprop]')) {
    if (el.parentElement.closest('[itemscope]') !== scope) continue;
    const value = el.hasAttribute('itemscope') ? item(el)
      : (el.getAttribute('content') || el.getAttribute('href') || el.getAttribute('src') || el.getAttribute('datetime') || clean(el.textContent)).slice(0, LONG);
    for (const name of el.getAttribute('itemprop').split(/\s+/)) properties[name] = value;
  }
  return { type: scope.getAttribute('itemtype') || '', properties };
}
