// Builds elements. Titles, addresses and model output were written by strangers: text only ever becomes a text node,
// links only lead to pages of this app, pictures only come from this app's API.

const PLAIN = new Set(["class", "title", "alt", "width", "height", "loading", "colspan", "value", "dir", "aria-label", "aria-current", "preload", "download",
  "type", "name", "placeholder", "for", "id", "min", "max", "maxlength", "rows", "accept", "role", "rel", "aria-busy", "aria-live", "autocomplete"]);
const FLAGS = new Set(["selected", "open", "controls", "muted", "disabled", "checked", "required", "multiple"]);

/** An element. `attrs`: plain attributes, `href` (#/..., /docs, with `download` /api/...), `src` (/api/...), `style` (an object), `on` (an object of listeners). */
export function h(tag, attrs, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "href" && (value.startsWith("#/") || value === "/docs" || value === "/")) element.setAttribute("href", value);
    else if (name === "href" && value.startsWith("/api/") && attrs.download !== undefined) element.setAttribute("href", value);
    else if (name === "src" && value.startsWith("/api/")) element.setAttribute("src", value);
    else if (FLAGS.has(name)) element[name] = true;
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

/** How far back a time is (ISO 8601, or seconds since 1970), with the exact time as its title. */
export function ago(at) {
  if (at === null || at === undefined || at === "") return "–";
  const epoch = typeof at === "string" ? Date.parse(at) / 1000 : at;
  const past = Math.max(0, Date.now() / 1000 - epoch);
  const text = past < 90 ? `${Math.round(past)} s ago` : past < 5400 ? `${Math.round(past / 60)} min ago`
    : past < 129600 ? `${Math.round(past / 3600)} h ago` : `${Math.round(past / 86400)} days ago`;
  return h("span", { title: new Date(epoch * 1000).toISOString() }, text);
}

/** A labelled field of a form. */
export const field = (label, control, hint) => h("label", { class: "field" }, h("span", {}, label), control, hint && h("small", { class: "faint" }, hint));

/** A button that can't be pressed twice while its action runs; the action's error appears beside it. */
export function button(text, action, name = "") {
  const told = h("span", { class: "problem", role: "alert" });
  const press = async () => {
    element.disabled = true;
    told.textContent = "";
    try {
      await action();
    } catch (error) {
      told.textContent = error.message;
    } finally {
      element.disabled = false;
    }
  };
  const element = h("button", { type: "button", class: `button ${name}`.trim(), on: { click: press } }, text);
  return h("span", { class: "act" }, element, told);
}

export const problems = (sentences) => sentences.map((sentence) => foreign(sentence, "p", "problem"));

export const table = (columns, rows) => h("div", { class: "scroll" }, h("table", {},
  h("thead", {}, h("tr", {}, columns.map((column) => h("th", {}, column)))), h("tbody", {}, rows)));
