// The table of rollouts, of runs and by hand, with its filters in the address, and the parts that other pages share.

import { change, getPage } from "./api.js";
import { ago, badge, bar, button, foreign, h, number, seconds, table } from "./dom.js";

export const STATUSES = ["pending", "provisioning", "running", "judging", "completed", "failed", "cancelled"];
const FILTERS = ["status", "success", "source", "model", "task_id", "run", "iteration", "job_id", "failure", "judged_by_person", "q"];
const CHOICES = {
  status: [["", "any status"], ...STATUSES.map((one) => [one, one])],
  success: [["", "any verdict"], ["true", "success"], ["false", "no success"]],
  source: [["", "runs and by hand"], ["hand", "by hand"], ["run", "of runs"]],
  judged_by_person: [["", "judged by anyone"], ["true", "judged by a person"], ["false", "not by a person"]],
};
const PAGE = 100;
export const rolloutHref = (id) => `#/rollout/${encodeURIComponent(id)}`;
export const api = (id) => `/api/rollouts/${encodeURIComponent(id)}`;
export const isEnded = (row) => ["completed", "failed", "cancelled"].includes(row.status);

/** The state of a rollout in one mark: its verdict once it is completed. */
export function state(row) {
  if (row.status === "completed") return badge(row.success === null ? "unjudged" : row.success ? "success" : "fail");
  if (row.status === "failed") return h("span", { class: "badge broken" }, "failed");
  const text = row.cancelling ? "cancelling" : row.status === "running" ? `running, step ${row.steps + 1}` : row.status;
  return h("span", { class: `badge ${row.status === "cancelled" || row.status === "pending" ? "" : "going"}` }, text);
}

export function picture(row, name) {
  return row.picture ? h("img", { class: name, loading: "lazy", alt: "", src: `${api(row.id)}/images/${row.picture}` }) : null;
}

export const rate = (one) => (one.success_rate === null ? h("span", { class: "faint" }, "–")
  : h("span", { class: "nowrap", title: `95 % interval: ${Math.round(one.success_low * 100)} to ${Math.round(one.success_high * 100)} %` },
    bar(one.success_rate, "heldout"), h("small", { class: "faint" }, ` ${Math.round(one.success_low * 100)}–${Math.round(one.success_high * 100)}`)));

/** Cancel, retry, judge again or delete, whichever is possible now. `done(answer)` is called after it. */
export function actions(row, done) {
  if (row.source !== "hand") return [];
  const act = (text, method, path, name) => button(text, async () => done(await change(method, `${api(row.id)}${path}`)), name);
  if (!isEnded(row)) return row.cancelling ? [] : [act("Cancel", "POST", "/cancel", "danger")];
  return [
    act("Retry", "POST", "/retry"),
    row.status === "completed" && act("Judge again", "POST", "/rejudge"),
    act("Delete", "DELETE", "", "danger"),
  ].filter(Boolean);
}

export function rolloutTable(rows, { withTask = true } = {}) {
  const line = (row) => h("tr", {},
    h("td", { class: "thumb" }, picture(row)),
    h("td", {}, h("a", { class: "row", href: rolloutHref(row.id) }, foreign((withTask && row.goal) || row.task_id, "b", "goal")),
      h("div", { class: "faint" }, withTask && [foreign(row.task_id), " · "], row.source === "hand" ? "by hand" : foreign(`${row.run}, iteration ${row.iteration}, ${row.stage}`)),
      row.error && foreign(`${row.failure_side} broke: ${row.failure_code}, ${row.error}`, "p", "problem short-text")),
    h("td", {}, state(row), row.human !== null && h("span", { class: "badge" }, "by a person")),
    h("td", {}, foreign(row.model || "–", "span", "short-text")),
    h("td", {}, number(row.reward, 2)),
    h("td", {}, String(row.steps)),
    h("td", { class: "nowrap" }, row.seconds ? seconds(row.seconds) : "–"),
    h("td", {}, foreign(row.result ?? "–", "span", "short-text")),
    h("td", { class: "faint nowrap" }, ago(row.created_at)));
  return table(["", "task", "state", "model", "reward", "steps", "time", "answer", "asked for"], rows.map(line));
}

