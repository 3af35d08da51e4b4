// Judges against people: how they agree, where they disagree, and what nobody has decided. A person settles it here.
import { change } from "../api/client";
import type { Judges, Rollout } from "../api/types";
import { rolloutApi } from "../ui/format";
import { For } from "../ui/me";
import { Button, Empty, Table } from "../ui/parts";
import { COLUMNS, RolloutLine } from "../ui/rollouts";
import { Loaded, TABLE_HINTS, useGet, usePage } from "../ui/shell";

const VERDICTS: [boolean | null, string][] = [
  [true, "success"],
  [false, "no success"],
  [null, "undecided"],
];

export default function JudgesPage() {
  const judges = useGet<Judges>("/api/judges");
  return <Loaded of={[judges]}>{() => <Shown found={judges.data as Judges} again={() => judges.refetch()} />}</Loaded>;
}

function Shown({ found, again }: { found: Judges; again: () => Promise<unknown> }) {
  usePage({ title: "judges", hints: TABLE_HINTS });
  return (
    <>
      <h1>Judges</h1>
      <h2>Judges against people</h2>
      {found.confusion.length ? (
        <Confusion cells={found.confusion} />
      ) : (
        <Empty>No person has judged a rollout yet: open one and give your verdict, or settle the ones below.</Empty>
      )}
      <h2>Nobody decided ({found.undecided.length})</h2>
      <List rows={found.undecided} again={again} nothing="Every completed rollout has a verdict." />
      <h2>A person disagreed with the judge ({found.overruled.length})</h2>
      <List rows={found.overruled} again={again} nothing="No person has disagreed with a judge." />
    </>
  );
}

function Confusion({ cells }: { cells: Judges["confusion"] }) {
  const count = (judge: boolean | null, person: boolean) =>
    cells.find((cell) => cell.judge === judge && cell.person === person)?.rollouts ?? 0;
  return (
    <table className="config confusion">
      <thead>
        <tr>
          <th scope="col">judge</th>
          <th scope="col">person: success</th>
          <th scope="col">person: no success</th>
        </tr>
      </thead>
      <tbody>
        {VERDICTS.map(([judge, name]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td className={judge === false ? "bad" : ""}>{count(judge, true)}</td>
            <td className={judge === true ? "bad" : ""}>{count(judge, false)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function List({ rows, again, nothing }: { rows: Rollout[]; again: () => Promise<unknown>; nothing: string }) {
  if (!rows.length) return <p className="faint">{nothing}</p>;
  const say = (row: Rollout, success: boolean) => async () => {
    await change("POST", `${rolloutApi(row.id)}/verdict`, { success, note: "settled on the page of judges" });
    await again();
  };
  return (
    <Table columns={[...COLUMNS, "your verdict"]}>
      {rows.map((row) => (
        <tr key={row.id}>
          <RolloutLine row={row} />
          <td>
            <For least="runner">
              <Button text="Success" name="good" action={say(row, true)} />{" "}
              <Button text="No success" name="danger" action={say(row, false)} />
            </For>
          </td>
        </tr>
      ))}
    </Table>
  );
}
