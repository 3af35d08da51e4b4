// What every browser shows now: a cell per rollout with its newest picture, its phase and its step.
import { memo, useCallback } from "react";
import { Link } from "react-router";
import { useEvents } from "../api/events";
import type { Rollout, Stats } from "../api/types";
import { rolloutTo, sizeOf } from "../ui/format";
import { Ago, Empty, Foreign, Tile } from "../ui/parts";
import { Actions, Picture, State } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

const REFRESH_MS = 1000;

export default function LivePage() {
  const rows = useGet<Rollout[]>("/api/live", REFRESH_MS);
  const stats = useGet<Stats>("/api/compute/stats", REFRESH_MS);
  const [fetchRows, fetchStats] = [rows.refetch, stats.refetch];
  const again = useCallback(() => Promise.all([fetchRows(), fetchStats()]), [fetchRows, fetchStats]);
  useEvents(() => true, again);
  return <Loaded of={[rows, stats]}>{() => <Shown rows={rows.data ?? []} stats={stats.data as Stats} again={again} />}</Loaded>;
}

function Shown({ rows, stats, again }: { rows: Rollout[]; stats: Stats; again: () => Promise<unknown> }) {
  usePage({ title: "live", hints: TABLE_HINTS });
  return (
    <>
      <h1>Live</h1>
      <div className="tiles">
        <Tile name="running" value={`${stats.in_progress} of ${stats.max_workers}`} />
        <Tile name="waiting" value={stats.pending} />
        <Tile name="completed" value={stats.counts.completed} />
        <Tile name="failed" value={stats.counts.failed} />
        <Tile name="free disk" value={sizeOf(stats.free_bytes)} />
      </div>
      {rows.length ? (
        <div className="grid">
          {rows.map((row) => (
            <Cell key={row.id} row={row} again={again} />
          ))}
        </div>
      ) : (
        <Empty>
          No rollout is played now. <Link to="/tasks">Start some</Link>, or watch a training run with <code>rl-loop monitor</code>.
        </Empty>
      )}
    </>
  );
}

// A row that has not changed is the same object after a refetch: its cell is not drawn again.
const Cell = memo(({ row, again }: { row: Rollout; again: () => Promise<unknown> }) => (
  <article className="cell">
    <Link className="row look" to={rolloutTo(row.id)} title={row.goal || row.task_id} aria-label={row.goal || row.task_id}>
      {row.picture ? <Picture row={row} name="shot-now" /> : <span className="faint">{row.phase || row.status}</span>}
    </Link>
    <p>
      <State row={row} /> <small className="faint">{row.phase}</small>
    </p>
    <Foreign text={row.goal || row.task_id} as="p" name="goal" />
    <p className="faint">
      <Foreign text={row.model} /> · <Ago at={row.started_at} />
    </p>
    <div className="actions">
      <Actions row={row} done={again} />
    </div>
  </article>
));
