// Rollouts side by side, one row per step; the first step at which they differ is marked.
import { useEffect, useRef } from "react";
import { Link, useSearchParams } from "react-router";
import type { GroupComparison } from "../api/types";
import { number, rolloutApi, rolloutTo } from "../ui/format";
import { Empty, Foreign } from "../ui/parts";
import { ActionLine } from "../ui/player";
import { State } from "../ui/rollouts";
import { Loaded, useGet, usePage } from "../ui/shell";

export default function CompareRolloutsPage() {
  const [query] = useSearchParams();
  const found = useGet<GroupComparison>(`/api/compare/rollouts?${new URLSearchParams(query.getAll("id").map((id) => ["id", id]))}`);
  return <Loaded of={[found]}>{() => <Shown found={found.data as GroupComparison} />}</Loaded>;
}

function Shown({ found }: { found: GroupComparison }) {
  const marked = useRef<HTMLHeadingElement>(null);
  usePage({
    crumbs: [["compare", "/compare"]],
    title: `${found.members.length} rollouts`,
    hints: [
      ["d", "first difference"],
      ["Esc", "up"],
    ],
    keys: { d: () => marked.current?.scrollIntoView({ block: "start" }) },
  });
  useEffect(() => marked.current?.focus({ preventScroll: true }), []);
  const longest = Math.max(0, ...found.members.map((member) => member.steps.length));
  return (
    <>
      <h1>
        Side by side{" "}
        <small className="faint">
          {found.differs === null ? "the members do the same at every step" : `they differ first at step ${found.differs + 1}`}
        </small>
      </h1>
      <div className="sides">
        {found.members.map(({ rollout }) => (
          <div key={rollout.id} className="member">
            <Link className="row" to={rolloutTo(rollout.id)}>
              <Foreign text={rollout.goal || rollout.task_id} as="b" name="goal" />
            </Link>
            <p>
              <State row={rollout} />{" "}
              <span className="faint">
                reward {number(rollout.reward, 2)}, {rollout.steps} steps, <Foreign text={rollout.model} />, member {rollout.member}
              </span>
            </p>
          </div>
        ))}
      </div>
      {longest === 0 && <Empty>None of these rollouts has a step yet.</Empty>}
      {Array.from({ length: longest }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a step is its number
        <section key={index}>
          <h2 ref={index === found.differs ? marked : undefined} tabIndex={index === found.differs ? -1 : undefined}>
            Step {index + 1}
            {index === found.differs && " · the first that differs"}
          </h2>
          <div className="sides">
            {found.members.map((member) => (
              <Step key={member.rollout.id} member={member} index={index} differs={index === found.differs} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

function Step({ member, index, differs }: { member: GroupComparison["members"][number]; index: number; differs: boolean }) {
  const step = member.steps[index];
  if (!step) return <div className="member faint">ended before</div>;
  return (
    <div className={`member ${differs ? "differs" : ""}`}>
      {step.picture && (
        <Link to={`${rolloutTo(member.rollout.id)}?step=${index}`}>
          <img loading="lazy" alt={`the page at step ${index + 1}`} src={`${rolloutApi(member.rollout.id)}/images/${step.picture}`} />
        </Link>
      )}
      {step.action ? <ActionLine action={step.action} /> : <p className="problem">no action</p>}
      {step.text && <Foreign text={step.text} as="pre" name="said" />}
      {step.feedback && <Foreign text={step.feedback} as="p" name="feedback" />}
    </div>
  );
}
