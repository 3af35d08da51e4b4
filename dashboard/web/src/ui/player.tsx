// Plays one trajectory: the page as the agent saw it, what it said, what it did, what came back. Positions are the steps and the end.
import { type CSSProperties, useEffect, useState } from "react";
import { useSearchParams } from "react-router";
import type { Action, Mark, Observation, Replay, ReplayStep } from "../api/types";
import { number, seconds } from "./format";
import { Foreign, Panel } from "./parts";
import type { Keys } from "./shell";

const MAX_SCALE = 3; // MiniWoB++ draws on 160 x 210
type Image = (sha256: string) => string;

export interface PlayerState {
  position: number;
  allMarks: boolean;
  move: (to: number) => void;
  keys: Keys;
}

/** The position, which is in the address, and the keys that change it. `first`: the position without one. */
export function usePlayer(replay: Replay | null | undefined, first: number): PlayerState {
  const [query, setQuery] = useSearchParams();
  const [allMarks, setAllMarks] = useState(false);
  const end = replay?.steps.length ?? 0;
  const bounded = (to: number) => Math.max(0, Math.min(end, Number.isInteger(to) ? to : 0));
  const asked = query.get("step");
  const position = bounded(asked === null ? first : Number(asked));
  const move = (to: number) =>
    setQuery((old) => { const next = new URLSearchParams(old); next.delete("step"); next.append("step", String(bounded(to))); return next; }, { replace: true });
  const forward = () => move(position + 1);
  const keys = { ArrowRight: forward, " ": forward, ArrowLeft: () => move(position - 1), Home: () => move(0), End: () => move(end), m: () => setAllMarks(!allMarks) };
  return { position, allMarks, move, keys };
}

export function Player({ replay, player, image }: { replay: Replay; player: PlayerState; image: Image }) {
  const { position, move } = player;
  const step = replay.steps[position];
  return (
    <div>
      <Preload replay={replay} position={position} image={image} />
      <div className="strip">
        {[...replay.steps.map((one, index) => [String(index + 1), kindOf(one)] as const), ["end", replay.outcome] as const].map(([text, kind], index) => (
          <button type="button" key={text} className={`chip ${kind}`} title={kind || "step"} data-now={index === position ? "" : undefined}
            aria-current={index === position ? "step" : undefined} onClick={() => move(index)}>{text}</button>
        ))}
      </div>
      <div className="replay">
        {step ? <StepView step={step} image={image} all={player.allMarks} /> : <EndView replay={replay} image={image} all={player.allMarks} />}
      </div>
    </div>
  );
}

/** Fetches the pictures of the neighbours, so that a step does not wait for its picture. */
function Preload({ replay, position, image }: { replay: Replay; position: number; image: Image }) {
  useEffect(() => {
    for (const index of [position + 1, position - 1]) {
      const seen = index === replay.steps.length ? replay.final_observation : replay.steps[index]?.observation;
      if (seen?.screenshot) new Image().src = image(seen.screenshot.sha256);
    }
  });
  return null;
}

function kindOf(step: ReplayStep): string {
  if (!step.completion) return "broken";
  if (!step.action) return "fail";
  return step.feedback ? "noeffect" : "";
}

function StepView({ step, image, all }: { step: ReplayStep; image: Image; all: boolean }) {
  return (
    <>
      <Screen seen={step.observation} done={step.action} image={image} all={all} />
      <div className="side">
        <Panel title="Model">{step.completion ? <Said completion={step.completion} /> : <p className="problem">The model gave no answer.</p>}</Panel>
        <Panel title="Action">{step.action ? <ActionLine action={step.action} marks={step.observation.marks} /> : <p className="problem">none: the text is no action</p>}</Panel>
        {step.feedback && <Panel title="Feedback"><Foreign text={step.feedback} as="p" name="feedback" /></Panel>}
        <Panel title="Seconds"><Phases found={step.seconds} /></Panel>
        <Marks seen={step.observation} done={step.action} />
      </div>
    </>
  );
}

