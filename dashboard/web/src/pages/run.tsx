// One run: its curves, the diagnostics of its policy updates, its table by iteration, its configuration.
import { lazy, Suspense, useMemo } from "react";
import { Link, useNavigate, useParams } from "react-router";
import type { IterationView, Run, StageView } from "../api/types";
import { Diagnostics } from "../ui/diagnostics";
import { number, percent, seconds, stageTo } from "../ui/format";
import { Bar, Empty, Foreign, Problems, Table, Tile } from "../ui/parts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";
import { isTold, updatesOf } from "../ui/updates";
import { RunState } from "./runs";

const Curves = lazy(() => import("../ui/curves"));
const STAGES = ["rollout", "judge", "policy_update", "evaluate"];
const SHOWN = [
  "policy.model",
  "environment.name",
  "environment.domains",
  "agent.interaction_mode",
  "agent.prompt",
  "rollout.groups_per_iteration",
  "rollout.group_size",
  "update.loss_type",
  "update.learning_rate",
  "seed",
];

export default function RunPage() {
  const { run: name = "" } = useParams();
  const run = useGet<Run>(`/api/runs/${encodeURIComponent(name)}`, (data) => (data?.finished ? 0 : 5000));
  return <Loaded of={[run]}>{() => <Shown run={run.data as Run} />}</Loaded>;
}

function Shown({ run }: { run: Run }) {
  const navigate = useNavigate();
  usePage({ crumbs: [["runs", "/"]], title: run.name, hints: [...TABLE_HINTS, ["Esc", "up"]] });
  const updates = useMemo(() => updatesOf(run.table), [run.table]);
  const time = run.table.reduce((sum, row) => sum + (row.seconds ?? 0), 0);
  return (
    <>
      <h1>
        {run.name} <RunState run={run} />
      </h1>
      <Problems sentences={run.problems} />
      <Elsewhere links={run.links} />
      <div className="tiles">
        <Tile name="held-out success" value={percent(run.heldout_last)} note={`${percent(run.heldout_first)} at the start`} />
        <Tile name="train success" value={percent(run.train_last)} note="last iteration, sampled" />
        <Tile name="iterations" value={`${run.iterations} / ${run.iterations_planned ?? "?"}`} note={run.now} />
        <Tile name="time" value={seconds(time)} note="all finished stages" />
      </div>
      {run.table.length > 0 && (
        <Suspense fallback={<div className="chart" />}>
          <Curves table={run.table} open={(iteration, stage) => navigate(stageTo(run.name, iteration, stage))} />
        </Suspense>
      )}
      <div className="columns">
        <section>
          <h2>Iterations</h2>
          <Iterations run={run} />
        </section>
        <aside>
          {run.has_curve && (
            <img className="curve" alt="success rate by iteration" src={`/api/runs/${encodeURIComponent(run.name)}/learning_curve.png`} />
          )}
          <h2>Configuration</h2>
          <Config lines={run.config as [string, string][]} />
        </aside>
      </div>
      {isTold(updates) && <Diagnostics updates={updates} />}
    </>
  );
}

/** The same run in other programs. */
function Elsewhere({ links }: { links: Run["links"] }) {
  if (!links.length) return null;
  return (
    <p className="facts">
      {links.map((one) => (
        <span key={one.id}>
          {one.url ? (
            <a href={one.url} target="_blank" rel="noreferrer noopener">
              {one.name}
            </a>
          ) : (
            one.name
          )}{" "}
          <Foreign text={one.id} name="faint" />
        </span>
      ))}
    </p>
  );
}

function Iterations({ run }: { run: Run }) {
  if (!run.table.length) return <Empty>Nothing has been played yet.</Empty>;
  const columns = ["#", "train success", "held-out success", "steps", ...STAGES.map((stage) => stage.replace("_", " ")), "total", "", ""];
  return (
    <Table columns={columns}>
      {[...run.table].reverse().map((row) => (
        <Line key={row.iteration} run={run} row={row} />
      ))}
    </Table>
  );
}

function Line({ run, row }: { run: Run; row: IterationView }) {
  const stages = Object.fromEntries(row.stages.map((stage) => [stage.stage, stage]));
  const link = (stage: string, rate: number | null, name: string) =>
    stages[stage] ? (
      <Link className="row" to={stageTo(run.name, row.iteration, stage)}>
        {rate === null ? "look" : <Bar rate={rate} name={name} />}
      </Link>
    ) : (
      <span className="faint">–</span>
    );
  const one = encodeURIComponent(run.name);
  return (
    <tr>
      <td>{row.iteration}</td>
      <td>{link("rollout", row.train_success, "train")}</td>
      <td>{link("evaluate", row.heldout_success, "heldout")}</td>
      <td>{number(row.steps_mean)}</td>
      {STAGES.map((name) => (
        <td key={name} className="faint">
          <StageTime stage={stages[name]} />
        </td>
      ))}
      <td>{seconds(row.seconds)}</td>
      <td>
        {row.stages
          .filter((stage) => stage.counts.failed)
          .map((stage) => (
            <span key={stage.stage} className="badge broken">
              {stage.counts.failed} broken in {stage.stage}
            </span>
          ))}
      </td>
      <td>
        {stages.evaluate && row.iteration > 0 && (
          <Link to={`/compare?run_a=${one}&iteration_a=0&run_b=${one}&iteration_b=${row.iteration}`}>compare</Link>
        )}
      </td>
    </tr>
  );
}

function StageTime({ stage }: { stage: StageView | undefined }) {
  if (!stage) return null;
  if (stage.finished) return seconds(stage.seconds);
  return <span className="now">{stage.total ? `${stage.done}/${stage.total}` : stage.note || "…"}</span>;
}

function Config({ lines }: { lines: [string, string][] }) {
  const rows = (some: [string, string][]) => (
    <table className="config">
      <tbody>
        {some.map(([key, value]) => (
          <tr key={key}>
            <th scope="row">{key}</th>
            <Foreign text={value} as="td" />
          </tr>
        ))}
      </tbody>
    </table>
  );
  return (
    <>
      {rows(lines.filter(([key]) => SHOWN.includes(key)))}
      <details>
        <summary>all {lines.length} settings</summary>
        {rows(lines)}
      </details>
    </>
  );
}
