// Plays one trajectory: the page as the agent saw it, what it said, what it did, what came back. Positions are the steps and the end.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { get } from "../api/client";
import type { Action, Mark, Observation, Replay, ReplayStep } from "../api/types";
import { number, seconds } from "./format";
import { Foreign, Panel } from "./parts";
import { type ImageAddress, idOf, Marks, Screen } from "./screen";
import type { Keys } from "./shell";
import { Tokens } from "./tokens";

export interface PlayerState {
  position: number;
  allMarks: boolean;
  /** The page after the action in place of the one before it. */
  after: boolean;
  setAfter: (after: boolean) => void;
  move: (to: number) => void;
  keys: Keys;
}

/** The step of the address when the page was opened: a long replay comes with the marks of the steps beside it. */
export function useAround(): number {
  const [query] = useSearchParams();
  const [around] = useState(() => Math.max(0, Math.trunc(Number(query.get("step"))) || 0));
  return around;
}

/** The position, which is in the address, and the keys that change it. `first`: the position without one. */
export function usePlayer(replay: Replay | null | undefined, first: number): PlayerState {
  const [query, setQuery] = useSearchParams();
  const [allMarks, setAllMarks] = useState(false);
  const [after, setAfter] = useState(false);
  const end = replay?.steps.length ?? 0;
  const bounded = (to: number) => Math.max(0, Math.min(end, Number.isInteger(to) ? to : 0));
  const asked = query.get("step");
  const position = bounded(asked === null ? first : Number(asked));
  const target = useRef(position); // keys can be pressed faster than the address is drawn
  useEffect(() => {
    target.current = position;
  }, [position]);
  const move = (to: number) => {
    target.current = bounded(to);
    setQuery(
      (old) => {
        const next = new URLSearchParams(old);
        next.delete("step");
        next.append("step", String(bounded(to)));
        return next;
      },
      { replace: true },
    );
  };
  const forward = () => move(target.current + 1);
  const keys: Keys = {
    ArrowRight: forward,
    " ": forward,
    ArrowLeft: () => move(target.current - 1),
    Home: () => move(0),
    End: () => move(end),
    m: () => setAllMarks(!allMarks),
    a: () => setAfter(!after),
  };
  return { position, allMarks, after, setAfter, move, keys };
}

interface Parts {
  replay: Replay;
  player: PlayerState;
  image: ImageAddress;
  /** Address of the trajectory, below which its details are. */
  api: string;
}

const BLOCK = 50;

