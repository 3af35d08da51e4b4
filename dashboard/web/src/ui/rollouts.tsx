// Parts about rollouts that several pages share: state, picture, actions, table.
import { Link } from "react-router";
import { change } from "../api/client";
import type { GroupView, Rollout, Task } from "../api/types";
import { number, rolloutApi, rolloutTo, seconds } from "./format";
import { useMay } from "./me";
import { Ago, Badge, Bar, Button, Foreign, Table } from "./parts";

export const STATUSES = ["pending", "provisioning", "running", "judging", "completed", "failed", "cancelled"];
export const isEnded = (row: Rollout) => ["completed", "failed", "cancelled"].includes(row.status);

/** The state of a rollout in one mark: its verdict once it is completed. */
export function State({ row }: { row: Rollout }) {
  if (row.status === "completed") return <Badge outcome={row.success === null ? "unjudged" : row.success ? "success" : "fail"} />;
  if (row.status === "failed") return <span className="badge broken">failed</span>;
  const text = row.cancelling
    ? "cancelling"
    : row.paused
      ? `paused, step ${row.steps + 1}`
      : row.status === "running"
        ? `running, step ${row.steps + 1}`
        : row.status;
  return <span className={`badge ${row.status === "cancelled" || row.status === "pending" ? "" : "going"}`}>{text}</span>;
}

export const Picture = ({ row, name }: { row: Rollout; name?: string }) =>
  row.picture ? <img className={name} loading="lazy" alt="" src={`${rolloutApi(row.id)}/images/${row.picture}`} /> : null;

export function Rate({ of: { success_rate, success_low, success_high } }: { of: Task | GroupView }) {
  if (success_rate === null || success_low === null || success_high === null) return <span className="faint">–</span>;
  const [low, high] = [Math.round(success_low * 100), Math.round(success_high * 100)];
  return (
    <span className="nowrap" title={`95 % interval: ${low} to ${high} %`}>
      <Bar rate={success_rate} name="heldout" />
      <small className="faint">
        {" "}
        {low}–{high}
      </small>
    </span>
  );
}

/** Cancel, retry, judge again or delete, whichever is possible now. `done(answer)` is called after it. */
export function Actions({ row, done }: { row: Rollout; done: (answer: Rollout) => unknown }) {
  const may = useMay("runner");
  if (row.source !== "hand" || !may) return null;
  const act = (text: string, method: string, path: string, name = "") => (
    <Button text={text} name={name} action={async () => done(await change<Rollout>(method, `${rolloutApi(row.id)}${path}`))} />
  );
  if (!isEnded(row) && row.cancelling) return null;
  if (!isEnded(row))
    return (
      <>
        {["provisioning", "running"].includes(row.status) &&
          (row.paused ? act("Go on", "POST", "/resume") : act("Pause", "POST", "/pause"))}
        {act("Cancel", "POST", "/cancel", "danger")}
      </>
    );
  return (
    <>
      {act("Retry", "POST", "/retry")}
      {row.status === "completed" && act("Judge again", "POST", "/rejudge")}
      {act("Delete", "DELETE", "", "danger")}
    </>
  );
}

export const COLUMNS = ["", "task", "state", "model", "reward", "steps", "time", "answer", "asked for"];

export function RolloutLine({ row, withTask = true, first }: { row: Rollout; withTask?: boolean; first?: React.ReactNode }) {
  return (
    <>
      <td className="thumb">
        <span className="pick">
          {first}
          <Picture row={row} />
        </span>
      </td>
      <td>
        <Link className="row" to={rolloutTo(row.id)}>
          <Foreign text={(withTask && row.goal) || row.task_id} as="b" name="goal" />
        </Link>
        <div className="faint">
          {withTask && (
            <>
              <Foreign text={row.task_id} /> ·{" "}
            </>
          )}
          {row.source === "hand" ? "by hand" : <Foreign text={`${row.run}, iteration ${row.iteration}, ${row.stage}`} />}
        </div>
        {row.error && <Foreign text={`${row.failure_side} broke: ${row.failure_code}, ${row.error}`} as="p" name="problem short-text" />}
      </td>
      <td>
        <State row={row} />
        {row.human !== null && <span className="badge">by a person</span>}
      </td>
      <td>
        <Foreign text={row.model || "–"} name="short-text" />
      </td>
      <td>{number(row.reward, 2)}</td>
      <td>{row.steps}</td>
      <td className="nowrap">{row.seconds ? seconds(row.seconds) : "–"}</td>
      <td>
        <Foreign text={row.result ?? "–"} name="short-text" />
      </td>
      <td className="faint nowrap">
        <Ago at={row.created_at} />
      </td>
    </>
  );
}

export const RolloutTable = ({ rows, withTask = true }: { rows: Rollout[]; withTask?: boolean }) => (
  <Table columns={COLUMNS}>
    {rows.map((row) => (
      <tr key={row.id}>
        <RolloutLine row={row} withTask={withTask} />
      </tr>
    ))}
  </Table>
);
