// The tasks with their success, the upload with its report, and one task: its history, and the form that starts rollouts.

import { change, getPage } from "./api.js";
import { ago, button, field, foreign, h, table } from "./dom.js";
import { rate, rolloutHref, rolloutTable, state } from "./rollouts.js";
import { fact } from "./trajectories.js";

const PAGE = 100;
const taskHref = (id) => `#/task/${encodeURIComponent(id)}`;

export async function tasksPage(where, get) {
  const q = where.query.get("q") ?? "";
  const source = where.query.get("source") ?? "";
  const query = new URLSearchParams({ limit: PAGE, ...(q && { q }), ...(source && { source }) });
  const [page, environments, models] = await Promise.all([getPage(`/api/tasks?${query}`), get("/api/environments"), get("/api/models")]);
  const list = h("div", {}, taskTable(page.rows));
  const go = (changes) => {
    const next = new URLSearchParams({ ...(q && { q }), ...(source && { source }), ...changes });
    for (const [name, value] of [...next]) if (!value) next.delete(name);
    location.hash = next.size ? `#/tasks?${next}` : "#/tasks";
  };
  const search = h("input", { type: "search", placeholder: "Search id, goal, domain", value: q, "aria-label": "search", on: { change: (event) => go({ q: event.target.value.trim() }) } });
  const sources = h("select", { "aria-label": "source", on: { change: (event) => go({ source: event.target.value }) } },
    [["", "uploaded and of runs"], ["upload", "uploaded"], ["run", "of runs"]].map(([value, text]) => h("option", { value, selected: value === source }, text)));
  return {
    crumbs: [], title: "tasks",
    hints: [["↑ ↓", "choose"], ["Enter", "open"], ["/", "search"]],
    body: [
      h("h1", {}, "Tasks"),
      h("div", { class: "filters", role: "search" }, search, sources),
      h("div", { class: "columns" },
        h("section", {}, page.rows.length ? list : nothing(q || source), page.cursor && more(page.cursor, query, list)),
        h("aside", {}, upload(environments), page.rows.length && several(page.rows, models, list))),
    ],
  };
}

const nothing = (filtered) => h("p", { class: "empty" }, filtered ? "No task passes this filter." : "There are no tasks yet. Upload a file: a JSON array of {\"id\", \"task\", \"answer\"}.");

function taskTable(rows) {
  const line = (task) => h("tr", {},
    h("td", {}, h("input", { type: "checkbox", name: "task", value: task.id, "aria-label": `choose ${task.id}` })),
    h("td", {}, h("a", { class: "row", href: taskHref(task.id) }, foreign(task.task || task.id, "b", "goal")),
      h("div", { class: "faint" }, foreign(task.id), " · ", foreign(task.environment), task.domain && [" · ", foreign(task.domain)])),
    h("td", {}, rate(task)),
    h("td", {}, h("a", { href: `#/rollouts?task_id=${encodeURIComponent(task.id)}` }, String(task.rollout_count))),
    h("td", {}, foreign(task.answer ?? "–", "span", "short-text")),
    h("td", { class: "faint nowrap" }, ago(task.created_at)));
  return table(["", "task", "success, 95 % interval", "rollouts", "expected answer", "since"], rows.map(line));
}

function more(cursor, query, list) {
  let next = cursor;
  const rest = h("p", {}, button("Show more", async () => {
    const page = await getPage(`/api/tasks?${query}&cursor=${encodeURIComponent(next)}`);
    list.querySelector("tbody").append(...taskTable(page.rows).querySelector("tbody").children);
    next = page.cursor;
    if (!next) rest.remove();
  }));
  return rest;
}

function upload(environments) {
  const report = h("div", { "aria-live": "polite" });
  const file = h("input", { type: "file", accept: ".json,.jsonl", id: "upload-file" });
  const environment = h("select", {}, environments.map((one) => h("option", { value: one.name, selected: one.default }, one.name)));
  const send = async () => {
    if (!file.files.length) throw new Error("Choose a file first.");
    const form = new FormData();
    form.append("file", file.files[0]);
    const told = await change("POST", `/api/tasks/upload?environment=${encodeURIComponent(environment.value)}`, form);
    const rows = told.rejected.map((one) => h("tr", {}, h("td", {}, String(one.index + 1)), foreign(one.reason, "td")));
    report.replaceChildren(h("p", {}, told.message, " ", h("a", { href: `#/tasks?source=upload&at=${Date.now()}` }, "Show them")),
      rows.length ? table(["row", "why it is no task"], rows) : "");
  };
  return h("section", { class: "panel" }, h("h2", {}, "Upload tasks"),
    field("File", file, "tasks.json with id, task, answer; WebGym's JSONL; or this project's own"),
    field("Environment", environment, "of tasks that name none"), button("Upload", send, "main"), report);
}

