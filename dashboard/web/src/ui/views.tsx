// Saved views: filters of the rollouts that somebody has given a name.
import { useState } from "react";
import { Link } from "react-router";
import { change } from "../api/client";
import type { SavedView } from "../api/types";
import { For } from "./me";
import { Button, Foreign } from "./parts";
import { useGet } from "./shell";

/** `chosen`: the filter that is shown now. */
export function Views({ chosen }: { chosen: URLSearchParams }) {
  const views = useGet<SavedView[]>("/api/views");
  const [name, setName] = useState("");
  const query = String(chosen);
  const saved = views.data?.find((one) => String(new URLSearchParams(one.query)) === query);
  const act = async (method: string, path: string, content?: unknown) => {
    await change(method, path, content);
    setName("");
    await views.refetch();
  };
  return (
    <section className="filters" aria-label="saved views">
      {(views.data ?? []).map((one) => (
        <Link key={one.number} className="chip" to={`/rollouts?${one.query}`} title={one.query} aria-current={one === saved || undefined}>
          <Foreign text={one.name} />
        </Link>
      ))}
      <For least="runner">
        {saved ? (
          <Button text="Delete this view" action={() => act("DELETE", `/api/views/${saved.number}`)} />
        ) : (
          query && (
            <>
              <input
                aria-label="name of the view"
                placeholder="name of this view"
                maxLength={100}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
              {name.trim() && <Button text="Save view" action={() => act("POST", "/api/views", { name, query })} />}
            </>
          )
        )}
      </For>
    </section>
  );
}
