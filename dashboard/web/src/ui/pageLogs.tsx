// The requests and the console of the pages of an episode, where they were recorded: fetched when somebody opens them.
import { type ReactNode, useState } from "react";
import type { ConsoleList, Replay, RequestList, RequestRow } from "../api/types";
import { Choice, Empty, Foreign, Table } from "./parts";
import { LoadedPart, useGet } from "./shell";

const AT_ONCE = 200;
const READS = ["GET", "HEAD", "OPTIONS"];
const KINDS: Record<string, (row: RequestRow) => boolean> = {
  all: () => true,
  writes: (row) => !READS.includes(row.method),
  failed: (row) => row.error !== "" || (row.status ?? 0) >= 400,
  documents: (row) => row.resource_type === "document",
};
const BAD = ["error", "exception", "assert"];

interface Parts {
  replay: Replay;
  /** Address of the trajectory, below which its details are. */
  api: string;
  /** Leads to a step. */
  move: (to: number) => void;
}

export function PageLogs({ replay, api, move }: Parts) {
  const has = (kind: string) => replay.recorded.some((one) => one.kind === kind && one.file);
  return (
    <>
      {has("network") && (
        <Fold title="Requests of the pages">
          <Requests address={`${api}/requests`} move={move} />
        </Fold>
      )}
      {has("console") && (
        <Fold title="Console of the pages">
          <Console address={`${api}/console`} move={move} />
        </Fold>
      )}
    </>
  );
}

function Fold({ title, children }: { title: string; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="panel logs" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && children}
    </details>
  );
}

const StepOf = ({ step, move }: { step: number | null; move: (to: number) => void }) =>
  step === null ? (
    <span className="faint">start</span>
  ) : (
    <button type="button" className="chip" title={`go to step ${step + 1}`} onClick={() => move(step)}>
      {step + 1}
    </button>
  );

function Requests({ address, move }: { address: string; move: (to: number) => void }) {
  const found = useGet<RequestList>(address);
  return <LoadedPart of={found}>{() => <RequestRows list={found.data as RequestList} move={move} />}</LoadedPart>;
}

function RequestRows({ list, move }: { list: RequestList; move: (to: number) => void }) {
  const [kind, setKind] = useState("all");
  const [most, setMost] = useState(AT_ONCE);
  const rows = list.rows.filter(KINDS[kind]);
  return (
    <>
      <p className="filters">
        <Choice name="requests" value={kind} options={Object.keys(KINDS).map((one) => [one, one])} choose={setKind} />
        <span className="faint">
          {rows.length} of {list.total}
        </span>
      </p>
      <Table columns={["step", "seconds", "request", "kind", "answer"]}>
        {rows.slice(0, most).map((row, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a request has no name of its own
          <tr key={index}>
            <td>
              <StepOf step={row.step} move={move} />
            </td>
            <td>{row.at_s.toFixed(2)}</td>
            <td>
              <b>{row.method}</b> <Foreign text={row.url} name="url" />
              {row.body && (
                <details>
                  <summary>{row.content_type || "body"}</summary>
                  <Foreign text={row.body} as="pre" />
                </details>
              )}
            </td>
            <td className="faint">{row.resource_type}</td>
            <td className={KINDS.failed(row) ? "bad" : ""}>
              <Foreign text={row.status ?? (row.error || "none")} />
            </td>
          </tr>
        ))}
      </Table>
      {rows.length > most && (
        <button type="button" className="button" onClick={() => setMost(rows.length)}>
          Show all {rows.length}
        </button>
      )}
    </>
  );
}

function Console({ address, move }: { address: string; move: (to: number) => void }) {
  const found = useGet<ConsoleList>(address);
  return <LoadedPart of={found}>{() => <Messages list={found.data as ConsoleList} move={move} />}</LoadedPart>;
}

function Messages({ list, move }: { list: ConsoleList; move: (to: number) => void }) {
  if (!list.rows.length) return <Empty>The pages wrote nothing to their console.</Empty>;
  return (
    <>
      {list.full && <p className="faint">There was no room for further messages.</p>}
      <Table columns={["step", "seconds", "kind", "message"]}>
        {list.rows.map((row, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a message has no name of its own
          <tr key={index}>
            <td>
              <StepOf step={row.step} move={move} />
            </td>
            <td>{row.at_s.toFixed(2)}</td>
            <td className={BAD.includes(row.kind) ? "bad" : "faint"}>{row.kind}</td>
            <td>
              <Foreign text={row.text} />
              {row.url && (
                <div className="faint">
                  <Foreign text={`${row.url}:${row.line}`} name="url" />
                </div>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