export async function rolloutsPage(where, get) {
  const chosen = new URLSearchParams(FILTERS.filter((name) => where.query.get(name)).map((name) => [name, where.query.get(name)]));
  const [page, models] = await Promise.all([getPage(`/api/rollouts?limit=${PAGE}&${chosen}`), get("/api/models")]);
  const going = page.rows.some((row) => row.source === "hand" && !isEnded(row));
  const list = h("div", {}, rolloutTable(page.rows));
  const head = h("small", { class: "faint" }, `${page.total} rollout${page.total === "1" ? "" : "s"}`);
  return {
    crumbs: [], title: "rollouts", refresh: going ? 5000 : 0, watch: () => true,
    hints: [["↑ ↓", "choose"], ["Enter", "open"], ["/", "search"]],
    body: [
      h("h1", {}, "Rollouts ", head),
      filters(chosen, models),
      page.rows.length ? list : empty(chosen),
      page.cursor && more(page.cursor, chosen, list),
      page.rows.length && exports(chosen),
    ],
  };
}

function filters(chosen, models) {
  const go = (name, value) => {
    const query = new URLSearchParams(chosen);
    if (value) query.set(name, value);
    else query.delete(name);
    location.hash = query.size ? `#/rollouts?${query}` : "#/rollouts";
  };
  const choice = (name, options) => h("select", { "aria-label": name, on: { change: (event) => go(name, event.target.value) } },
    options.map(([value, text]) => h("option", { value, selected: value === (chosen.get(name) ?? "") }, text)));
  const known = models.map((one) => one.name);
  const named = chosen.get("model") && !known.includes(chosen.get("model")) ? [chosen.get("model"), ...known] : known;
  const search = h("input", { type: "search", placeholder: "Search task, goal, answer, error", value: chosen.get("q") ?? "", "aria-label": "search",
    on: { change: (event) => go("q", event.target.value.trim()) } });
  const chips = ["task_id", "run", "iteration", "job_id", "failure"].filter((name) => chosen.get(name)).map((name) =>
    h("button", { type: "button", class: "chip", title: "remove this filter", on: { click: () => go(name, "") } }, `${name.replace("_id", "")}: `, foreign(chosen.get(name)), " ×"));
  return h("div", { class: "filters", role: "search" }, search, ["status", "success", "source"].map((name) => choice(name, CHOICES[name])),
    choice("model", [["", "any model"], ["policy", "policy"], ...named.filter((name) => name !== "policy").map((name) => [name, name])]),
    choice("judged_by_person", CHOICES.judged_by_person), chips);
}

function more(cursor, chosen, list) {
  let next = cursor;
  const rest = h("p", {}, button("Show more", async () => {
    const page = await getPage(`/api/rollouts?limit=${PAGE}&cursor=${encodeURIComponent(next)}&${chosen}`);
    list.querySelector("tbody").append(...rolloutTable(page.rows).querySelector("tbody").children);
    next = page.cursor;
    if (!next) rest.remove();
  }));
  return rest;
}

const exports = (chosen) => h("p", { class: "faint" }, "Export what this filter shows: ",
  ["csv", "json", "jsonl", "parquet"].flatMap((kind) => [h("a", { href: `/api/export/rollouts.${kind}?${chosen}`, download: `rollouts.${kind}` }, kind.toUpperCase()), " "]));

function empty(chosen) {
  if (chosen.size) return h("p", { class: "empty" }, "No rollout passes this filter. ", h("a", { href: "#/rollouts" }, "Show all"));
  return h("p", { class: "empty" }, "There are no rollouts yet. ", h("a", { href: "#/tasks" }, "Choose a task"), " and start one, or train: `rl-loop run`.");
}
