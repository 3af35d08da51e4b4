// The list of runs, and one run: its curve, its table by iteration, its configuration.

import { ago, bar, foreign, h, number, percent, problems, seconds, table } from "./dom.js";

const REFRESH_MS = 5000;
const STAGES = ["rollout", "judge", "policy_update", "evaluate"];
const SHOWN = ["policy.model", "environment.name", "environment.domains", "agent.interaction_mode", "agent.prompt",
  "rollout.groups_per_iteration", "rollout.group_size", "update.loss_type", "update.learning_rate", "seed"];
const TABLE_KEYS = [["↑ ↓", "choose"], ["Enter", "open"], ["Esc", "up"]];

export const runHref = (run) => `#/run/${encodeURIComponent(run)}`;
export const stageHref = (run, iteration, stage) => `${runHref(run)}/${iteration}/${stage}`;

export async function runsPage(_, get) {
  const runs = await get("/api/runs");
  const rows = runs.map((run) => h("tr", {},
    h("td", {}, h("a", { class: "row", href: runHref(run.name) }, run.name), problems(run.problems)),
    h("td", {}, state(run)),
    h("td", {}, `${run.iterations} / ${run.iterations_planned ?? "?"}`),
    h("td", {}, bar(run.heldout_last, "heldout")),
    h("td", {}, gain(run)),
    h("td", {}, bar(run.train_last, "train")),
    h("td", { class: "faint" }, ago(run.changed)),
    h("td", { class: "faint" }, run.created.slice(0, 16).replace("T", " "))));
  const columns = ["run", "state", "iterations", "held-out success", "since the start", "train success", "changed", "created (UTC)"];
  const nothing = h("p", { class: "faint" }, "No runs in this directory yet. `rl-loop run` makes one.");
  return {
    crumbs: [], title: "runs", refresh: REFRESH_MS, hints: TABLE_KEYS.slice(0, 2),
    body: [h("h1", {}, "Runs"), runs.length ? table(columns, rows) : nothing],
  };
}

export async function runPage({ run: name }, get) {
  const run = await get(`/api/runs/${encodeURIComponent(name)}`);
  return {
    crumbs: [["runs", "#/"]], title: run.name, refresh: run.finished ? 0 : REFRESH_MS, hints: TABLE_KEYS,
    body: [
      h("h1", {}, run.name, " ", state(run)),
      ...problems(run.problems),
      h("div", { class: "tiles" },
        tile("held-out success", percent(run.heldout_last), `${percent(run.heldout_first)} at the start`),
        tile("train success", percent(run.train_last), "last iteration, sampled"),
        tile("iterations", `${run.iterations} / ${run.iterations_planned ?? "?"}`, run.now),
        tile("time", seconds(run.table.reduce((sum, row) => sum + (row.seconds ?? 0), 0)), "all finished stages")),
      h("div", { class: "columns" },
        h("section", {}, h("h2", {}, "Iterations"), iterations(run)),
        h("aside", {},
          run.has_curve && h("img", { class: "curve", alt: "success rate by iteration", src: `/api/runs/${encodeURIComponent(name)}/learning_curve.png` }),
          h("h2", {}, "Configuration"), config(run.config))),
    ],
  };
}

function iterations(run) {
  const columns = ["#", "train success", "held-out success", "steps", ...STAGES.map((stage) => stage.replace("_", " ")), "total", ""];
  const rows = [...run.table].reverse().map((row) => {
    const stages = Object.fromEntries(row.stages.map((stage) => [stage.stage, stage]));
    const link = (stage, child) => (stages[stage] ? h("a", { class: "row", href: stageHref(run.name, row.iteration, stage) }, child) : h("span", { class: "faint" }, "–"));
    return h("tr", {},
      h("td", {}, String(row.iteration)),
      h("td", {}, link("rollout", row.train_success === null ? "look" : bar(row.train_success, "train"))),
      h("td", {}, link("evaluate", row.heldout_success === null ? "look" : bar(row.heldout_success, "heldout"))),
      h("td", {}, number(row.steps_mean)),
      STAGES.map((name) => h("td", { class: "faint" }, stageTime(stages[name]))),
      h("td", {}, seconds(row.seconds)),
      h("td", {}, row.stages.filter((stage) => stage.counts.failed).map((stage) =>
        h("span", { class: "badge broken" }, `${stage.counts.failed} broken in ${stage.stage}`))));
  });
  return rows.length ? table(columns, rows) : h("p", { class: "faint" }, "Nothing has been played yet.");
}

function stageTime(stage) {
  if (!stage) return "";
  if (stage.finished) return seconds(stage.seconds);
  return h("span", { class: "now" }, stage.total ? `${stage.done}/${stage.total}` : stage.note || "…");
}

function config(lines) {
  const row = ([key, value]) => h("tr", {}, h("th", {}, key), foreign(value, "td"));
  const chosen = lines.filter(([key]) => SHOWN.includes(key));
  return [h("table", { class: "config" }, chosen.map(row)),
    h("details", {}, h("summary", {}, `all ${lines.length} settings`), h("table", { class: "config" }, lines.map(row)))];
}

const tile = (name, value, note) => h("div", { class: "tile" }, h("small", {}, name), h("b", {}, value), h("small", { class: "faint" }, note));

function state(run) {
  return run.finished ? h("span", { class: "badge success" }, "finished") : h("span", { class: "badge unjudged" }, run.now);
}

function gain(run) {
  if (run.heldout_first === null || run.heldout_last === null) return "–";
  const points = Math.round((run.heldout_last - run.heldout_first) * 100);
  return h("span", { class: points > 0 ? "good" : points < 0 ? "bad" : "faint" }, `${points > 0 ? "+" : ""}${points} points`);
}
