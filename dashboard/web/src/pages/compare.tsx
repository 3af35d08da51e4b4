// Two iterations task by task: which tasks flipped, and the two rollouts of each.
import { type FormEvent, useRef } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import type { IterationComparison, RunSummary } from "../api/types";
import { rolloutTo, taskTo } from "../ui/format";
import { Empty, Field, Foreign, Table, Tile } from "../ui/parts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

type Kind = keyof IterationComparison["counts"];
const WORDS: Record<Kind, string> = { lost: "lost", won: "won", only_a: "only in A", only_b: "only in B", same: "the same" };
const TONES: Record<Kind, string> = { lost: "fail", won: "success", only_a: "", only_b: "", same: "" };
const MOST_SHOWN = 500;

export default function ComparePage() {
  const [query] = useSearchParams();
  const runs = useGet<RunSummary[]>("/api/runs");
  usePage({ title: "compare", hints: TABLE_HINTS });
  return (
    <Loaded of={[runs]}>
      {() => (
        <>
          <h1>Compare two iterations</h1>
          {runs.data?.length ? (
            <Form runs={runs.data} query={query} />
          ) : (
            <Empty>
              There are no runs yet. <code>rl-loop run</code> makes one.
            </Empty>
          )}
          {query.get("run_a") && query.get("run_b") && <Result query={query} />}
          <p className="faint">
            To compare single rollouts step by step, choose some on the page <Link to="/rollouts">Rollouts</Link>.
          </p>
        </>
      )}
    </Loaded>
  );
}

function Form({ runs, query }: { runs: RunSummary[]; query: URLSearchParams }) {
  const form = useRef<HTMLFormElement>(null);
  const navigate = useNavigate();
  const send = (event: FormEvent) => {
    event.preventDefault();
    const given = new FormData(form.current as HTMLFormElement);
    navigate(`/compare?${new URLSearchParams([...given].map(([name, value]) => [name, String(value)]))}`);
  };
  const side = (name: "a" | "b") => (
    <>
      <Field label={`Run ${name.toUpperCase()}`}>
        <select name={`run_${name}`} defaultValue={query.get(`run_${name}`) ?? runs[0].name}>
          {runs.map((run) => (
            <option key={run.name} value={run.name}>
              {run.name}
            </option>
          ))}
        </select>
      </Field>
      <Field label={`Iteration ${name.toUpperCase()}`}>
        <input
          type="number"
          name={`iteration_${name}`}
          min="0"
          max="999999"
          required
          defaultValue={query.get(`iteration_${name}`) ?? (name === "a" ? 0 : runs[0].iterations)}
        />
      </Field>
    </>
  );
  return (
    <form className="compared" ref={form} key={String(query)} onSubmit={send}>
      {side("a")}
      {side("b")}
      <Field label="Stage">
        <select name="stage" defaultValue={query.get("stage") ?? "evaluate"}>
          <option value="evaluate">evaluate</option>
          <option value="rollout">rollout</option>
        </select>
      </Field>
      <button type="submit" className="button main">
        Compare
      </button>
    </form>
  );
}

function Result({ query }: { query: URLSearchParams }) {
  const found = useGet<IterationComparison>(`/api/compare/iterations?${query}`);
  return <Loaded of={[found]}>{() => <Changes found={found.data as IterationComparison} />}</Loaded>;
}

function Changes({ found }: { found: IterationComparison }) {
  if (!found.tasks.length) return <Empty>Neither side has a judged rollout of this stage.</Empty>;
  return (
    <>
      <div className="tiles">
        {(Object.keys(WORDS) as Kind[]).map((kind) => (
          <Tile key={kind} name={WORDS[kind]} value={found.counts[kind]} />
        ))}
      </div>
      <Table columns={["task", "change", "A", "B", ""]}>
        {found.tasks.slice(0, MOST_SHOWN).map((task) => (
          <tr key={task.task_id}>
            <td>
              <Link className="row" to={taskTo(task.task_id)}>
                <Foreign text={task.task_id} />
              </Link>
            </td>
            <td>
              <span className={`badge ${TONES[task.change]}`}>{WORDS[task.change]}</span>
            </td>
            <td>
              {task.judged_a ? (
                <Link to={rolloutTo(task.rollout_a)}>
                  {task.successes_a} of {task.judged_a}
                </Link>
              ) : (
                "–"
              )}
            </td>
            <td>
              {task.judged_b ? (
                <Link to={rolloutTo(task.rollout_b)}>
                  {task.successes_b} of {task.judged_b}
                </Link>
              ) : (
                "–"
              )}
            </td>
            <td>
              {task.judged_a > 0 && task.judged_b > 0 && task.rollout_a !== task.rollout_b && (
                <Link
                  to={`/compare/rollouts?${new URLSearchParams([
                    ["id", task.rollout_a],
                    ["id", task.rollout_b],
                  ])}`}
                >
                  side by side
                </Link>
              )}
            </td>
          </tr>
        ))}
      </Table>
      {found.tasks.length > MOST_SHOWN && <p className="faint">{found.tasks.length - MOST_SHOWN} more tasks are not shown.</p>}
    </>
  );
}
