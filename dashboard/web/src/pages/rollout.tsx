// One rollout: state, log, live screen and what can be done with it; then its replay, the same as of a run.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { change, get } from "../api/client";
import { useEvents } from "../api/events";
import type { Judgment, LogLine, Replay, Rollout } from "../api/types";
import { rolloutApi, rolloutTo, seconds, taskTo } from "../ui/format";
import { For } from "../ui/me";
import { PageLogs } from "../ui/pageLogs";
import { Ago, Button, Fact, Field, Foreign, Panel, Table } from "../ui/parts";
import { Player, useAround, usePlayer } from "../ui/player";
import { Recorded, SaveFile } from "../ui/recorded";
import { Actions, isEnded, STATUSES, State } from "../ui/rollouts";
import { Loaded, useGet, usePage } from "../ui/shell";
import { Failure } from "./trajectories";

const PATH = STATUSES.slice(0, 4);
const REFRESH_MS = 1500;

export default function RolloutPage() {
  const { id = "" } = useParams();
  const row = useGet<Rollout>(rolloutApi(id), (data) => (data && isEnded(data) ? 0 : REFRESH_MS));
  const log = useGet<LogLine[]>(`${rolloutApi(id)}/log`);
  const judgments = useGet<Judgment[]>(`${rolloutApi(id)}/judgments`);
  const steps = row.data?.steps;
  const around = useAround();
  const replay = useQuery({
    queryKey: ["replay", id, steps, row.data?.status],
    enabled: row.data !== undefined,
    placeholderData: (old, query) => (query?.queryKey[1] === id ? old : undefined),
    queryFn: () =>
      row.data && (row.data.steps > 0 || row.data.status === "completed" || row.data.status === "failed")
        ? get<Replay>(`${rolloutApi(id)}/replay?around=${around}`).catch(() => null)
        : null,
  });
  const again = () => Promise.all([row.refetch(), log.refetch(), judgments.refetch(), replay.refetch()]);
  useEvents((rollout) => rollout === id, again);
  return (
    <Loaded of={[row, log, judgments, replay]}>
      {() => (
        <Shown
          key={id}
          row={row.data as Rollout}
          log={log.data ?? []}
          judgments={judgments.data ?? []}
          replay={replay.data ?? null}
          again={again}
        />
      )}
    </Loaded>
  );
}

interface Parts {
  row: Rollout;
  log: LogLine[];
  judgments: Judgment[];
  replay: Replay | null;
  again: () => Promise<unknown>;
}

function Shown({ row, log, judgments, replay, again }: Parts) {
  const navigate = useNavigate();
  const player = usePlayer(replay, isEnded(row) ? 0 : Math.max(0, (replay?.steps.length ?? 1) - 1));
  usePage({
    crumbs: [
      ["rollouts", "/rollouts"],
      [row.task_id, taskTo(row.task_id)],
    ],
    title: row.trajectory_id || row.id,
    keys: replay ? player.keys : {},
    hints: replay
      ? [
          ["← →", "step"],
          ["Home End", "first, end"],
          ["m", "marks"],
          ["a", "after"],
          ["Esc", "up"],
        ]
      : [["Esc", "up"]],
  });
  const api = rolloutApi(row.id);
  const done = (answer: Rollout) => {
    if (answer.id !== row.id)
      navigate(rolloutTo(answer.id)); // a retry is a new rollout
    else if (answer.status === row.status && isEnded(answer))
      navigate("/rollouts?source=hand"); // deleted
    else return again();
  };
  return (
    <>
      <Heading row={row} done={done} file={replay !== null} />
      {row.live && <Live id={row.id} />}
      {replay && <Player replay={replay} player={player} image={(sha256) => `${api}/images/${sha256}`} api={api} />}
      {replay?.failure && row.status === "completed" && <Failure found={replay.failure} />}
      {replay && <Recorded replay={replay} player={player} address={(file) => `${api}/recorded/${file}`} />}
      {replay && <PageLogs replay={replay} api={api} move={player.move} />}
      <div className="columns below">
        <section>
          <h2>Log</h2>
          {log.length ? <Log lines={log} /> : <p className="faint">A rollout of a run has its log in the run folder.</p>}
        </section>
        <aside>
          {isEnded(row) && (
            <For least="runner">
              <VerdictForm row={row} again={again} />
            </For>
          )}
          <Verdicts judgments={judgments} />
        </aside>
      </div>
    </>
  );
}

