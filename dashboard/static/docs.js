// The reference of the API, drawn from /api/openapi.json: nothing is fetched from elsewhere, no markup is parsed.

import { h, table } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function nameOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(nameOf).join(" | ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return `${nameOf(schema.items)}[]`;
  return schema.type ?? "any";
}

function body(content) {
  const [kind, one] = Object.entries(content ?? {})[0] ?? [];
  return kind ? `${nameOf(one.schema) || "bytes"} (${kind})` : "";
}

function route(path, method, one) {
  const query = (one.parameters ?? []).filter((parameter) => parameter.in === "query");
  const answers = Object.entries(one.responses ?? {}).filter(([status]) => status !== "422").map(([status, reply]) => `${status} ${body(reply.content)}`);
  return h("details", { class: "panel" },
    h("summary", {}, h("b", {}, method.toUpperCase()), " ", h("code", {}, path), " ", h("span", { class: "faint" }, (one.description ?? "").split("\n")[0])),
    h("p", {}, one.description ?? ""),
    query.length ? table(["query", "type", "meaning"], query.map((parameter) =>
      h("tr", {}, h("td", {}, parameter.name), h("td", {}, nameOf(parameter.schema)), h("td", {}, parameter.description ?? "")))) : null,
    one.requestBody && h("p", {}, "Body: ", h("code", {}, body(one.requestBody.content))),
    h("p", {}, "Answers: ", h("code", {}, answers.join(", "))));
}

function schema(name, one) {
  const rows = Object.entries(one.properties ?? {}).map(([field, value]) =>
    h("tr", {}, h("td", {}, field, (one.required ?? []).includes(field) ? " *" : ""), h("td", {}, nameOf(value)), h("td", {}, value.description ?? "")));
  return h("details", { class: "panel" }, h("summary", {}, h("b", {}, name), " ", h("span", { class: "faint" }, (one.description ?? "").split("\n")[0])),
    rows.length ? table(["field", "type", "meaning"], rows) : h("p", { class: "faint" }, nameOf(one)));
}

const api = await (await fetch("/api/openapi.json")).json();
document.getElementById("tabs").replaceChildren(h("a", { href: "/" }, "Dashboard"), h("a", { "aria-current": "page" }, "API"));
const routes = Object.entries(api.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method]).map((method) => route(path, method, methods[method])));
document.getElementById("page").replaceChildren(
  h("h1", {}, api.info.title, ": API"),
  h("p", { class: "faint" }, "Every error is {\"code\", \"problem\"}. Lists have the next page in the header Link. The whole description: /api/openapi.json"),
  ...routes, h("h2", {}, "Types"), ...Object.entries(api.components?.schemas ?? {}).map(([name, one]) => schema(name, one)));
