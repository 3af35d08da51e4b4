// The reference of the API, drawn from /api/openapi.json: nothing is fetched from elsewhere, no markup is parsed.
import "./style.css";
import "./acting.css";
import "./extra.css";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { get } from "./api/client";
import { Table } from "./ui/parts";

interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  type?: string;
  items?: Schema;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
}
type Content = Record<string, { schema?: Schema }>;
interface Operation {
  description?: string;
  parameters?: { name: string; in: string; description?: string; schema?: Schema }[];
  requestBody?: { content: Content };
  responses?: Record<string, { content?: Content }>;
}
interface Description {
  info: { title: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}
const METHODS = ["get", "post", "put", "patch", "delete"];

function nameOf(schema: Schema | undefined): string {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1) ?? "";
  if (schema.anyOf) return schema.anyOf.map(nameOf).join(" | ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  return schema.type === "array" ? `${nameOf(schema.items)}[]` : (schema.type ?? "any");
}

function bodyOf(content: Content | undefined): string {
  const [kind, one] = Object.entries(content ?? {})[0] ?? [];
  return kind ? `${nameOf(one?.schema) || "bytes"} (${kind})` : "";
}

const first = (text: string | undefined) => (text ?? "").split("\n")[0];

function Route({ path, method, one }: { path: string; method: string; one: Operation }) {
  const query = (one.parameters ?? []).filter((parameter) => parameter.in === "query");
  const answers = Object.entries(one.responses ?? {}).filter(([status]) => status !== "422");
  return (
    <details className="panel">
      <summary>
        <b>{method.toUpperCase()}</b> <code>{path}</code> <span className="faint">{first(one.description)}</span>
      </summary>
      <p>{one.description}</p>
      {query.length > 0 && (
        <Table columns={["query", "type", "meaning"]}>
          {query.map((parameter) => (
            <tr key={parameter.name}>
              <td>{parameter.name}</td>
              <td>{nameOf(parameter.schema)}</td>
              <td>{parameter.description}</td>
            </tr>
          ))}
        </Table>
      )}
      {one.requestBody && (
        <p>
          Body: <code>{bodyOf(one.requestBody.content)}</code>
        </p>
      )}
      <p>
        Answers: <code>{answers.map(([status, reply]) => `${status} ${bodyOf(reply.content)}`).join(", ")}</code>
      </p>
    </details>
  );
}

function Type({ name, one }: { name: string; one: Schema }) {
  const fields = Object.entries(one.properties ?? {});
  return (
    <details className="panel">
      <summary>
        <b>{name}</b> <span className="faint">{first(one.description)}</span>
      </summary>
      {fields.length ? (
        <Table columns={["field", "type", "meaning"]}>
          {fields.map(([field, value]) => (
            <tr key={field}>
              <td>
                {field}
                {one.required?.includes(field) ? " *" : ""}
              </td>
              <td>{nameOf(value)}</td>
              <td>{value.description}</td>
            </tr>
          ))}
        </Table>
      ) : (
        <p className="faint">{nameOf(one)}</p>
      )}
    </details>
  );
}

function Reference() {
  const [api, setApi] = useState<Description | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get<Description>("/api/openapi.json").then(setApi, (error: Error) => setProblem(error.message));
  }, []);
  if (problem)
    return (
      <p className="problem">
        {problem} <a href="/#/login">Log in</a>
      </p>
    );
  if (!api) return <p className="faint">Reading /api/openapi.json …</p>;
  return (
    <>
      <h1>{api.info.title}: API</h1>
      <p className="faint">
        Every error is {'{"code", "problem"}'}. Lists have the next page in the header Link. The whole description: /api/openapi.json
      </p>
      {Object.entries(api.paths).flatMap(([path, methods]) =>
        METHODS.filter((method) => methods[method]).map((method) => (
          <Route key={`${method} ${path}`} path={path} method={method} one={methods[method]} />
        )),
      )}
      <h2>Types</h2>
      {Object.entries(api.components?.schemas ?? {}).map(([name, one]) => (
        <Type key={name} name={name} one={one} />
      ))}
    </>
  );
}

createRoot(document.getElementById("root") as HTMLElement).render(
  <>
    <header>
      <nav id="tabs" aria-label="Pages">
        <a href="/">Dashboard</a>
        <a href="/docs" aria-current="page">
          API
        </a>
      </nav>
    </header>
    <main id="page">
      <Reference />
    </main>
  </>,
);
