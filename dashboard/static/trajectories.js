// The trajectories of one stage with their filters, and the frame around one replay.

import { badge, foreign, h, number, problems, seconds, table } from "./dom.js";
import { player } from "./replay.js";
import { runHref, stageHref } from "./runs.js";

const FILTERS = ["outcome", "stop", "domain"];

/** The part of the query that chooses trajectories: the replay keeps it, so that the next one is the next of the list. */
function filter(query) {
  const chosen = new URLSearchParams(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  return chosen.size ? `?${chosen}` : "";
}

const api = ({ run, iteration, stage }) => `/api/runs/${encodeURIComponent(run)}/iterations/${encodeURIComponent(iteration)}/${encodeURIComponent(stage)}`;
const listHref = (where) => `${stageHref(where.run, where.iteration, where.stage)}${filter(where.query)}`;
const replayHref = (where, id) => `${stageHref(where.run, where.iteration, where.stage)}/${encodeURIComponent(id)}${filter(where.query)}`;

export async function listPage(where, get) {
  const list = await get(`${api(where)}/trajectories${filter(where.query)}`);
  const shown = list.rows.length === list.total ? `${list.total} trajectories` : `${list.rows.length} of ${list.total} trajectories`;
  return {
    crumbs: [["runs", "#/"], [where.run, runHref(where.run)]],
    title: `iteration ${list.iteration}, ${list.stage}`,
    hints: [["↑ ↓", "choose"], ["Enter", "open"], ["Esc", "up"]],
    body: [
      h("h1", {}, `Iteration ${list.iteration}: ${list.stage}`, " ", h("small", { class: "faint" }, shown)),
      ...problems(list.problems),
      h("div", { class: "filters" }, outcomes(where, list), choice(where, list, "stop"), choice(where, list, "domain")),
      list.rows.length ? rows(where, list) : h("p", { class: "faint" }, "No trajectory passes this filter."),
      attempts(where, list),
    ],
  };
}

function rows(where, list) {
  const line = (row) => h("tr", {},
    h("td", { class: "thumb" }, row.picture && h("img", { loading: "lazy", alt: "", src: `${api(where)}/images/${row.picture}` })),
    h("td", {}, h("a", { class: "row", href: replayHref(where, row.id) }, foreign(row.goal || row.task, "b", "goal")),
      h("div", { class: "faint" }, foreign(row.task), `, member ${row.member}`), row.failure && failure(row.failure)),
    h("td", {}, badge(row.outcome), row.blocked && h("span", { class: "badge broken" }, "blocked")),
    h("td", {}, number(row.reward, 2)),
    h("td", {}, row.stop),
    h("td", {}, String(row.steps)),
    h("td", {}, seconds(row.seconds), row.attempt > 1 && h("div", { class: "faint" }, `attempt ${row.attempt}`)),
    h("td", {}, row.policy_version === null ? "–" : `v${row.policy_version}`));
  return table(["", "task", "outcome", "reward", "stop", "steps", "time", "policy"], list.rows.map(line));
}

export const failure = (found) => h("p", { class: "problem" },
  `${found.side} broke: ${found.code}, `, foreign(found.message), found.retryable ? " (may be tried again)" : "");

function outcomes(where, list) {
  const link = (value, text, count) => h("a", {
    class: `chip ${value}`, href: filtered(where, "outcome", value),
    "aria-current": (where.query.get("outcome") ?? "") === value ? "true" : null,
  }, text, " ", h("b", {}, String(count)));
  const kinds = Object.entries(list.choices.outcome).filter(([, count]) => count > 0);
  return [link("", "all", list.total), kinds.map(([name, count]) => link(name, name, count))];
}

function choice(where, list, name) {
  const now = where.query.get(name) ?? "";
  const option = (value, text) => h("option", { value, selected: value === now }, text);
  return h("select", { "aria-label": name, on: { change: (event) => { location.hash = filtered(where, name, event.target.value); } } },
    option("", `any ${name}`),
    Object.entries(list.choices[name]).map(([value, count]) => option(value, `${value} (${count})`)));
}

function filtered(where, name, value) {
  const query = new URLSearchParams(where.query);
  if (value) query.set(name, value);
  else query.delete(name);
  return listHref({ ...where, query });
}

function attempts(where, list) {
  const broken = list.broken_attempts;
  if (!broken.length) return null;
  const known = new Set(list.rows.map((row) => row.id));
  const line = (one) => h("tr", {},
    h("td", { class: "faint" }, one.at.slice(0, 19).replace("T", " ")),
    h("td", {}, known.has(one.trajectory_id) ? h("a", { href: replayHref(where, one.trajectory_id) }, one.trajectory_id) : foreign(one.trajectory_id)),
    h("td", {}, String(one.attempt)), h("td", {}, failure(one.failure)));
  return h("details", { open: broken.length <= 5 }, h("summary", {}, `Broken attempts: ${broken.length}, each tried again or given up`),
    table(["when (UTC)", "trajectory", "attempt", "what broke"], broken.map(line)));
}

export async function replayPage(where, get) {
  const [replay, list] = await Promise.all([
    get(`${api(where)}/trajectories/${encodeURIComponent(where.id)}`), get(`${api(where)}/trajectories${filter(where.query)}`)]);
  const ids = list.rows.map((row) => row.id);
  const at = ids.indexOf(replay.id);
  const go = (by) => { const id = ids[at + by]; if (at >= 0 && id) location.hash = replayHref(where, id); };
  const show = player(replay, {
    image: (sha256) => `${api(where)}/images/${sha256}`,
    step: Number(where.query.get("step") ?? 0),
    moved: (step) => {
      const base = replayHref(where, where.id);
      history.replaceState(null, "", `${base}${base.includes("?") ? "&" : "?"}step=${step}`);
    },
  });
  return {
    crumbs: [["runs", "#/"], [where.run, runHref(where.run)], [`iteration ${replay.iteration}, ${replay.stage}`, listHref(where)]],
    title: replay.id,
    keys: { ...show.keys, ArrowDown: () => go(1), ArrowUp: () => go(-1), j: () => go(1), k: () => go(-1) },
    hints: [["← →", "step"], ["Home End", "first, end"], ["↑ ↓", "trajectory"], ["m", "marks"], ["Esc", "up"]],
    body: [
      h("div", { class: "heading" },
        h("h1", {}, foreign(replay.goal || replay.task.id)),
        h("p", { class: "facts" }, badge(replay.outcome), fact("stop", replay.stop), fact("task", replay.task.id), fact("member", replay.member),
          fact("policy", replay.policy_version === null ? "–" : `v${replay.policy_version}`), fact("time", seconds(replay.seconds)),
          replay.attempt > 1 && fact("attempt", replay.attempt), at >= 0 && fact("in this list", `${at + 1} of ${ids.length}`)),
        replay.failure && failure(replay.failure)),
      ...show.body,
      recorded(replay, (file) => `${api(where)}/trajectories/${encodeURIComponent(replay.id)}/recorded/${file}`),
    ],
  };
}

/** Films and trace of an episode; `address(file)` is where one of them is fetched. */
export function recorded(replay, address) {
  if (!replay.recorded.length) return null;
  const megabytes = (size) => `${(size / 1e6).toFixed(size < 1e6 ? 2 : 1)}\u00a0MB`;
  const own = (event) => event.stopPropagation(); // its keys wind the film, the page's change the step
  const show = (one) => h("figure", {},
    one.kind === "video" && one.file && h("video", { src: address(one.file), controls: true, muted: true, preload: "metadata", on: { keydown: own } }),
    h("figcaption", {}, h("span", { class: "faint" }, { video: "film ", trace: "trace ", network: "requests " }[one.kind]),
      one.file && h("a", { href: address(one.file), download: `${replay.id}.${one.file}` }, one.file),
      one.file && h("span", { class: "faint" }, ` ${megabytes(one.size)}`, one.kind === "trace" ? ", for playwright show-trace" : ""),
      one.problem && foreign(`none: ${one.problem}`, "span", "problem")));
  return h("section", { class: "panel recorded" }, h("h2", {}, "Recorded"), h("div", { class: "films" }, replay.recorded.map(show)));
}

export const fact = (name, value) => h("span", {}, h("small", { class: "faint" }, `${name} `), foreign(String(value)));
