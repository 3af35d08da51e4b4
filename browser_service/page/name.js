// ---- what they are called ---------------------------------------------------------------------------------------
const INPUT_ROLES = {
  button: 'button', submit: 'button', reset: 'button', image: 'button', file: 'button', color: 'button',
  checkbox: 'checkbox', radio: 'radio', range: 'slider', number: 'spinbutton', search: 'searchbox',
};
const TAG_ROLES = { A: 'link', BUTTON: 'button', SUMMARY: 'button', TEXTAREA: 'textbox', OPTION: 'option' };
const COLOURS = {
  '255,0,0': 'red', '0,128,0': 'green', '0,255,0': 'lime', '0,0,255': 'blue', '255,255,0': 'yellow', '255,165,0': 'orange',
  '128,0,128': 'purple', '255,192,203': 'pink', '0,255,255': 'cyan', '255,0,255': 'magenta', '0,0,0': 'black',
  '255,255,255': 'white', '128,128,128': 'gray', '165,42,42': 'brown', '0,0,128': 'navy', '0,128,128': 'teal',
};
const NAME_LIMIT = 200;
const OPTION_LIMIT = 100;

// Spaces count once, and characters without a width not at all: editors keep them where the caret is.
const clean = (text) => (text || '').replace(/[\u200b\u2060]+/g, '').replace(/\s+/g, ' ').trim();
// The words that are drawn in an element. What a slot shows, and what a shadow root draws, `innerText` leaves out.
function textOf(el) {
  const own = clean(el.innerText !== undefined ? el.innerText : el.textContent);
  if (own && !(isRoot(rootOf(el)) && el.querySelector('slot'))) return own;
  return hasHiddenTree(el) ? clean(flatText(el, null)) : own;
}
const hasHiddenTree = (el) => tagOf(el) === 'SLOT' || Boolean(shadowOf(el)) || (isRoot(rootOf(el)) && Boolean(el.querySelector('slot')))
  || [...el.children].some((child) => tagOf(child).includes('-') && shadowOf(child));
// The words of the flat tree below a node, without those in `skipped`.
function flatText(node, skipped, depth = 0) {
  if (typeOf(node) === Node.TEXT_NODE) return node.data;
  if (node === skipped || depth > 30 || (typeOf(node) === Node.ELEMENT_NODE && isMasked(node))) return '';
  if (typeOf(node) === Node.ELEMENT_NODE) {
    if (['STYLE', 'SCRIPT', 'TEMPLATE', 'NOSCRIPT'].includes(tagOf(node))) return '';
    if (tagOf(node) !== 'SLOT' && !isVisible(node)) return '';
  }
  const shown = typeOf(node) === Node.ELEMENT_NODE && tagOf(node) === 'SLOT' && node.assignedNodes({ flatten: true }).length
    ? node.assignedNodes({ flatten: true })
    : ((typeOf(node) === Node.ELEMENT_NODE && shadowOf(node)) || node).childNodes;
  let text = '';
  for (const child of shown) {
    text += `${flatText(child, skipped, depth + 1)} `;
    if (text.length > TEXT_ENOUGH) break;
  }
  return text;
}
const TEXT_ENOUGH = 2000;

