// What every browser shows now: a cell per rollout with its newest picture, its phase and its step.

import { ago, foreign, h } from "./dom.js";
import { actions, picture, rolloutHref, state } from "./rollouts.js";

const REFRESH_MS = 1000;

export async function livePage(_, get, show) {
  const [rows, stats] = await Promise.all([get("/api/live"), get("/api/compute/stats")]);
  const cell = (row) => h("article", { class: "cell" },
    h("a", { class: "row look", href: rolloutHref(row.id), title: row.goal || row.task_id }, picture(row, "shot-now") ?? h("span", { class: "faint" }, row.phase || row.status)),
    h("p", {}, state(row), " ", h("small", { class: "faint" }, row.phase)),
    foreign(row.goal || row.task_id, "p", "goal"), h("p", { class: "faint" }, foreign(row.model), " · ", ago(row.started_at)),
    h("p", { class: "actions" }, actions(row, show)));
  const tile = (name, value) => h("div", { class: "tile" }, h("small", {}, name), h("b", {}, String(value)));
  return {
    crumbs: [], title: "live", refresh: REFRESH_MS, watch: () => true,
    hints: [["↑ ↓", "choose"], ["Enter", "open"]],
    body: [
      h("h1", {}, "Live"),
      h("div", { class: "tiles" }, tile("under way", `${stats.in_progress} of ${stats.max_workers}`), tile("waiting", stats.pending),
        tile("completed", stats.counts.completed), tile("failed", stats.counts.failed), tile("free disk", `${(stats.free_bytes / 1e9).toFixed(0)} GB`)),
      rows.length ? h("div", { class: "grid" }, rows.map(cell))
        : h("p", { class: "empty" }, "No rollout is played now. ", h("a", { href: "#/tasks" }, "Start some"), ", or watch a training run with `rl-loop monitor`."),
    ],
  };
}
