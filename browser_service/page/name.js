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

const clean = (text) => (text || '').replace(/\s+/g, ' ').trim();
const textOf = (el) => clean(el.innerText !== undefined ? el.innerText : el.textContent);

function roleOf(el) {
  const given = (el.getAttribute('role') || '').split(' ')[0];
  if (given && given !== 'presentation' && given !== 'none') return given;
  if (el.tagName === 'INPUT') return INPUT_ROLES[el.type] || 'textbox';
  if (el.tagName === 'SELECT') return isListbox(el) ? 'listbox' : 'combobox';
  if (el.isContentEditable && el.hasAttribute('contenteditable')) return 'textbox';
  return TAG_ROLES[el.tagName] || 'generic';
}
function nameOf(el) {
  const root = rootOf(el);
  const byId = (id) => (typeOf(root) === Node.DOCUMENT_NODE ? ofDocument.byId(root, id) : root.getElementById && root.getElementById(id));
  const byIds = (el.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean)
    .map(byId).filter(Boolean).map(textOf).join(' ');
  if (byIds) return byIds;
  if (el.getAttribute('aria-label')) return clean(el.getAttribute('aria-label'));
  if (el.tagName === 'INPUT' && ['submit', 'reset', 'button'].includes(el.type)) return clean(el.value) || el.type;
  const labels = el.labels ? [...el.labels].map(textOf).filter(Boolean).join(' ') : '';
  if (labels) return labels;
  const isField = ['INPUT', 'SELECT', 'TEXTAREA'].includes(el.tagName);
  const text = isField ? '' : textOf(el);
  if (text) return text;
  const picture = el.querySelector('img[alt],svg title,[title],[aria-label]');
  const inside = picture && (picture.getAttribute('alt') || picture.getAttribute('title') || picture.getAttribute('aria-label') || picture.textContent);
  const said = el.getAttribute('alt') || el.getAttribute('placeholder') || el.getAttribute('title') || inside || labelBefore(el);
  if (clean(said)) return clean(said);
  return isField ? clean(el.getAttribute('name')) : looks(el);
}
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
  if (el.tagName === 'SELECT') return [...el.selectedOptions].map((option) => option.label).join(', ');
  if (el.tagName === 'INPUT') {
    return el.type === 'password' || ['checkbox', 'radio', 'button'].includes(INPUT_ROLES[el.type]) ? null : el.value;
  }
  if (el.tagName === 'TEXTAREA') return el.value;
  return el.isContentEditable && el.hasAttribute('contenteditable') ? textOf(el) : null;
}
function checkedOf(el) {
  if (el.tagName === 'INPUT' && (el.type === 'checkbox' || el.type === 'radio')) return el.checked;
  if (el.tagName === 'OPTION') return el.selected;
  const said = el.getAttribute('aria-checked') || (el.getAttribute('role') === 'option' ? el.getAttribute('aria-selected') : null);
  return said === null ? null : said === 'true';
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
      options: el.tagName === 'SELECT' ? Array.prototype.slice.call(el.options, 0, OPTION_LIMIT).map((option) => clean(option.label).slice(0, NAME_LIMIT)) : [],
    },
  };
}
