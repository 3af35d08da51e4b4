// The form that starts rollouts.
import { type FormEvent, useRef } from "react";
import { useNavigate } from "react-router";
import { change } from "../api/client";
import type { Model, Rollout } from "../api/types";
import { rolloutTo } from "./format";
import { Button, Field } from "./parts";

/** `ids()` gives the tasks when the form is sent. */
export function SpawnForm({ models, ids }: { models: Model[]; ids: () => string[] }) {
  const form = useRef<HTMLFormElement>(null);
  const navigate = useNavigate();
  const start = async () => {
    const task_ids = ids();
    if (!task_ids.length) throw new Error("Choose at least one task.");
    const given = new FormData(form.current as HTMLFormElement);
    const steps = given.get("max_steps");
    const wanted = {
      task_ids,
      model: given.get("model"),
      attempts: Number(given.get("attempts")),
      priority: Number(given.get("priority")),
      reuse: given.get("reuse") !== null,
      ...(steps ? { max_steps: Number(steps) } : {}),
    };
    const rollouts = await change<Rollout[]>("POST", "/api/rollouts", wanted);
    navigate(rollouts.length === 1 ? rolloutTo(rollouts[0].id) : `/rollouts?job_id=${rollouts.at(-1)?.job_id}`);
  };
  const name = (model: Model) => `${model.name}${model.model ? ` (${model.model})` : ""}${model.problem ? ": not usable" : ""}`;
  const unusable = models.filter((one) => one.problem);
  return (
    <form className="form" ref={form} onSubmit={(event: FormEvent) => event.preventDefault()}>
      <Field label="Model">
        <select name="model" defaultValue={models.find((one) => one.default)?.name}>
          {models.map((one) => (
            <option key={one.name} value={one.name} disabled={Boolean(one.problem)}>
              {name(one)}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Attempts">
        <input type="number" name="attempts" min="1" max="100" defaultValue="1" />
      </Field>
      <Field label="Most steps">
        <input type="number" name="max_steps" min="1" max="1000" placeholder="the task's own" />
      </Field>
      <Field label="Priority" hint="higher ones are played first">
        <input type="number" name="priority" min="-100" max="100" defaultValue="0" />
      </Field>
      <label className="check">
        <input type="checkbox" name="reuse" /> answer with equal earlier rollouts where there are any
      </label>
      <Button text="Start" name="main" action={start} />
      {unusable.length > 0 && (
        <details>
          <summary>models that can't be used here</summary>
          {unusable.map((one) => (
            <p key={one.name} className="faint">
              <b>{one.name}</b>: {one.problem}
            </p>
          ))}
        </details>
      )}
    </form>
  );
}
