// The trajectories of one stage, with their filters in the address.
import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import type { Failure as FailureType, TrajectoryList, TrajectoryRow } from "../api/types";
import { asked, chosenOf, number, runTo, seconds, stageTo, withValue } from "../ui/format";
import { Badge, Choice, Empty, Foreign, Problems, Table } from "../ui/parts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

export const FILTERS = ["outcome", "stop", "domain"];
const COLUMNS = ["", "task", "outcome", "reward", "stop", "steps", "time", "policy"];

/** Addresses of the stage that the page shows. */
export function useStage() {
  const { run = "", iteration = "", stage = "" } = useParams();
  const [query] = useSearchParams();
  const filter = chosenOf(query, FILTERS);
  const api = `/api/runs/${encodeURIComponent(run)}/iterations/${encodeURIComponent(iteration)}/${encodeURIComponent(stage)}`;
  const to = stageTo(run, iteration, stage);
  return {
    run,
    api,
    filter,
    list: `${api}/trajectories${asked(filter)}`,
    listTo: `${to}${asked(filter)}`,
    to,
    replayTo: (id: string) => `${to}/${encodeURIComponent(id)}${asked(filter)}`,
  };
}
type Stage = ReturnType<typeof useStage>;

export default function TrajectoriesPage() {
  const stage = useStage();
  const list = useGet<TrajectoryList>(stage.list);
  return <Loaded of={[list]}>{() => <Shown stage={stage} list={list.data as TrajectoryList} />}</Loaded>;
}

function Shown({ stage, list }: { stage: Stage; list: TrajectoryList }) {
  const navigate = useNavigate();
  usePage({
    crumbs: [
      ["runs", "/"],
      [stage.run, runTo(stage.run)],
    ],
    title: `iteration ${list.iteration}, ${list.stage}`,
    hints: [...TABLE_HINTS, ["Esc", "up"]],
  });
  const go = (name: string, value: string) => navigate(`${stage.to}${asked(withValue(stage.filter, name, value))}`);
  const choice = (name: "stop" | "domain") => (
    <Choice
      name={name}
      value={stage.filter.get(name) ?? ""}
      choose={(value) => go(name, value)}
      options={[
        ["", `any ${name}`],
        ...Object.entries(list.choices[name]).map(([value, count]): [string, string] => [value, `${value} (${count})`]),
      ]}
    />
  );
  const outcomes: [string, string, number][] = [
    ["", "all", list.total],
    ...Object.entries(list.choices.outcome)
      .filter(([, count]) => count > 0)
      .map(([name, count]): [string, string, number] => [name, name, count]),
  ];
  return (
    <>
      <h1>
        Iteration {list.iteration}: {list.stage}{" "}
        <small className="faint">
          {list.rows.length === list.total ? list.total : `${list.rows.length} of ${list.total}`} trajectories
        </small>
      </h1>
      <Problems sentences={list.problems} />
      <div className="filters">
        {outcomes.map(([value, text, count]) => (
          <Link
            key={value}
            className={`chip ${value}`}
            to={`${stage.to}${asked(withValue(stage.filter, "outcome", value))}`}
            aria-current={(stage.filter.get("outcome") ?? "") === value ? "true" : undefined}
          >
            {text} <b>{count}</b>
          </Link>
        ))}
        {choice("stop")}
        {choice("domain")}
      </div>
      {list.rows.length ? (
        <Table columns={COLUMNS}>
          {list.rows.map((row) => (
            <Line key={row.id} row={row} stage={stage} />
          ))}
        </Table>
      ) : (
        <Empty>No trajectory passes this filter.</Empty>
      )}
      <Attempts list={list} stage={stage} />
    </>
  );
}

function Line({ row, stage }: { row: TrajectoryRow; stage: Stage }) {
  return (
    <tr>
      <td className="thumb">{row.picture && <img loading="lazy" alt="" src={`${stage.api}/images/${row.picture}`} />}</td>
      <td>
        <Link className="row" to={stage.replayTo(row.id)}>
          <Foreign text={row.goal || row.task} as="b" name="goal" />
        </Link>
        <div className="faint">
          <Foreign text={row.task} />, member {row.member}
        </div>
        {row.failure && <Failure found={row.failure} />}
      </td>
      <td>
        <Badge outcome={row.outcome} />
        {row.blocked && <span className="badge broken">blocked</span>}
      </td>
      <td>{number(row.reward, 2)}</td>
      <td>{row.stop}</td>
      <td>{row.steps}</td>
      <td>
        {seconds(row.seconds)}
        {row.attempt > 1 && <div className="faint">attempt {row.attempt}</div>}
      </td>
      <td>{row.policy_version === null ? "–" : `v${row.policy_version}`}</td>
    </tr>
  );
}

export const Failure = ({ found }: { found: FailureType }) => (
  <p className="problem">
    {found.side} broke: {found.code}, <Foreign text={found.message} />
    {found.retryable ? " (may be tried again)" : ""}
  </p>
);

function Attempts({ list, stage }: { list: TrajectoryList; stage: Stage }) {
  const broken = list.broken_attempts;
  if (!broken.length) return null;
  const known = new Set(list.rows.map((row) => row.id));
  return (
    <details open={broken.length <= 5}>
      <summary>Broken attempts: {broken.length}, each tried again or given up</summary>
      <Table columns={["when (UTC)", "trajectory", "attempt", "what broke"]}>
        {broken.map((one) => (
          <tr key={`${one.trajectory_id} ${one.attempt} ${one.at}`}>
            <td className="faint">{one.at.slice(0, 19).replace("T", " ")}</td>
            <td>
              {known.has(one.trajectory_id) ? (
                <Link to={stage.replayTo(one.trajectory_id)}>{one.trajectory_id}</Link>
              ) : (
                <Foreign text={one.trajectory_id} />
              )}
            </td>
            <td>{one.attempt}</td>
            <td>
              <Failure found={one.failure} />
            </td>
          </tr>
        ))}
      </Table>
    </details>
  );
}
