// One task: its history, and the form that starts rollouts of it.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { getPage, type Page } from "../api/client";
import { useEvents } from "../api/events";
import type { Model, Rollout, Task } from "../api/types";
import { rolloutTo } from "../ui/format";
import { For } from "../ui/me";
import { Empty, Fact, Foreign, Panel } from "../ui/parts";
import { isEnded, Rate, RolloutTable, State } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";
import { SpawnForm } from "../ui/spawn";

export default function TaskPage() {
  const { id = "" } = useParams();
  const task = useGet<Task>(`/api/tasks/${encodeURIComponent(id)}`);
  const address = `/api/rollouts?task_id=${encodeURIComponent(id)}&limit=50`;
  const page = useQuery({
    queryKey: [address],
    queryFn: () => getPage<Rollout>(address),
    refetchInterval: ({ state }) => (state.data?.rows.some((row) => !isEnded(row)) ? 3000 : false),
  });
  const models = useGet<Model[]>("/api/models");
  useEvents(
    (rollout) => page.data?.rows.some((row) => row.id === rollout) ?? false,
    () => Promise.all([page.refetch(), task.refetch()]),
  );
  return (
    <Loaded of={[task, page, models]}>
      {() => <Shown task={task.data as Task} page={page.data as Page<Rollout>} models={models.data ?? []} />}
    </Loaded>
  );
}

function Shown({ task, page, models }: { task: Task; page: Page<Rollout>; models: Model[] }) {
  usePage({ crumbs: [["tasks", "/tasks"]], title: task.id, hints: [...TABLE_HINTS, ["Esc", "up"]] });
  return (
    <>
      <div className="heading">
        <h1>
          <Foreign text={task.task || task.id} />
        </h1>
        <p className="facts">
          <Fact name="environment" value={task.environment} />
          {task.domain && <Fact name="domain" value={task.domain} />}
          <Fact name="difficulty" value={task.difficulty} />
          <Fact name="most steps" value={task.max_steps} />
          {task.start_url && <Fact name="starts at" value={task.start_url} />}
          <span>
            <small className="faint">success </small>
            <Rate of={task} />
          </span>
          <Fact name="completed" value={`${task.completed_count} of ${task.rollout_count}`} />
        </p>
      </div>
      <div className="columns">
        <section>
          {page.rows.length > 0 && (
            <nav className="pills" aria-label="history, newest first">
              {page.rows.map((row) => (
                <Link key={row.id} className="pill" to={rolloutTo(row.id)} title={`${row.model}, ${row.created_at}`}>
                  <State row={row} />
                </Link>
              ))}
            </nav>
          )}
          {page.rows.length ? (
            <RolloutTable rows={page.rows} withTask={false} />
          ) : (
            <Empty>Nobody has played this task yet. Start a rollout on the right.</Empty>
          )}
          {page.cursor && (
            <p>
              <Link to={`/rollouts?task_id=${encodeURIComponent(task.id)}`}>all {page.total} rollouts</Link>
            </p>
          )}
        </section>
        <aside>
          <For least="runner">
            <Panel title="Start rollouts">
              <SpawnForm models={models} ids={() => [task.id]} />
            </Panel>
          </For>
          <Panel title="Expected answer">
            {task.answer === null ? (
              <p className="faint">none: the environment or a judge model decides</p>
            ) : (
              <Foreign text={task.answer} as="pre" />
            )}
          </Panel>
        </aside>
      </div>
    </>
  );
}
