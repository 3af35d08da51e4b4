// Builds elements. Titles, addresses and model output were written by strangers: text only ever becomes a text node,
// links only lead to pages of this app, pictures only come from this app's API.

const PLAIN = new Set(["class", "title", "alt", "width", "height", "loading", "colspan", "value", "dir", "aria-label", "aria-current", "preload", "download"]);

/** An element. `attrs`: plain attributes, `href` (#/..., with `download` /api/...), `src` (/api/...), `style` (an object), `on` (an object of listeners). */
export function h(tag, attrs, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "href" && value.startsWith("#/")) element.setAttribute("href", value);
    else if (name === "href" && value.startsWith("/api/") && attrs.download !== undefined) element.setAttribute("href", value);
    else if (name === "src" && value.startsWith("/api/")) element.setAttribute("src", value);
    else if (name === "selected" || name === "open" || name === "controls" || name === "muted") element[name] = true;
    else if (PLAIN.has(name)) element.setAttribute(name, value);
    else throw new Error(`h: ${name} is not an attribute that this app sets to ${value}`);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child); // strings become text nodes
  }
}

/** Text that somebody else wrote, kept from turning the text around it (bidirectional controls). */
export const foreign = (text, tag = "span", name = "") => h(tag, { class: `foreign ${name}`.trim(), dir: "auto" }, text);

export const percent = (rate) => (rate === null || rate === undefined ? "–" : `${Math.round(rate * 100)}\u00a0%`);

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)}\u00a0ms`;
  if (value < 100) return `${value.toFixed(1)}\u00a0s`;
  return value < 6000 ? `${Math.floor(value / 60)}\u00a0min ${Math.round(value % 60)}\u00a0s` : `${(value / 3600).toFixed(1)}\u00a0h`;
}

export const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));

/** A rate as a bar with its number. */
export function bar(rate, name) {
  if (rate === null || rate === undefined) return h("span", { class: "faint" }, "–");
  return h("span", { class: `bar ${name}` },
    h("i", { style: { width: `${Math.max(0, Math.min(1, rate)) * 100}%` } }), h("b", {}, percent(rate)));
}

const WORDS = { success: "success", fail: "fail", unjudged: "unjudged", broken: "broken" };

export const badge = (outcome) => h("span", { class: `badge ${outcome}` }, WORDS[outcome]);

export const problems = (sentences) => sentences.map((sentence) => foreign(sentence, "p", "problem"));

export const table = (columns, rows) => h("div", { class: "scroll" }, h("table", {},
  h("thead", {}, h("tr", {}, columns.map((column) => h("th", {}, column)))), h("tbody", {}, rows)));