function several(rows, models, list) {
  const form = spawnForm(models, () => [...list.querySelectorAll("input[name=task]:checked")].map((box) => box.value));
  return h("section", { class: "panel" }, h("h2", {}, "Start rollouts of the chosen tasks"), form);
}

/** The form that starts rollouts. `ids()` gives the tasks when it is sent. */
function spawnForm(models, ids) {
  const name = (model) => `${model.name}${model.model ? ` (${model.model})` : ""}${model.problem ? ": not usable" : ""}`;
  const model = h("select", { name: "model" }, models.map((one) => h("option", { value: one.name, selected: one.default, disabled: Boolean(one.problem) }, name(one))));
  const attempts = h("input", { type: "number", name: "attempts", min: "1", max: "100", value: "1" });
  const steps = h("input", { type: "number", name: "max_steps", min: "1", max: "1000", placeholder: "the task's own" });
  const priority = h("input", { type: "number", name: "priority", min: "-100", max: "100", value: "0" });
  const reuse = h("input", { type: "checkbox", name: "reuse" });
  const start = async () => {
    const task_ids = ids();
    if (!task_ids.length) throw new Error("Choose at least one task.");
    const asked = { task_ids, model: model.value, attempts: Number(attempts.value), priority: Number(priority.value), reuse: reuse.checked };
    if (steps.value) asked.max_steps = Number(steps.value);
    const rollouts = await change("POST", "/api/rollouts", asked);
    location.hash = rollouts.length === 1 ? rolloutHref(rollouts[0].id) : `#/rollouts?job_id=${rollouts.at(-1).job_id}`;
  };
  const unusable = models.filter((one) => one.problem).map((one) => h("p", { class: "faint" }, h("b", {}, one.name), `: ${one.problem}`));
  return h("div", { class: "form" }, field("Model", model), field("Attempts", attempts), field("Most steps", steps), field("Priority", priority, "higher ones are played first"),
    h("label", { class: "check" }, reuse, " answer with equal earlier rollouts where there are any"), button("Start", start, "main"),
    unusable.length ? h("details", {}, h("summary", {}, "models that can't be used here"), unusable) : null);
}

export async function taskPage({ name: id }, get) {
  const [task, page, models] = await Promise.all([
    get(`/api/tasks/${encodeURIComponent(id)}`), getPage(`/api/rollouts?task_id=${encodeURIComponent(id)}&limit=50`), get("/api/models")]);
  const going = page.rows.some((row) => ["pending", "provisioning", "running", "judging"].includes(row.status));
  const pill = (row) => h("a", { class: "pill", href: rolloutHref(row.id), title: `${row.model}, ${row.created_at}` }, state(row));
  return {
    crumbs: [["tasks", "#/tasks"]], title: task.id, refresh: going ? 3000 : 0,
    watch: (rollout) => page.rows.some((row) => row.id === rollout),
    hints: [["↑ ↓", "choose"], ["Enter", "open"], ["Esc", "up"]],
    body: [
      h("div", { class: "heading" }, h("h1", {}, foreign(task.task || task.id)),
        h("p", { class: "facts" }, fact("environment", task.environment), task.domain && fact("domain", task.domain), fact("difficulty", task.difficulty),
          fact("most steps", task.max_steps), task.start_url && fact("starts at", task.start_url),
          h("span", {}, h("small", { class: "faint" }, "success "), rate(task)), fact("completed", `${task.completed_count} of ${task.rollout_count}`))),
      h("div", { class: "columns" },
        h("section", {},
          page.rows.length ? h("p", { class: "pills", "aria-label": "history, newest first" }, page.rows.map(pill)) : null,
          page.rows.length ? rolloutTable(page.rows, { withTask: false }) : h("p", { class: "empty" }, "Nobody has played this task yet. Start a rollout on the right."),
          page.cursor && h("p", {}, h("a", { href: `#/rollouts?task_id=${encodeURIComponent(task.id)}` }, `all ${page.total} rollouts`))),
        h("aside", {},
          h("section", { class: "panel" }, h("h2", {}, "Start rollouts"), spawnForm(models, () => [task.id])),
          h("section", { class: "panel" }, h("h2", {}, "Expected answer"), task.answer === null ? h("p", { class: "faint" }, "none: the environment or a judge model decides") : foreign(task.answer, "pre")))),
    ],
  };
}