function EndView({ replay, image, all }: { replay: Replay; image: Image; all: boolean }) {
  const seen = replay.final_observation;
  return (
    <>
      {seen ? <Screen seen={seen} done={null} image={image} all={all} /> : <div className="screen faint">The episode broke before its last page could be seen.</div>}
      <div className="side">
        <Panel title="Verdict"><VerdictTable found={replay.verdict} /></Panel>
        {replay.answer !== null && <Panel title="Answer"><Foreign text={replay.answer} as="pre" /></Panel>}
        <Panel title="Final state"><Foreign text={replay.final_state} as="pre" /></Panel>
        {seen && <Marks seen={seen} done={null} />}
      </div>
    </>
  );
}

const idOf = (action: Action | null | undefined) => (action && "id" in action ? (action.id as number) : undefined);

function Screen({ seen, done, image, all }: { seen: Observation; done: Action | null | undefined; image: Image; all: boolean }) {
  const { width, height } = seen.viewport;
  const box = { aspectRatio: `${width} / ${height}`, "--ratio": String(width / height), "--widest": `${width * MAX_SCALE}px` } as CSSProperties;
  const share = (part: number, whole: number) => `${(part / whole) * 100}%`;
  const point = done && "x" in done && "y" in done ? { left: share(Number(done.x), width), top: share(Number(done.y), height) } : null;
  return (
    <div className={`screen ${all ? "all" : ""}`}>
      <p className="page"><Foreign text={seen.title || "(no title)"} as="b" /><Foreign text={seen.url} name="url" /></p>
      <div className="shot" style={box}>
        {seen.screenshot ? <img alt="the page" src={image(seen.screenshot.sha256)} /> : <span className="faint">no picture was taken</span>}
        {seen.marks.map((mark) => <Outline key={mark.id} mark={mark} chosen={mark.id === idOf(done)} width={width} height={height} />)}
        {point && <i className="point" style={point} />}
      </div>
      {!seen.settled && <p className="problem">The page was still busy when this was taken.</p>}
      {seen.dialogs.map((text) => <p key={text} className="problem">The page opened a dialog: <Foreign text={text} /></p>)}
      {(seen.notices ?? []).map((text) => <p key={text} className="problem">Noticed: <Foreign text={text} /></p>)}
      {seen.tabs.length > 1 && (
        <details><summary>{seen.tabs.length} tabs</summary>
          {/* biome-ignore lint/suspicious/noArrayIndexKey: tabs have no name of their own */}
          {seen.tabs.map((tab, index) => <p key={index} className="page"><Foreign text={tab.title || "(no title)"} as={tab.active ? "b" : "span"} /><Foreign text={tab.url} name="url" /></p>)}
        </details>
      )}
      {seen.text && <details><summary>text of the page</summary><Foreign text={seen.text} as="pre" /></details>}
    </div>
  );
}

function Outline({ mark: { id, box }, chosen, width, height }: { mark: Mark; chosen: boolean; width: number; height: number }) {
  const share = (part: number, whole: number) => `${(part / whole) * 100}%`;
  return (
    <i className={chosen ? "mark chosen" : "mark"}
      style={{ left: share(box.x, width), top: share(box.y, height), width: share(box.width, width), height: share(box.height, height) }}>
      <span>{id}</span>
    </i>
  );
}

function Said({ completion }: { completion: NonNullable<ReplayStep["completion"]> }) {
  const facts = [`${completion.tokens} tokens after ${completion.prompt_tokens}`, `mean log-probability ${number(completion.logprob_mean, 3)}`,
    `temperature ${completion.temperature}`, completion.policy_version === null ? "no policy version" : `policy v${completion.policy_version}`,
    ...(completion.finish_reason === "length" ? ["cut off at the longest length"] : [])];
  return <><Foreign text={completion.text} as="pre" name="said" /><small className="faint">{facts.join(" · ")}</small></>;
}