function roleOf(el) {
  const given = (el.getAttribute('role') || '').split(' ')[0];
  if (given && given !== 'presentation' && given !== 'none') return given;
  if (el.tagName === 'INPUT') return INPUT_ROLES[el.type] || 'textbox';
  if (el.tagName === 'SELECT') return isListbox(el) ? 'listbox' : 'combobox';
  const control = controlOf(el);
  if (control !== el) return isHidden(control) ? roleOf(control) : 'generic';
  if (isEditor(el)) return 'textbox';
  return TAG_ROLES[el.tagName] || customRole(el) || 'generic';
}
// Components keep their role to themselves (ElementInternals); what they are called says it: <md-radio>, <my-primary-tab>.
function customRole(el) {
  const word = /-(button|checkbox|link|option|radio|slider|switch|tab)$/.exec(el.localName || '');
  return word ? word[1] : null;
}
// Text that is edited in place: an element, a framed document, or what a code editor draws for a field of its own that
// nobody sees.
function isEditor(el) {
  if (el.isContentEditable && (el.hasAttribute('contenteditable') || isFramedEditor(el))) return true;
  if (el.isContentEditable || isControl(el)) return false;
  const field = fieldBehind(el);
  return Boolean(field) && !field.readOnly && isHidden(field);
}
// The only text field in an element, or beside it in a box of its size.
function fieldBehind(el) {
  const parent = parentElementOf(el);
  const around = parent && !isMasked(parent) ? parent : null;
  const mine = el.getBoundingClientRect(), its = around?.getBoundingClientRect();
  const isFilled = around && around !== bodyOf(el) && mine.width * mine.height > 0.7 * its.width * its.height;
  for (const box of isFilled ? [el, around] : [el]) {
    const fields = box.querySelectorAll('textarea,[contenteditable]:not([contenteditable=false])');
    if (fields.length) return fields.length === 1 ? fields[0] : null;
  }
  return null;
}
function nameOf(el) {
  if (el === topOf(el)) return clean(homeOf(el).frameElement?.title || ofDocument.title(documentOf(el)) || 'frame');
  if (isFramedEditor(el) && !el.getAttribute('aria-label')) return clean(homeOf(el).frameElement?.title || ofDocument.title(documentOf(el)));
  const root = rootOf(el);
  const byId = (id) => (typeOf(root) === Node.DOCUMENT_NODE ? ofDocument.byId(root, id) : root.getElementById && root.getElementById(id));
  const byIds = (el.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean)
    .map(byId).filter(Boolean).map(textOf).join(' ');
  if (byIds) return byIds;
  if (el.getAttribute('aria-label')) return clean(el.getAttribute('aria-label'));
  if (el.tagName === 'INPUT' && ['submit', 'reset', 'button'].includes(el.type)) return clean(el.value) || el.type;
  if (controlOf(el) !== el && tagOf(el) !== 'LABEL' && !textOf(el)) return nameOf(controlOf(el));
  const labels = el.labels ? [...el.labels].map((label) => labelText(label, el)).filter(Boolean).join(' ') : '';
  if (labels) return labels;
  if (tagOf(el) === 'AUDIO' || tagOf(el) === 'VIDEO') return clean(el.title || `${tagOf(el).toLowerCase()} player`);
  // Most of what an area that scrolls sideways holds is out of view.
  if (isSideways(el) && interest(el) === 0) return clean(el.getAttribute('title'));
  const isField = ['INPUT', 'SELECT', 'TEXTAREA'].includes(el.tagName);
  const text = isField ? '' : textOf(el);
  if (text) return text;
  const picture = el.querySelector('img[alt],svg title,[title],[aria-label]');
  const inside = picture && (picture.getAttribute('alt') || picture.getAttribute('title') || picture.getAttribute('aria-label') || picture.textContent);
  const said = el.getAttribute('alt') || el.getAttribute('placeholder') || el.getAttribute('title') || inside || labelBefore(el);
  if (clean(said)) return clean(said);
  const around = hostLabel(el) || (el.getAttribute('role') === 'combobox' ? drawnHint(el) : '');
  if (around) return around;
  const boxed = titleAround(el);
  if (boxed) return boxed;
  if (isField) return clean(el.getAttribute('name'));
  if (tagOf(el) === 'A') return drawnUnder(el);
  return roleOf(el) === 'generic' ? looks(el) : '';
}
// The title of the box that holds this control and no other, as the forms of PDF viewers have it.
function titleAround(el) {
  const box = parentElementOf(el);
  if (!box || isMasked(box) || !box.getAttribute('title') || box.querySelectorAll(CONTROLS).length > 1) return '';
  return clean(box.getAttribute('title'));
}
// The words that an empty link lies over, which another element has drawn: links of PDF viewers.
function drawnUnder(link) {
  const { x, y, width, height } = boundsOf(link);
  for (const across of [0.5, 0.2, 0.8]) {
    const all = ofDocument.hits(documentOf(link), x + width * across, y + height / 2);
    const under = all.slice(0, 5).find((one) => one !== link && !isMasked(one) && !one.contains(link) && !one.childElementCount && textOf(one));
    if (under) return textOf(under);
  }
  return '';
}
// The label of the component that an element is the inside of.
function hostLabel(el) {
  const host = el.localName?.includes('-') ? el : isRoot(rootOf(el)) ? rootOf(el).host : null;
  if (!host) return '';
  const byId = host.id && rootOf(host).querySelector ? rootOf(host).querySelector(`label[for="${CSS.escape(host.id)}"]`) : null;
  const label = host.closest('label') || byId;
  return clean(host.getAttribute('aria-label')) || (label ? clean(flatText(label, host)) : '') || clean(host.getAttribute('title'));
}
// The hint that a component draws beside its empty field, in place of a placeholder.
function drawnHint(el) {
  let box = parentElementOf(el);
  for (let up = 0; box && up < 3 && !isMasked(box); up += 1, box = parentElementOf(box)) {
    const text = textOf(box);
    if (text) return text.length <= 60 && box.querySelectorAll('input,select,textarea').length === 1 ? text : '';
  }
  return '';
}
// A label's words without those of the field that it is drawn around.
const labelText = (label, field) => (label.contains(field) && ['SELECT', 'TEXTAREA'].includes(tagOf(field)) ? clean(flatText(label, field)) : textOf(label));
function labelBefore(el) {
  const before = el.previousElementSibling;
  return ['INPUT', 'SELECT', 'TEXTAREA'].includes(el.tagName) && before && before.tagName === 'LABEL' && !before.control ? textOf(before) : '';
}
// A shape without any words: its colour and form, "red circle".
function looks(el) {
  const style = getComputedStyle(el);
  const isShape = el.namespaceURI === 'http://www.w3.org/2000/svg';
  const painted = isShape ? style.fill : style.backgroundColor;
  const numbers = (painted.match(/[\d.]+/g) || []).map(Number);
  const seen = numbers.length >= 3 && numbers[3] !== 0;
  const colour = seen ? COLOURS[numbers.slice(0, 3).join(',')] || '' : '';
  const form = isShape && !['svg', 'g', 'path'].includes(el.tagName) ? el.tagName : '';
  return clean(`${colour} ${form}`);
}
function valueOf(el) {
  if (controlOf(el) !== el) return tagOf(el) === 'LABEL' ? null : valueOf(controlOf(el));
  if (el.tagName === 'SELECT') return [...el.selectedOptions].map((option) => option.label).join(', ');
  if (el.tagName === 'INPUT') {
    return el.type === 'password' || ['checkbox', 'radio', 'button'].includes(INPUT_ROLES[el.type]) ? null : el.value;
  }
  if (el.tagName === 'TEXTAREA') return el.value;
  if (tagOf(el) === 'AUDIO' || tagOf(el) === 'VIDEO') return el.paused ? 'paused' : 'playing';
  return roleOf(el) === 'textbox' && isEditor(el) ? textOf(el) : null;
}
function checkedOf(el) {
  if (controlOf(el) !== el) return checkedOf(controlOf(el));
  if (el.tagName === 'INPUT' && (el.type === 'checkbox' || el.type === 'radio')) return el.checked;
  if (el.tagName === 'OPTION') return el.selected;
  if (customRole(el) && el.hasAttribute('checked')) return true;
  if (el.hasAttribute('aria-pressed')) return el.getAttribute('aria-pressed') === 'true';
  const said = el.getAttribute('aria-checked') || (el.getAttribute('role') === 'option' ? el.getAttribute('aria-selected') : null);
  return said === null ? null : said === 'true';
}
// The options of a select by names that differ: those of one label are told apart by their group or their number.
function optionNames(select) {
  const options = [...select.options];
  const labels = options.map((option) => clean(option.label));
  const times = new Map();
  for (const label of labels) times.set(label, (times.get(label) || 0) + 1);
  const grouped = options.map((option, i) => {
    const group = option.closest('optgroup');
    return times.get(labels[i]) > 1 && group ? `${clean(group.label)}: ${labels[i]}` : labels[i];
  });
  const seen = new Map();
  return grouped.map((name) => {
    seen.set(name, (seen.get(name) || 0) + 1);
    return seen.get(name) > 1 ? `${name} (${seen.get(name)})` : name;
  });
}
const round = (n) => Math.round(n * 10) / 10;

function describe(el, spot, id) {
  const { rect } = spot;
  return {
    tag: el.tagName.toLowerCase(), spot: [spot.x, spot.y],
    mark: {
      id, role: roleOf(el).slice(0, NAME_LIMIT), name: nameOf(el).slice(0, NAME_LIMIT),
      box: { x: round(rect.x), y: round(rect.y), width: round(rect.width), height: round(rect.height) },
      value: valueOf(el)?.slice(0, NAME_LIMIT) ?? null,
      checked: checkedOf(el), scrollable: scrolls(el),
      options: el.tagName === 'SELECT' ? optionNames(el).slice(0, OPTION_LIMIT).map((name) => name.slice(0, NAME_LIMIT)) : [],
    },
  };
}
