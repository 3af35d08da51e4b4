// Success by a column, as bars that open their rollouts, and as a table.
import { lazy, Suspense } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import type { GroupView } from "../api/types";
import { number, seconds } from "../ui/format";
import { Choice, Empty, Foreign, Table } from "../ui/parts";
import { Rate } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

const Bars = lazy(() => import("../ui/bars"));
const BY = ["model", "environment", "domain", "run", "iteration", "status", "stop", "failure", "steps"];
const LINKED = ["model", "run", "iteration", "status", "failure"];

export default function AnalysisPage() {
  const [query] = useSearchParams();
  const by = BY.includes(query.get("by") ?? "") ? (query.get("by") as string) : "model";
  const source = query.get("source") ?? "";
  const groups = useGet<GroupView[]>(`/api/analysis?by=${by}${source && `&source=${encodeURIComponent(source)}`}`);
  return <Loaded of={[groups]}>{() => <Shown groups={groups.data ?? []} by={by} source={source} />}</Loaded>;
}

function Shown({ groups, by, source }: { groups: GroupView[]; by: string; source: string }) {
  const navigate = useNavigate();
  usePage({ title: "analysis", hints: TABLE_HINTS });
  const here = (name: string, kind: string) => `/analysis?by=${name}${kind && `&source=${kind}`}`;
  const to = LINKED.includes(by) ? (key: string) => `/rollouts?${new URLSearchParams({ [by]: key, ...(source && { source }) })}` : null;
  return (
    <>
      <h1>Analysis</h1>
      <div className="filters">
        {BY.map((name) => (
          <Link key={name} className="chip" to={here(name, source)} aria-current={name === by ? "true" : undefined}>
            {name}
          </Link>
        ))}
        <Choice
          name="source"
          value={source}
          options={[
            ["", "runs and by hand"],
            ["hand", "by hand"],
            ["run", "of runs"],
          ]}
          choose={(value) => navigate(here(by, value))}
        />
      </div>
      <Suspense fallback={<div className="chart" />}>
        <Bars groups={groups} open={to ? (key) => navigate(to(key)) : undefined} />
      </Suspense>
      {groups.length ? (
        <Table columns={[by, "success, 95 % interval", "rollouts", "judged", "failed", "mean steps", "mean time"]}>
          {groups.map((one) => (
            <tr key={one.key}>
              <td>
                {to && one.key ? (
                  <Link className="row" to={to(one.key)}>
                    <Foreign text={one.key} />
                  </Link>
                ) : (
                  <Foreign text={one.key || "(none)"} />
                )}
              </td>
              <td>
                <Rate of={one} />
              </td>
              <td>{one.rollouts}</td>
              <td>{one.judged}</td>
              <td className={one.failed ? "bad" : "faint"}>{one.failed}</td>
              <td>{number(one.steps)}</td>
              <td>{seconds(one.seconds)}</td>
            </tr>
          ))}
        </Table>
      ) : (
        <Empty>There are no rollouts yet.</Empty>
      )}
      <p className="faint">
        Only completed rollouts with a verdict count for a success rate. <a href="/docs">API</a>
      </p>
    </>
  );
}
