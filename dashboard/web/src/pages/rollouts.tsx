// The table of rollouts, of runs and by hand: filters in the address, rows drawn only where they are seen, export, comparison.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { getPage, type Page } from "../api/client";
import { useEvents } from "../api/events";
import type { Model, Rollout } from "../api/types";
import { asked, chosenOf, withValue } from "../ui/format";
import { Button, Choice, Empty, Foreign, Search, Table } from "../ui/parts";
import { COLUMNS, isEnded, RolloutLine, STATUSES } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";
import { Views } from "../ui/views";

const FILTERS = ["status", "success", "source", "model", "task_id", "run", "iteration", "job_id", "failure", "judged_by_person", "q"];
const CHOICES: Record<string, [string, string][]> = {
  status: [["", "any status"], ...STATUSES.map((one): [string, string] => [one, one])],
  success: [
    ["", "any verdict"],
    ["true", "success"],
    ["false", "no success"],
  ],
  source: [
    ["", "runs and by hand"],
    ["hand", "by hand"],
    ["run", "of runs"],
  ],
  judged_by_person: [
    ["", "judged by anyone"],
    ["true", "judged by a person"],
    ["false", "not by a person"],
  ],
};
const PAGE = 100;
const ROW_PX = 76;
const MOST_COMPARED = 8;

export default function RolloutsPage() {
  const [query] = useSearchParams();
  const chosen = chosenOf(query, FILTERS);
  const pages = useInfiniteQuery({
    queryKey: ["rollouts", String(chosen)],
    queryFn: ({ pageParam }) =>
      getPage<Rollout>(`/api/rollouts?limit=${PAGE}${pageParam && `&cursor=${encodeURIComponent(pageParam)}`}&${chosen}`),
    initialPageParam: "",
    getNextPageParam: (page: Page<Rollout>) => page.cursor ?? undefined,
    refetchInterval: ({ state }) => (state.data?.pages[0].rows.some((row) => row.source === "hand" && !isEnded(row)) ? 5000 : false),
  });
  const models = useGet<Model[]>("/api/models");
  useEvents(
    () => (pages.data?.pages.length ?? 0) < 3,
    () => pages.refetch(),
  );
  const rows = pages.data?.pages.flatMap((page) => page.rows) ?? [];
  const more = pages.hasNextPage ? () => pages.fetchNextPage() : null;
  return (
    <Loaded of={[pages, models]}>
      {() => <Shown rows={rows} total={pages.data?.pages[0].total ?? ""} more={more} chosen={chosen} models={models.data ?? []} />}
    </Loaded>
  );
}

function Shown({
  rows,
  total,
  more,
  chosen,
  models,
}: {
  rows: Rollout[];
  total: string;
  more: (() => Promise<unknown>) | null;
  chosen: URLSearchParams;
  models: Model[];
}) {
  const [picked, setPicked] = useState<string[]>([]);
  const navigate = useNavigate();
  usePage({ title: "rollouts", hints: [...TABLE_HINTS, ["/", "search"]] });
  const pick = (id: string) =>
    setPicked((old) => (old.includes(id) ? old.filter((one) => one !== id) : [...old, id].slice(-MOST_COMPARED)));
  const compare = async () => {
    if (picked.length < 2) throw new Error("Choose at least two rollouts.");
    navigate(`/compare/rollouts?${new URLSearchParams(picked.map((id) => ["id", id]))}`);
  };
  return (
    <>
      <h1>
        Rollouts{" "}
        <small className="faint">
          {total} rollout{total === "1" ? "" : "s"}
        </small>
      </h1>
      <Filters chosen={chosen} models={models} />
      <Views chosen={chosen} />
      {rows.length ? <Rows rows={rows} picked={picked} pick={pick} /> : <Nothing filtered={chosen.size > 0} />}
      <p className="actions">
        {more && <Button text="Show more" action={more} />}
        {rows.length > 1 && <Button text="Compare the chosen ones" action={compare} />}
      </p>
      {rows.length > 0 && (
        <p className="faint">
          Export what this filter shows:{" "}
          {["csv", "json", "jsonl", "parquet"].map((kind) => (
            <span key={kind}>
              <a href={`/api/export/rollouts.${kind}?${chosen}`} download={`rollouts.${kind}`}>
                {kind.toUpperCase()}
              </a>{" "}
            </span>
          ))}
        </p>
      )}
    </>
  );
}

/** Only the rows near the window are in the document; two empty rows keep the place of the others. */
function Rows({ rows, picked, pick }: { rows: Rollout[]; picked: string[]; pick: (id: string) => void }) {
  const top = useRef<HTMLDivElement>(null);
  const list = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_PX,
    overscan: 12,
    scrollMargin: top.current?.offsetTop ?? 0,
  });
  const items = list.getVirtualItems();
  const before = (items[0]?.start ?? 0) - list.options.scrollMargin;
  const after = list.getTotalSize() - ((items.at(-1)?.end ?? 0) - list.options.scrollMargin);
  return (
    <div ref={top}>
      <Table columns={COLUMNS}>
        {before > 0 && <tr style={{ height: before }} />}
        {items.map(({ index }) => {
          const row = rows[index];
          const box = (
            <input
              type="checkbox"
              name="compare"
              aria-label={`compare ${row.id}`}
              checked={picked.includes(row.id)}
              onChange={() => pick(row.id)}
            />
          );
          return (
            <tr key={row.id} ref={list.measureElement} data-index={index}>
              <RolloutLine row={row} first={box} />
            </tr>
          );
        })}
        {after > 0 && <tr style={{ height: after }} />}
      </Table>
    </div>
  );
}

function Filters({ chosen, models }: { chosen: URLSearchParams; models: Model[] }) {
  const navigate = useNavigate();
  const go = (name: string) => (value: string) => navigate(`/rollouts${asked(withValue(chosen, name, value))}`);
  const names = [...new Set(["policy", ...(chosen.get("model") ? [chosen.get("model") as string] : []), ...models.map((one) => one.name)])];
  const choice = (name: string, options: [string, string][]) => (
    <Choice key={name} name={name} value={chosen.get(name) ?? ""} options={options} choose={go(name)} />
  );
  return (
    <search className="filters">
      <Search value={chosen.get("q") ?? ""} hint="Search task, goal, answer, error" go={go("q")} />
      {["status", "success", "source"].map((name) => choice(name, CHOICES[name]))}
      {choice("model", [["", "any model"], ...names.map((name): [string, string] => [name, name])])}
      {choice("judged_by_person", CHOICES.judged_by_person)}
      {["task_id", "run", "iteration", "job_id", "failure"]
        .filter((name) => chosen.get(name))
        .map((name) => (
          <button key={name} type="button" className="chip" title="remove this filter" onClick={() => go(name)("")}>
            {name.replace("_id", "")}: <Foreign text={chosen.get(name)} /> ×
          </button>
        ))}
    </search>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered)
    return (
      <Empty>
        No rollout passes this filter. <Link to="/rollouts">Show all</Link>
      </Empty>
    );
  return (
    <Empty>
      There are no rollouts yet. <Link to="/tasks">Choose a task</Link> and start one, or train: <code>rl-loop run</code>.
    </Empty>
  );
}
