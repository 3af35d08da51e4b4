// Success by a column, the audit log, and the log-in.

import { change } from "./api.js";
import { ago, button, field, foreign, h, number, seconds, table } from "./dom.js";
import { rate } from "./rollouts.js";

const BY = ["model", "environment", "domain", "run", "iteration", "status", "stop", "failure", "steps"];
const LINK = { model: "model", run: "run", iteration: "iteration", status: "status", failure: "failure" };

export async function analysisPage(where, get) {
  const by = BY.includes(where.query.get("by")) ? where.query.get("by") : "model";
  const source = where.query.get("source") ?? "";
  const groups = await get(`/api/analysis?by=${by}${source ? `&source=${source}` : ""}`);
  const chip = (name) => h("a", { class: "chip", href: `#/analysis?by=${name}${source ? `&source=${source}` : ""}`, "aria-current": name === by ? "true" : null }, name);
  const kinds = [["", "runs and by hand"], ["hand", "by hand"], ["run", "of runs"]];
  const sources = h("select", { "aria-label": "source", on: { change: (event) => { location.hash = `#/analysis?by=${by}${event.target.value ? `&source=${event.target.value}` : ""}`; } } },
    kinds.map(([value, text]) => h("option", { value, selected: value === source }, text)));
  const key = (one) => (LINK[by] && one.key ? h("a", { class: "row", href: `#/rollouts?${new URLSearchParams({ [LINK[by]]: one.key, ...(source && { source }) })}` }, foreign(one.key)) : foreign(one.key || "(none)"));
  const line = (one) => h("tr", {}, h("td", {}, key(one)), h("td", {}, rate(one)), h("td", {}, String(one.rollouts)), h("td", {}, String(one.judged ?? 0)),
    h("td", { class: one.failed ? "bad" : "faint" }, String(one.failed ?? 0)), h("td", {}, number(one.steps)), h("td", {}, seconds(one.seconds)));
  return {
    crumbs: [], title: "analysis", hints: [["↑ ↓", "choose"], ["Enter", "open"]],
    body: [
      h("h1", {}, "Analysis"), h("div", { class: "filters" }, BY.map(chip), sources),
      groups.length ? table([by, "success, 95 % interval", "rollouts", "judged", "failed", "mean steps", "mean time"], groups.map(line)) : h("p", { class: "empty" }, "There are no rollouts yet."),
      h("p", { class: "faint" }, "Only completed rollouts with a verdict count for a success rate. ", h("a", { href: "#/audit" }, "Who did what"), " · ", h("a", { href: "/docs" }, "API")),
    ],
  };
}

export async function auditPage(_, get) {
  const lines = await get("/api/audit");
  const line = (one) => h("tr", {}, h("td", { class: "faint" }, ago(one.at)), foreign(one.who, "td"), h("td", {}, one.action), foreign(one.subject, "td"), foreign(one.detail, "td"));
  return {
    crumbs: [["analysis", "#/analysis"]], title: "audit log", hints: [["Esc", "up"]],
    body: [h("h1", {}, "Audit log"), lines.length ? table(["when", "who", "did", "to", "detail"], lines.map(line)) : h("p", { class: "empty" }, "Nobody has changed anything yet.")],
  };
}

export async function loginPage(where) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", maxlength: "500" });
  const enter = async () => {
    await change("POST", "/api/login", { token: token.value });
    const to = where.query.get("to") ?? "";
    location.hash = to.startsWith("#/") && !to.startsWith("#/login") ? to : "#/";
  };
  const press = button("Log in", enter, "main");
  token.addEventListener("keydown", (event) => { if (event.key === "Enter") press.querySelector("button").click(); });
  return {
    crumbs: [], title: "log in",
    body: [h("section", { class: "panel narrow" }, h("h1", {}, "Log in"), field("Token", token, "the secret of your name in DASHBOARD_TOKENS"), press)],
  };
}
