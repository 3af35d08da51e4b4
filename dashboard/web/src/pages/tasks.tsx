// The tasks with their success, and the upload with its report.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { change, getPage, type Page } from "../api/client";
import type { Environment, Model, Task, UploadReport } from "../api/types";
import { asked, chosenOf, taskTo, withValue } from "../ui/format";
import { For } from "../ui/me";
import { Ago, Button, Choice, Empty, Field, Foreign, Panel, Search, Table } from "../ui/parts";
import { Rate } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";
import { SpawnForm } from "../ui/spawn";

const PAGE = 100;
const COLUMNS = ["", "task", "success, 95 % interval", "rollouts", "expected answer", "since"];

export default function TasksPage() {
  const [query] = useSearchParams();
  const chosen = chosenOf(query, ["q", "source"]);
  const pages = useInfiniteQuery({
    queryKey: ["tasks", String(chosen)],
    queryFn: ({ pageParam }) =>
      getPage<Task>(`/api/tasks?limit=${PAGE}${pageParam && `&cursor=${encodeURIComponent(pageParam)}`}&${chosen}`),
    initialPageParam: "",
    getNextPageParam: (page: Page<Task>) => page.cursor ?? undefined,
  });
  const environments = useGet<Environment[]>("/api/environments");
  const models = useGet<Model[]>("/api/models");
  const rows = pages.data?.pages.flatMap((page) => page.rows) ?? [];
  return (
    <Loaded of={[pages, environments, models]}>
      {() => (
        <Shown
          rows={rows}
          chosen={chosen}
          environments={environments.data ?? []}
          models={models.data ?? []}
          again={() => pages.refetch()}
          more={pages.hasNextPage ? () => pages.fetchNextPage() : null}
        />
      )}
    </Loaded>
  );
}

interface Parts {
  rows: Task[];
  chosen: URLSearchParams;
  environments: Environment[];
  models: Model[];
  again: () => Promise<unknown>;
  more: (() => Promise<unknown>) | null;
}

function Shown({ rows, chosen, environments, models, again, more }: Parts) {
  const navigate = useNavigate();
  const list = useRef<HTMLElement>(null);
  usePage({ title: "tasks", hints: [...TABLE_HINTS, ["/", "search"]] });
  const go = (name: string) => (value: string) => navigate(`/tasks${asked(withValue(chosen, name, value))}`);
  const checked = () => [...(list.current?.querySelectorAll<HTMLInputElement>("input[name=task]:checked") ?? [])].map((box) => box.value);
  return (
    <>
      <h1>Tasks</h1>
      <search className="filters">
        <Search value={chosen.get("q") ?? ""} hint="Search id, goal, domain" go={go("q")} />
        <Choice
          name="source"
          value={chosen.get("source") ?? ""}
          choose={go("source")}
          options={[
            ["", "uploaded and of runs"],
            ["upload", "uploaded"],
            ["run", "of runs"],
          ]}
        />
      </search>
      <div className="columns">
        <section ref={list}>
          {rows.length ? <Tasks rows={rows} /> : <Nothing filtered={chosen.size > 0} />}
          {more && <Button text="Show more" action={more} />}
        </section>
        <aside>
          <For least="runner">
            <Upload environments={environments} again={again} />
            {rows.length > 0 && (
              <Panel title="Start rollouts of the chosen tasks">
                <SpawnForm models={models} ids={checked} />
              </Panel>
            )}
          </For>
        </aside>
      </div>
    </>
  );
}

const Nothing = ({ filtered }: { filtered: boolean }) => (
  <Empty>
    {filtered ? "No task passes this filter." : 'There are no tasks yet. Upload a file: a JSON array of {"id", "task", "answer"}.'}
  </Empty>
);

const Tasks = ({ rows }: { rows: Task[] }) => (
  <Table columns={COLUMNS}>
    {rows.map((task) => (
      <tr key={task.id}>
        <td>
          <input type="checkbox" name="task" value={task.id} aria-label={`choose ${task.id}`} />
        </td>
        <td>
          <Link className="row" to={taskTo(task.id)}>
            <Foreign text={task.task || task.id} as="b" name="goal" />
          </Link>
          <div className="faint">
            <Foreign text={task.id} /> · <Foreign text={task.environment} />
            {task.domain && (
              <>
                {" "}
                · <Foreign text={task.domain} />
              </>
            )}
          </div>
        </td>
        <td>
          <Rate of={task} />
        </td>
        <td>
          <Link to={`/rollouts?task_id=${encodeURIComponent(task.id)}`}>{task.rollout_count}</Link>
        </td>
        <td>
          <Foreign text={task.answer ?? "–"} name="short-text" />
        </td>
        <td className="faint nowrap">
          <Ago at={task.created_at} />
        </td>
      </tr>
    ))}
  </Table>
);

function Upload({ environments, again }: { environments: Environment[]; again: () => Promise<unknown> }) {
  const file = useRef<HTMLInputElement>(null);
  const environment = useRef<HTMLSelectElement>(null);
  const [report, setReport] = useState<UploadReport | null>(null);
  const send = async () => {
    const chosen = file.current?.files?.[0];
    if (!chosen) throw new Error("Choose a file first.");
    const form = new FormData();
    form.append("file", chosen);
    setReport(
      await change<UploadReport>("POST", `/api/tasks/upload?environment=${encodeURIComponent(environment.current?.value ?? "")}`, form),
    );
    await again();
  };
  return (
    <Panel title="Upload tasks">
      <Field label="File" hint="tasks.json with id, task, answer; WebGym's JSONL; or this project's own">
        <input ref={file} type="file" accept=".json,.jsonl" id="upload-file" />
      </Field>
      <Field label="Environment" hint="of tasks that name none">
        <select ref={environment} defaultValue={environments.find((one) => one.default)?.name}>
          {environments.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </select>
      </Field>
      <Button text="Upload" name="main" action={send} />
      <div aria-live="polite">
        {report && (
          <p>
            {report.message} <Link to="/tasks?source=upload">Show them</Link>
          </p>
        )}
        {report && report.rejected.length > 0 && (
          <Table columns={["row", "why it is no task"]}>
            {report.rejected.map((one) => (
              <tr key={one.index}>
                <td>{one.index + 1}</td>
                <Foreign text={one.reason} as="td" />
              </tr>
            ))}
          </Table>
        )}
      </div>
    </Panel>
  );
}
