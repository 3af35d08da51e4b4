// Reads the address (#/run/<name>/<iteration>/<stage>/<trajectory>?filter), fetches, shows the page, hands it the keys.

import { foreign, h } from "./dom.js";
import { runPage, runsPage } from "./runs.js";
import { listPage, replayPage } from "./trajectories.js";

const page = document.getElementById("page");
let shown = { hash: null, keys: {}, refresh: 0 };
let timer = 0;

/** The address as data. Parts are encoded where they are put into an address and decoded here. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, run, iteration, stage, id] = path.split("/").map(decodeURIComponent);
  return { kind, run, iteration, stage, id, query: new URLSearchParams(query ?? "") };
}

async function get(path) {
  const reply = await fetch(`/api/runs${path}`);
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.problem);
  return body;
}

function pageOf({ kind, run, stage, id }) {
  if (kind !== "run" || !run) return runsPage;
  if (!stage) return runPage;
  return id ? replayPage : listPage;
}

async function show() {
  clearTimeout(timer);
  const hash = location.hash;
  let next;
  try {
    const where = place();
    next = await pageOf(where)(where, get);
  } catch (error) {
    next = { crumbs: [["runs", "#/"]], title: "problem", body: [foreign(error.message, "p", "problem")] };
  }
  if (hash !== location.hash) return; // the reader has gone on meanwhile
  const again = hash === shown.hash;
  const focused = again ? document.activeElement?.getAttribute("href") : null;
  const top = again ? scrollY : 0;
  shown = { keys: {}, hints: [], refresh: 0, ...next, hash };
  page.replaceChildren(...shown.body.filter(Boolean));
  crumbs(shown.crumbs, shown.title);
  hints(shown.hints);
  scrollTo(0, top);
  const rows = [...page.querySelectorAll("a.row")];
  (rows.find((row) => row.getAttribute("href") === focused) ?? (again ? null : rows[0]))?.focus({ preventScroll: true });
  if (shown.refresh) timer = setTimeout(refresh, shown.refresh);
}

function refresh() {
  if (document.hidden || document.activeElement?.tagName === "SELECT") timer = setTimeout(refresh, shown.refresh);
  else show();
}

function crumbs(links, title) {
  document.title = `${title} – rl-loop`;
  const parts = links.flatMap(([text, href]) => [h("a", { href }, text), h("span", { class: "faint" }, "/")]);
  document.getElementById("crumbs").replaceChildren(...parts, h("strong", {}, title));
}

function hints(pairs) {
  document.getElementById("keys").replaceChildren(
    ...pairs.map(([keys, what]) => h("span", {}, keys.split(" ").map((key) => h("kbd", {}, key)), ` ${what}`)));
}

/** Arrow keys walk through the links of a table. */
function walk(by) {
  const rows = [...page.querySelectorAll("a.row")];
  if (!rows.length) return;
  const index = rows.indexOf(document.activeElement);
  rows[Math.max(0, Math.min(rows.length - 1, index + by))].focus();
}

const WALK = { ArrowDown: () => walk(1), ArrowUp: () => walk(-1), j: () => walk(1), k: () => walk(-1) };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, input, textarea")) return;
  const up = shown.crumbs?.length ? () => { location.hash = shown.crumbs.at(-1)[1]; } : null;
  const action = shown.keys[event.key] ?? (event.key === "Escape" ? up : WALK[event.key]);
  if (!action) return;
  event.preventDefault();
  action();
});
addEventListener("hashchange", show);
show();
