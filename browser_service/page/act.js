// ---- what can't be done with mouse and keyboard ---------------------------------------------------------------------
const announce = (el) => ['input', 'change'].forEach((type) => el.dispatchEvent(new Event(type, { bubbles: true })));

// Controls whose value is set, not typed, and the form that each takes.
const VALUE_FORMS = {
  date: 'YYYY-MM-DD', time: 'HH:MM', month: 'YYYY-MM', week: 'YYYY-Www', 'datetime-local': 'YYYY-MM-DDTHH:MM', color: '#rrggbb', range: 'a number',
};
// Fills a control at once where its value is set and not typed: `done` says so. A refused value changes nothing.
function setById(id, value) {
  const el = elementOf(id);
  return el ? setValue(controlOf(el), value, `mark ${id}`) : missing(id);
}
function setAt(x, y, value) {
  const hit = hitAt(x, y);
  const label = hit && hit.closest('label');
  const el = hit && (hit.closest('select') || (label && label.control) || hit);
  return el ? setValue(el, value, `the element at (${x}, ${y})`) : {};
}
function setValue(el, value, named) {
  if (tagOf(el) === 'SELECT') return { ...pick(el, value, named), done: true };
  if (tagOf(el) !== 'INPUT') return {};
  if (el.readOnly) return { error: 'READ_ONLY', message: `${named} is read-only: nothing can be typed into it; a click may open what sets it` };
  if (!VALUE_FORMS[el.type]) return {};
  const refused = refusal(el, value);
  if (refused) return { error: 'BAD_VALUE', message: `${named}, an input of type ${el.type}, does not take ${JSON.stringify(value)}: ${refused}` };
  el.focus({ preventScroll: true });
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(el, value);
  announce(el);
  return { done: true };
}
function refusal(el, value) {
  if (value === '') return el.type === 'color' || el.type === 'range' ? `it takes ${VALUE_FORMS[el.type]}` : null;
  const trial = document.createElement('input');
  trial.type = el.type;
  if (el.type !== 'range') {
    trial.value = value;
    const isTaken = el.type === 'color' ? trial.value === value.toLowerCase() : trial.value !== '';
    return isTaken ? null : `it takes ${VALUE_FORMS[el.type]}`;
  }
  const least = Number(el.min || 0), most = Number(el.max || 100), wanted = Number(value);
  return value.trim() !== '' && wanted >= least && wanted <= most ? null : `it takes a number from ${least} to ${most}`;
}
function choose(id, label, isOn) {
  const el = elementOf(id);
  if (!el) return missing(id);
  const select = el.tagName === 'OPTION' ? el.closest('select') : el;
  if (!select || select.tagName !== 'SELECT') return { error: 'NOT_A_SELECT', message: `mark ${id} is a ${roleOf(el)}, not a select` };
  if (el === select && label === null) return { error: 'NO_LABEL', message: `say which option of mark ${id} is meant` };
  return el === select ? pick(select, label, `mark ${id}`, isOn) : pickOption(select, el, `mark ${id}`, isOn ?? !(select.multiple && el.selected));
}
function pick(select, label, named, isOn = true) {
  const options = [...select.options];
  const names = optionNames(select);
  const wanted = clean(label);
  const same = (text) => clean(text).toLowerCase() === wanted.toLowerCase();
  const option = options[names.indexOf(wanted)] || options.find((o) => clean(o.label) === wanted) || options.find((o) => o.value === label)
    || options.find((o, i) => same(o.label) || same(names[i]));
  if (!option) {
    const some = names.slice(0, 10).map((name) => JSON.stringify(name)).join(', ');
    return { error: 'NO_SUCH_OPTION', message: `${named} has no option ${JSON.stringify(label)}; it has ${some}${names.length > 10 ? ', ..' : ''}` };
  }
  return pickOption(select, option, named, isOn ?? true);
}
function pickOption(select, option, named, isOn) {
  if (!isEnabled(select)) return { error: 'DISABLED', message: `${named} is disabled` };
  if (isOff(option)) {
    return { error: 'NO_SUCH_OPTION', message: `the option ${JSON.stringify(clean(option.label))} of ${named} is disabled` };
  }
  if (!isOn && !select.multiple) return { error: 'BAD_VALUE', message: `${named} has exactly one choice: choose another one instead` };
  select.focus({ preventScroll: true });
  option.selected = isOn;
  announce(select);
  return {};
}

// What has the focus after a click, and how text gets into it: `erase`, whether there is something to erase first; `lines`,
// how a line ends there without sending anything.
function caret() {
  let el = ofDocument.active(document);
  for (;;) {
    const inner = el && (shadowOf(el)?.activeElement || (isFrame(el) && scriptOf(el) && ofDocument.active(el.contentDocument)));
    if (!inner || inner === el) break;
    el = inner;
  }
  if (!el) return { is_text: false };
  if (isFrame(el)) return { is_text: true, erase: true, lines: 'shift' }; // of another origin: unknown
  if (tagOf(el) === 'TEXTAREA' || (tagOf(el) === 'INPUT' && TYPED.has(el.type))) {
    // A code editor draws its text elsewhere: the field itself is empty, and is never seen.
    const isDrawn = !isHidden(el);
    return { is_text: !el.readOnly, is_read_only: el.readOnly, erase: el.value !== '' || !isDrawn, lines: tagOf(el) === 'INPUT' ? 'none' : isDrawn ? 'insert' : 'enter' };
  }
  if (el.isContentEditable) return { is_text: true, erase: clean(el.textContent) !== '' || Boolean(el.querySelector('img')), lines: 'shift' };
  if (el.editContext) return { is_text: true, erase: true, lines: 'enter' };
  const isKeyboardDriven = tagOf(el) === 'CANVAS' || KEYBOARD_ROLES.has(roleOf(el));
  return { is_text: isKeyboardDriven, erase: false, lines: 'enter', role: el === bodyOf(el) || el === topOf(el) ? '' : roleOf(el) };
}
const TYPED = new Set('text search url tel email password number'.split(' '));
// What takes keys without being a text field: cells begin to be edited, lists look for what is typed.
const KEYBOARD_ROLES = new Set('application combobox document grid gridcell listbox option searchbox spinbutton table textbox tree treegrid treeitem'.split(' '));
function chooseAt(x, y, label, isOn) {
  const hit = hitAt(x, y);
  const field = hit && controlOf(hit.closest('select,label') || hit);
  const named = `the element at (${x}, ${y})`;
  if (!field || tagOf(field) !== 'SELECT') return { error: 'NOT_A_SELECT', message: `${named} is ${field ? `a ${roleOf(field)}` : 'nothing'}, not a select` };
  return pick(field, label, named, isOn);
}
// The element of a mark itself, for the driver to hand files to; a label or button stands for the input in or behind it.
function fileInputAt(x, y) {
  const hit = hitAt(x, y);
  return hit && inputFor(hit.closest('label') || hit);
}
const fileInput = (id) => inputFor(elementOf(id));
function inputFor(el) {
  const input = el && [el, el.control, el.querySelector('input[type=file]')].find((one) => one && one.tagName === 'INPUT' && one.type === 'file');
  return input || null;
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
