// One rollout: state, log, live screen and what can be done with it; then its replay, the same as of a run.

import { change } from "./api.js";
import { ago, button, field, foreign, h, seconds, table } from "./dom.js";
import { player } from "./replay.js";
import { actions, api, isEnded, rolloutHref, state, STATUSES } from "./rollouts.js";
import { fact, failure, recorded } from "./trajectories.js";

const PATH = STATUSES.slice(0, 4);
let screen = null; // {id, element}: kept while its page is drawn again, because a new element would open the stream again

export async function rolloutPage(where, get, show) {
  const id = where.name;
  const [row, log, judgments] = await Promise.all([get(api(id)), get(`${api(id)}/log`), get(`${api(id)}/judgments`)]);
  const replay = row.steps > 0 || isEnded(row) ? await get(`${api(id)}/replay`).catch(() => null) : null;
  const newest = Math.max(0, (replay?.steps.length ?? 1) - 1);
  const asked = where.query.get("step");
  const play = replay && player(replay, {
    image: (sha256) => `${api(id)}/images/${sha256}`,
    step: asked === null && !isEnded(row) ? newest : Number(asked ?? 0),
    moved: (step) => history.replaceState(null, "", `${rolloutHref(id)}?step=${step}`),
  });
  const done = (answer) => {
    if (answer.id !== id) location.hash = rolloutHref(answer.id); // a retry is a new rollout
    else if (answer.status === row.status && isEnded(answer)) location.hash = "#/rollouts?source=hand"; // deleted
    else show();
  };
  return {
    crumbs: [["rollouts", "#/rollouts"], [row.task_id, `#/task/${encodeURIComponent(row.task_id)}`]],
    title: row.trajectory_id || row.id,
    refresh: isEnded(row) ? 0 : 1500, watch: (rollout) => rollout === id,
    leave: () => { if (screen) { screen.element.removeAttribute("src"); screen = null; } },
    keys: play?.keys ?? {},
    hints: play ? [["← →", "step"], ["Home End", "first, end"], ["m", "marks"], ["Esc", "up"]] : [["Esc", "up"]],
    body: [
      h("div", { class: "heading" },
        h("h1", {}, foreign(row.goal || row.task_id)),
        h("p", { class: "facts" }, state(row), fact("model", row.model || "–"), fact("environment", row.environment), fact("steps", row.steps),
          row.seconds > 0 && fact("time", seconds(row.seconds)), row.reward !== null && fact("reward", row.reward),
          row.source === "run" && fact("run", `${row.run}, iteration ${row.iteration}, ${row.stage}`),
          row.tries > 1 && fact("try", row.tries), h("span", {}, h("small", { class: "faint" }, "asked for "), ago(row.created_at)),
          row.retry_of && h("a", { href: rolloutHref(row.retry_of) }, "retry of an earlier one"),
          row.group && row.source === "run" && h("a", { href: `#/rollouts?run=${encodeURIComponent(row.run)}&iteration=${row.iteration}&task_id=${encodeURIComponent(row.task_id)}` }, "its group")),
        progress(row), foreign(row.reason, "p", row.status === "failed" ? "problem" : "faint"),
        h("p", { class: "actions" }, actions(row, done))),
      row.live && live(id),
      play && h("div", {}, play.body),
      replay && row.status === "completed" && replay.failure && failure(replay.failure),
      replay && recorded(replay, (file) => `${api(id)}/recorded/${file}`),
      h("div", { class: "columns below" },
        h("section", {}, h("h2", {}, "Log"), log.length ? logTable(log) : h("p", { class: "faint" }, "A rollout of a run has its log in the run folder.")),
        h("aside", {}, isEnded(row) && verdictForm(row, show), verdicts(judgments))),
    ],
  };
}

/** The states on the way, the ones that are over marked. */
function progress(row) {
  if (row.source !== "hand") return null;
  const at = isEnded(row) ? PATH.length : PATH.indexOf(row.status);
  return h("ol", { class: "path", "aria-label": "state" }, [...PATH, isEnded(row) ? row.status : "completed"].map((name, index) =>
    h("li", { class: index < at ? "over" : index === at ? "now" : "", "aria-current": index === at ? "step" : null },
      index === at && row.phase ? `${name}: ${row.phase}` : name)));
}

function live(id) {
  if (screen?.id !== id) screen = { id, element: h("img", { class: "live", alt: "the browser's screen now", src: `${api(id)}/live` }) };
  return h("section", { class: "panel" }, h("h2", {}, "The browser now"), screen.element);
}

function logTable(log) {
  const line = (one) => h("tr", {}, h("td", { class: "faint" }, one.at.slice(11, 23)), h("td", {}, one.status), foreign(one.text, "td"));
  return table(["time (UTC)", "state", "what happened"], log.map(line));
}

function verdictForm(row, show) {
  const note = h("textarea", { name: "note", rows: "2", maxlength: "2000", placeholder: "why (optional)" });
  const say = (success) => async () => {
    await change("POST", `${api(row.id)}/verdict`, { success, note: note.value });
    show();
  };
  return h("section", { class: "panel" }, h("h2", {}, "Your verdict"), field("Note", note),
    h("p", { class: "actions" }, button("Success", say(true), "good"), button("No success", say(false), "danger"), row.human !== null && button("Take it back", say(null))));
}

function verdicts(judgments) {
  if (!judgments.length) return null;
  const line = (one) => h("tr", {}, h("td", { class: "faint" }, ago(one.at)), h("td", {}, foreign(one.by)),
    h("td", {}, one.success === null ? "undecided" : one.success ? "success" : "no success"), foreign(one.note, "td"));
  return [h("h2", {}, "Verdicts"), table(["when", "by", "verdict", "note"], judgments.map(line))];
}