/** A step with the marks and texts of its page, which the replay of a long trajectory leaves out and which are fetched here. */
function useStep(replay: Replay, api: string, position: number): ReplayStep | undefined {
  const known = replay.steps[position];
  const first = position - (position % BLOCK);
  const block = useQuery({
    queryKey: ["steps", api, first],
    queryFn: () => get<ReplayStep[]>(`${api}/steps?first=${first}&count=${BLOCK}`),
    enabled: known?.folded === true,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (known?.folded && block.data?.find((one) => one.index === known.index)) || known;
}

export function Player({ replay, player, image, api }: Parts) {
  const { position, move } = player;
  const step = useStep(replay, api, position);
  const next = useStep(replay, api, position + 1);
  const strip = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another position marks another chip
  useEffect(() => {
    const chip = strip.current?.querySelector<HTMLElement>("[data-now]");
    // Not scrollIntoView, which would scroll the page, too.
    if (strip.current && chip) strip.current.scrollTop = chip.offsetTop - strip.current.offsetTop - strip.current.clientHeight / 2;
  }, [position]);
  return (
    <div>
      <Preload replay={replay} position={position} image={image} />
      <div className="strip" ref={strip}>
        {[...replay.steps.map((one, index) => [String(index + 1), kindOf(one)] as const), ["end", replay.outcome] as const].map(
          ([text, kind], index) => (
            <button
              type="button"
              key={text}
              className={`chip ${kind}`}
              title={kind || "step"}
              data-now={index === position ? "" : undefined}
              aria-current={index === position ? "step" : undefined}
              onClick={() => move(index)}
            >
              {text}
            </button>
          ),
        )}
      </div>
      <div className="replay">
        {step ? (
          <StepView step={step} next={(next?.observation ?? replay.final_observation) || null} image={image} player={player} api={api} />
        ) : (
          <EndView replay={replay} image={image} all={player.allMarks} move={move} />
        )}
      </div>
    </div>
  );
}

/** Fetches the pictures of the neighbours, so that a step does not wait for its picture. */
function Preload({ replay, position, image }: { replay: Replay; position: number; image: ImageAddress }) {
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

interface StepParts {
  step: ReplayStep;
  next: Observation | null;
  image: ImageAddress;
  player: PlayerState;
  api: string;
}

function StepView({ step, next, image, player, api }: StepParts) {
  const after = player.after && next;
  return (
    <>
      <Screen
        seen={after || step.observation}
        done={after ? null : step.action}
        image={image}
        all={player.allMarks}
        head={next && <Which after={player.after} choose={player.setAfter} />}
      />
      <div className="side">
        <Panel title="Model">
          {step.completion ? <Said completion={step.completion} /> : <p className="problem">The model gave no answer.</p>}
          {step.completion && step.completion.tokens > 0 && (
            <Tokens key={step.index} address={`${api}/steps/${step.index}/tokens`} count={step.completion.tokens} />
          )}
        </Panel>
        <Panel title="Action">
          {step.action ? (
            <ActionLine action={step.action} marks={step.observation.marks} />
          ) : (
            <p className="problem">none: the text is no action</p>
          )}
        </Panel>
        {step.feedback && (
          <Panel title="Feedback">
            <Foreign text={step.feedback} as="p" name="feedback" />
          </Panel>
        )}
        <Panel title="Seconds">
          <Phases found={step.seconds} />
        </Panel>
        <Marks seen={step.observation} done={step.action} />
      </div>
    </>
  );
}

/** The page before the action, or after it. */
const Which = ({ after, choose }: { after: boolean; choose: (after: boolean) => void }) => (
  <fieldset className="which">
    <legend className="hidden">page before or after the action</legend>
    {[false, true].map((one) => (
      <button key={String(one)} type="button" className="chip" aria-pressed={one === after} onClick={() => choose(one)}>
        {one ? "after" : "before"}
      </button>
    ))}
  </fieldset>
);

function EndView({ replay, image, all, move }: { replay: Replay; image: ImageAddress; all: boolean; move: (to: number) => void }) {
  const seen = replay.final_observation;
  return (
    <>
      {seen ? (
        <Screen seen={seen} done={null} image={image} all={all} />
      ) : (
        <div className="screen faint">The episode broke before its last page could be seen.</div>
      )}
      <div className="side">
        <Panel title="Verdict">
          <VerdictTable found={replay.verdict} />
          <Evidence replay={replay} move={move} />
        </Panel>
        {replay.answer !== null && (
          <Panel title="Answer">
            <Foreign text={replay.answer} as="pre" />
          </Panel>
        )}
        <Panel title="Final state">
          <Foreign text={replay.final_state} as="pre" />
        </Panel>
        {seen && <Marks seen={seen} done={null} />}
      </div>
    </>
  );
}

function Said({ completion }: { completion: NonNullable<ReplayStep["completion"]> }) {
  const facts = [
    `${completion.tokens} tokens after ${completion.prompt_tokens}`,
    `mean log-probability ${number(completion.logprob_mean, 3)}`,
    `temperature ${completion.temperature}`,
    completion.policy_version === null ? "no policy version" : `policy v${completion.policy_version}`,
    ...(completion.finish_reason === "length" ? ["cut off at the longest length"] : []),
  ];
  return (
    <>
      <Foreign text={completion.text} as="pre" name="said" />
      <small className="faint">{facts.join(" · ")}</small>
    </>
  );
}

/** An action as its kind, its values, and the mark that it names. */
export function ActionLine({ action, marks = [] }: { action: Action; marks?: Mark[] }) {
  const { kind, ...rest } = action;
  const target = marks.find((mark) => mark.id === idOf(action));
  return (
    <p className="action">
      <b>{kind}</b>
      {Object.entries(rest)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => (
          <span key={name} className="value">
            <small className="faint">{name} </small>
            <Foreign text={typeof value === "string" ? value : JSON.stringify(value)} />
          </span>
        ))}
      {target && (
        <span className="faint">
          {target.role} <Foreign text={`“${target.name}”`} />
        </span>
      )}
    </p>
  );
}

function Phases({ found }: { found: Record<string, number> }) {
  const all = Object.entries(found);
  const longest = Math.max(0.001, ...all.map(([, value]) => value));
  return (
    <table className="phases">
      <tbody>
        {all.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{seconds(value)}</td>
            <td>
              <i style={{ width: `${(value / longest) * 100}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The steps on whose pages the judge saw what it says, and what it read there. */
function Evidence({ replay, move }: { replay: Replay; move: (to: number) => void }) {
  const steps = replay.verdict?.evidence_steps ?? [];
  const quotes = replay.verdict?.quotes ?? [];
  if (!steps.length && !quotes.length) return null;
  return (
    <>
      <p>
        <span className="faint">seen in </span>
        {steps.map((step) => (
          <button key={step} type="button" className="chip" onClick={() => move(step)}>
            {step < replay.steps.length ? `step ${step + 1}` : "the end"}
          </button>
        ))}
      </p>
      {quotes.map((quote) => (
        <p key={quote}>
          <Foreign text={`“${quote}”`} />
        </p>
      ))}
    </>
  );
}

function VerdictTable({ found }: { found: Replay["verdict"] }) {
  if (!found) return <p className="faint">not judged</p>;
  const rows: [string, string][] = [
    ["reward", found.reward === null ? "could not be judged" : number(found.reward, 2)],
    ["judge", found.judge],
    ["evidence", found.evidence],
    ...Object.entries(found.criteria).map(([name, met]): [string, string] => [name, met ? "met" : "not met"]),
    ...(found.blocked ? [["blocked", "yes"] as [string, string]] : []),
  ];
  return (
    <table className="config">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <Foreign text={name} as="th" />
            <Foreign text={value} as="td" />
          </tr>
        ))}
      </tbody>
    </table>
  );
}