function Heading({ row, done, file }: { row: Rollout; done: (answer: Rollout) => unknown; file: boolean }) {
  const group = `/rollouts?run=${encodeURIComponent(row.run)}&iteration=${row.iteration}&task_id=${encodeURIComponent(row.task_id)}`;
  return (
    <div className="heading">
      <h1>
        <Foreign text={row.goal || row.task_id} />
      </h1>
      <p className="facts">
        <State row={row} />
        <Fact name="model" value={row.model || "–"} />
        <Fact name="environment" value={row.environment} />
        <Fact name="steps" value={row.steps} />
        {row.seconds > 0 && <Fact name="time" value={seconds(row.seconds)} />}
        {row.reward !== null && <Fact name="reward" value={row.reward} />}
        {row.source === "run" && <Fact name="run" value={`${row.run}, iteration ${row.iteration}, ${row.stage}`} />}
        {row.tries > 1 && <Fact name="try" value={row.tries} />}
        <span>
          <small className="faint">asked for </small>
          <Ago at={row.created_at} />
        </span>
        {row.retry_of && <Link to={rolloutTo(row.retry_of)}>retry of an earlier one</Link>}
        {row.group && row.source === "run" && <Link to={group}>its group</Link>}
      </p>
      <Progress row={row} />
      <Foreign text={row.reason} as="p" name={row.status === "failed" ? "problem" : "faint"} />
      <div className="actions">
        <Actions row={row} done={done} />
        {file && <SaveFile api={rolloutApi(row.id)} />}
      </div>
    </div>
  );
}

/** The states on the way, the ones that are over marked. */
function Progress({ row }: { row: Rollout }) {
  if (row.source !== "hand") return null;
  const at = isEnded(row) ? PATH.length : PATH.indexOf(row.status);
  return (
    <ol className="path" aria-label="state">
      {[...PATH, isEnded(row) ? row.status : "completed"].map((name, index) => (
        <li key={name} className={index < at ? "over" : index === at ? "now" : ""} aria-current={index === at ? "step" : undefined}>
          {index === at && row.phase ? `${name}: ${row.phase}` : name}
        </li>
      ))}
    </ol>
  );
}

/** The stream is ended when the page is left: an image that is only removed keeps its connection. */
function Live({ id }: { id: string }) {
  const image = useRef<HTMLImageElement>(null);
  useEffect(() => {
    const element = image.current;
    element?.setAttribute("src", `${rolloutApi(id)}/live`);
    return () => element?.removeAttribute("src");
  }, [id]);
  return (
    <Panel title="The browser now">
      <img ref={image} className="live" alt="the browser's screen now" />
    </Panel>
  );
}

const Log = ({ lines }: { lines: LogLine[] }) => (
  <Table columns={["time (UTC)", "state", "what happened"]}>
    {lines.map((line) => (
      <tr key={line.number}>
        <td className="faint">{line.at.slice(11, 23)}</td>
        <td>{line.status}</td>
        <Foreign text={line.text} as="td" />
      </tr>
    ))}
  </Table>
);

export function VerdictForm({ row, again }: { row: Rollout; again: () => Promise<unknown> }) {
  const [note, setNote] = useState("");
  const say = (success: boolean | null) => async () => {
    await change("POST", `${rolloutApi(row.id)}/verdict`, { success, note });
    await again();
  };
  return (
    <Panel title="Your verdict">
      <Field label="Note">
        <textarea
          name="note"
          rows={2}
          maxLength={2000}
          placeholder="why (optional)"
          value={note}
          onChange={(event) => setNote(event.target.value)}
        />
      </Field>
      <div className="actions">
        <Button text="Success" name="good" action={say(true)} />
        <Button text="No success" name="danger" action={say(false)} />
        {row.human !== null && <Button text="Take it back" action={say(null)} />}
      </div>
    </Panel>
  );
}

function Verdicts({ judgments }: { judgments: Judgment[] }) {
  if (!judgments.length) return null;
  return (
    <>
      <h2>Verdicts</h2>
      <Table columns={["when", "by", "verdict", "note"]}>
        {judgments.map((one) => (
          <tr key={`${one.at} ${one.by}`}>
            <td className="faint">
              <Ago at={one.at} />
            </td>
            <td>
              <Foreign text={one.by} />
            </td>
            <td>{one.success === null ? "undecided" : one.success ? "success" : "no success"}</td>
            <Foreign text={one.note} as="td" />
          </tr>
        ))}
      </Table>
    </>
  );
}