/** An action as its kind, its values, and the mark that it names. */
export function ActionLine({ action, marks = [] }: { action: Action; marks?: Mark[] }) {
  const { kind, ...rest } = action;
  const target = marks.find((mark) => mark.id === idOf(action));
  return (
    <p className="action"><b>{kind}</b>
      {Object.entries(rest).filter(([, value]) => value !== null).map(([name, value]) => (
        <span key={name} className="value"><small className="faint">{name} </small><Foreign text={typeof value === "string" ? value : JSON.stringify(value)} /></span>
      ))}
      {target && <span className="faint">{target.role} <Foreign text={`“${target.name}”`} /></span>}
    </p>
  );
}

function Phases({ found }: { found: Record<string, number> }) {
  const all = Object.entries(found);
  const longest = Math.max(0.001, ...all.map(([, value]) => value));
  return (
    <table className="phases"><tbody>
      {all.map(([name, value]) => (
        <tr key={name}><th scope="row">{name}</th><td>{seconds(value)}</td><td><i style={{ width: `${(value / longest) * 100}%` }} /></td></tr>
      ))}
    </tbody></table>
  );
}

function Marks({ seen, done }: { seen: Observation; done: Action | null | undefined }) {
  if (!seen.marks.length) return <Panel title="Marks"><p className="faint">none</p></Panel>;
  return (
    <Panel title={`Marks (${seen.marks.length})`}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys */}
      <section className="scroll short" tabIndex={0} aria-label="marks"><table><tbody>
        {seen.marks.map((mark) => (
          <tr key={mark.id} className={mark.id === idOf(done) ? "chosen" : undefined}>
            <td>{mark.id}</td><td className="faint">{mark.role}</td>
            <td><Foreign text={mark.name} />{mark.value ? <span className="faint"> = <Foreign text={mark.value} /></span> : null}
              {mark.checked === null ? null : <span className="faint">{mark.checked ? " checked" : " not checked"}</span>}
              {mark.options.length ? <div className="faint"><Foreign text={mark.options.join(" | ")} /></div> : null}</td>
          </tr>
        ))}
      </tbody></table></section>
    </Panel>
  );
}

function VerdictTable({ found }: { found: Replay["verdict"] }) {
  if (!found) return <p className="faint">not judged</p>;
  const rows: [string, string][] = [["reward", found.reward === null ? "could not be judged" : number(found.reward, 2)], ["judge", found.judge], ["evidence", found.evidence],
    ...Object.entries(found.criteria).map(([name, met]): [string, string] => [name, met ? "met" : "not met"]), ...(found.blocked ? [["blocked", "yes"] as [string, string]] : [])];
  return <table className="config"><tbody>{rows.map(([name, value]) => <tr key={name}><Foreign text={name} as="th" /><Foreign text={value} as="td" /></tr>)}</tbody></table>;
}

const KINDS: Record<string, string> = { video: "film ", trace: "trace ", network: "requests " };

/** Films and trace of an episode; `address(file)` is where one of them is fetched. */
export function Recorded({ replay, address }: { replay: Replay; address: (file: string) => string }) {
  if (!replay.recorded.length) return null;
  const megabytes = (size: number) => `${(size / 1e6).toFixed(size < 1e6 ? 2 : 1)}\u00a0MB`;
  return (
    <section className="panel recorded"><h2>Recorded</h2><div className="films">
      {replay.recorded.map((one) => (
        <figure key={`${one.kind} ${one.file} ${one.problem}`}>
          {one.kind === "video" && one.file && <video src={address(one.file)} controls muted preload="metadata" />}
          <figcaption><span className="faint">{KINDS[one.kind]}</span>
            {one.file && <a href={address(one.file)} download={`${replay.id}.${one.file}`}>{one.file}</a>}
            {one.file && <span className="faint"> {megabytes(one.size)}{one.kind === "trace" ? ", for playwright show-trace" : ""}</span>}
            {one.problem && <Foreign text={`none: ${one.problem}`} name="problem" />}</figcaption>
        </figure>
      ))}
    </div></section>
  );
}
