// Reads the address (#/run/<name>/..., #/tasks, #/rollouts?filter, ...), fetches, shows the page, hands it the keys.

import { get } from "./api.js";
import { foreign, h } from "./dom.js";
import { livePage } from "./live.js";
import { analysisPage, auditPage, loginPage } from "./operation.js";
import { rolloutPage } from "./rollout.js";
import { rolloutsPage } from "./rollouts.js";
import { runPage, runsPage } from "./runs.js";
import { taskPage, tasksPage } from "./tasks.js";
import { listPage, replayPage } from "./trajectories.js";

const page = document.getElementById("page");
const TABS = [["runs", "Runs", "#/"], ["tasks", "Tasks", "#/tasks"], ["rollouts", "Rollouts", "#/rollouts"], ["live", "Live", "#/live"],
  ["analysis", "Analysis", "#/analysis"]];
const OF_TAB = { run: "runs", task: "tasks", rollout: "rollouts", audit: "analysis" };
const SETTLE_MS = 250;
let shown = { hash: null, keys: {}, refresh: 0 };
let timer = 0;
let events = null;

/** The address as data. Parts are encoded where they are put into an address and decoded here. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, run, iteration, stage, id] = path.split("/").map(decodeURIComponent);
  return { kind, name: run, run, iteration, stage, id, query: new URLSearchParams(query ?? "") };
}

function pageOf({ kind, run, stage, id }) {
  switch (kind) {
    case "tasks": return tasksPage;
    case "task": return taskPage;
    case "rollouts": return rolloutsPage;
    case "rollout": return rolloutPage;
    case "live": return livePage;
    case "analysis": return analysisPage;
    case "audit": return auditPage;
    case "login": return loginPage;
  }
  if (kind !== "run" || !run) return runsPage;
  if (!stage) return runPage;
  return id ? replayPage : listPage;
}

async function show() {
  clearTimeout(timer);
  const hash = location.hash;
  const where = place();
  const again = hash === shown.hash;
  if (!again) page.setAttribute("aria-busy", "true");
  let next;
  try {
    next = await pageOf(where)(where, get, show);
  } catch (error) {
    next = { crumbs: [["runs", "#/"]], title: "problem", body: [foreign(error.message, "p", "problem")] };
  }
  if (hash !== location.hash) return; // the reader has gone on meanwhile
  if (!again) shown.leave?.();
  const focused = again ? document.activeElement?.getAttribute("href") : null;
  const top = again ? scrollY : 0;
  shown = { keys: {}, hints: [], refresh: 0, watch: null, ...next, hash: location.hash };
  page.removeAttribute("aria-busy");
  page.replaceChildren(...shown.body.filter(Boolean));
  tabs(OF_TAB[where.kind] ?? (where.kind || "runs"));
  crumbs(shown.crumbs, shown.title);
  hints(shown.hints);
  scrollTo(0, top);
  const rows = [...page.querySelectorAll("a.row")];
  (rows.find((row) => row.getAttribute("href") === focused) ?? (again ? null : rows[0]))?.focus({ preventScroll: true });
  if (shown.refresh) timer = setTimeout(refresh, shown.refresh);
  follow();
}

/** A page is drawn again unless somebody writes into it or does not look at it. */
function refresh() {
  clearTimeout(timer);
  const busy = document.activeElement?.closest("select, input, textarea");
  if (document.hidden || busy) timer = setTimeout(refresh, shown.refresh || SETTLE_MS * 4);
  else show();
}

/** One stream of events per tab, and only while its page wants them. The browser resumes it with Last-Event-ID. */
function follow() {
  if (!shown.watch) {
    events?.close();
    events = null;
  } else if (!events) {
    events = new EventSource("/api/events");
    events.addEventListener("rollout", (event) => {
      if (!shown.watch?.(JSON.parse(event.data).rollout)) return;
      clearTimeout(timer);
      timer = setTimeout(refresh, SETTLE_MS);
    });
  }
}

function tabs(now) {
  document.getElementById("tabs").replaceChildren(...TABS.map(([name, text, href]) =>
    h("a", { href, "aria-current": name === now ? "page" : null }, text)));
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

const WALK = { ArrowDown: () => walk(1), ArrowUp: () => walk(-1), j: () => walk(1), k: () => walk(-1),
  "/": () => page.querySelector("input[type=search]")?.focus() };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, input, textarea")) return;
  const up = shown.crumbs?.length ? () => { location.hash = shown.crumbs.at(-1)[1]; } : null;
  const action = shown.keys[event.key] ?? (event.key === "Escape" ? up : WALK[event.key]);
  if (!action || (event.key === " " && event.target.closest?.("button, summary"))) return;
  event.preventDefault();
  action();
});
addEventListener("hashchange", show);
show();
