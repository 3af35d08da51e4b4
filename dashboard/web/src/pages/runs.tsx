// The list of runs.
import { Link } from "react-router";
import type { RunSummary } from "../api/types";
import { runTo } from "../ui/format";
import { Ago, Bar, Empty, Problems, Table } from "../ui/parts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

const COLUMNS = ["run", "state", "iterations", "held-out success", "since the start", "train success", "changed", "created (UTC)"];

export default function RunsPage() {
  const runs = useGet<RunSummary[]>("/api/runs", 5000);
  return <Loaded of={[runs]}>{() => <Runs runs={runs.data ?? []} />}</Loaded>;
}

function Runs({ runs }: { runs: RunSummary[] }) {
  usePage({ title: "runs", hints: TABLE_HINTS });
  if (!runs.length)
    return (
      <>
        <h1>Runs</h1>
        <Empty>
          No runs in this directory yet. <code>rl-loop run</code> makes one.
        </Empty>
      </>
    );
  return (
    <>
      <h1>Runs</h1>
      <Table columns={COLUMNS}>
        {runs.map((run) => (
          <tr key={run.name}>
            <td>
              <Link className="row" to={runTo(run.name)}>
                {run.name}
              </Link>
              <Problems sentences={run.problems} />
            </td>
            <td>
              <RunState run={run} />
            </td>
            <td>
              {run.iterations} / {run.iterations_planned ?? "?"}
            </td>
            <td>
              <Bar rate={run.heldout_last} name="heldout" />
            </td>
            <td>
              <Gain run={run} />
            </td>
            <td>
              <Bar rate={run.train_last} name="train" />
            </td>
            <td className="faint">
              <Ago at={run.changed} />
            </td>
            <td className="faint">{run.created.slice(0, 16).replace("T", " ")}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

export const RunState = ({ run }: { run: RunSummary }) =>
  run.finished ? <span className="badge success">finished</span> : <span className="badge unjudged">{run.now}</span>;

function Gain({ run }: { run: RunSummary }) {
  if (run.heldout_first === null || run.heldout_last === null) return "–";
  const points = Math.round((run.heldout_last - run.heldout_first) * 100);
  return (
    <span className={points > 0 ? "good" : points < 0 ? "bad" : "faint"}>
      {points > 0 ? "+" : ""}
      {points} points
    </span>
  );
}
