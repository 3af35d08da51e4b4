// The command palette (Ctrl+K): pages, runs, and a search over rollouts.
import { Command } from "cmdk";
import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import type { RunSummary } from "../api/types";
import { runTo } from "./format";
import { TABS, useGet } from "./shell";

export default function Palette({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const navigate = useNavigate();
  const runs = useGet<RunSummary[]>("/api/runs").data ?? [];
  useEffect(() => dialog.current?.showModal(), []);
  const go = (to: string) => {
    close();
    navigate(to);
  };
  return (
    <dialog ref={dialog} className="palette" aria-label="Go to" onClose={close}>
      <Command label="Go to">
        <Command.Input autoFocus placeholder="Go to a page or a run, or search rollouts" value={text} onValueChange={setText} />
        <Command.List>
          <Command.Empty>Nothing has this name.</Command.Empty>
          {TABS.map(([name, label, to]) => (
            <Command.Item key={name} value={label} onSelect={() => go(to)}>
              {label}
            </Command.Item>
          ))}
          {runs.map((run) => (
            <Command.Item key={run.name} value={`run ${run.name}`} onSelect={() => go(runTo(run.name))}>
              run {run.name}
            </Command.Item>
          ))}
          {text && (
            <Command.Item value={`search ${text}`} onSelect={() => go(`/rollouts?q=${encodeURIComponent(text)}`)}>
              search rollouts for “{text}”
            </Command.Item>
          )}
        </Command.List>
      </Command>
    </dialog>
  );
}
