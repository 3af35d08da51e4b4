// Small parts of every page. Titles, addresses and model output were written by strangers: React renders them as text only.
import { type ReactNode, useState } from "react";
import { past, percent } from "./format";

type Tag = "span" | "p" | "b" | "pre" | "td" | "th";

/** Text that somebody else wrote, kept from turning the text around it (bidirectional controls). */
export function Foreign({ text, as: As = "span", name = "" }: { text: ReactNode; as?: Tag; name?: string }) {
  return (
    <As className={`foreign ${name}`.trim()} dir="auto">
      {text}
    </As>
  );
}

export const Problems = ({ sentences }: { sentences: string[] }) =>
  sentences.map((sentence) => <Foreign key={sentence} text={sentence} as="p" name="problem" />);

/** A rate as a bar with its number. */
export function Bar({ rate, name }: { rate: number | null | undefined; name: string }) {
  if (rate === null || rate === undefined) return <span className="faint">–</span>;
  return (
    <span className={`bar ${name}`}>
      <i style={{ width: `${Math.max(0, Math.min(1, rate)) * 100}%` }} />
      <b>{percent(rate)}</b>
    </span>
  );
}

export const Badge = ({ outcome }: { outcome: string }) => <span className={`badge ${outcome}`}>{outcome}</span>;

/** How far back a time is (ISO 8601, or seconds since 1970), with the exact time as its title. */
export function Ago({ at }: { at: string | number | null | undefined }) {
  if (at === null || at === undefined || at === "") return "–";
  const epoch = typeof at === "string" ? Date.parse(at) / 1000 : at;
  return <span title={new Date(epoch * 1000).toISOString()}>{past(epoch)}</span>;
}

/** A labelled field of a form. */
export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children
    <label className="field">
      <span>{label}</span>
      {children}
      {hint && <small className="faint">{hint}</small>}
    </label>
  );
}

/** A button that can't be pressed twice while its action runs; the action's error appears beside it. */
export function Button({ text, action, name = "" }: { text: string; action: () => Promise<unknown>; name?: string }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const press = async () => {
    setBusy(true);
    setProblem("");
    try {
      await action();
    } catch (error) {
      setProblem((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <span className="act">
      <button type="button" className={`button ${name}`.trim()} disabled={busy} onClick={press}>
        {text}
      </button>
      <span className="problem" role="alert">
        {problem}
      </span>
    </span>
  );
}

export function Table({ columns, children }: { columns: ReactNode[]; children: ReactNode }) {
  return (
    // A group: a region would be a landmark, and a page has several tables.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
    <div className="scroll" role="group" tabIndex={0} aria-label="table">
      <table>
        <thead>
          <tr>
            {columns.map((column, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: columns never move
              <th key={index} scope="col">
                {column === "" ? <span className="hidden">more</span> : column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function Fact({ name, value }: { name: string; value: string | number }) {
  return (
    <span>
      <small className="faint">{name} </small>
      <Foreign text={String(value)} />
    </span>
  );
}

export function Tile({ name, value, note }: { name: string; value: ReactNode; note?: string }) {
  return (
    <div className="tile">
      <small>{name}</small>
      <b>{value}</b>
      {note !== undefined && <small className="faint">{note}</small>}
    </div>
  );
}

export function Panel({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export const Empty = ({ children }: { children: ReactNode }) => <p className="empty">{children}</p>;

/** A select whose change goes into the address. */
export function Choice({
  name,
  value,
  options,
  choose,
}: {
  name: string;
  value: string;
  options: [string, string][];
  choose: (value: string) => void;
}) {
  return (
    <select aria-label={name} value={value} onChange={(event) => choose(event.target.value)}>
      {options.map(([key, text]) => (
        <option key={key} value={key}>
          {text}
        </option>
      ))}
    </select>
  );
}

/** A search field that acts on Enter and when it is left. */
export function Search({ value, hint, go }: { value: string; hint: string; go: (value: string) => void }) {
  const act = (text: string) => text.trim() !== value && go(text.trim());
  return (
    <input
      key={value}
      type="search"
      placeholder={hint}
      defaultValue={value}
      aria-label="search"
      onBlur={(event) => act(event.target.value)}
      onKeyDown={(event) => event.key === "Enter" && act(event.currentTarget.value)}
    />
  );
}

/** Title of a figure with its unit and an explanation. */
export function Caption({ title, unit, about, children }: { title: string; unit: string; about: string; children?: ReactNode }) {
  return (
    <figcaption>
      <Foreign text={title} as="b" /> <small className="faint">{unit}</small>
      {about && <p className="faint">{about}</p>}
      {children}
    </figcaption>
  );
}

/** Content that is made when it is opened first: a table of 200 iterations has thousands of cells. */
export function Folded({ name, children }: { name: string; children: () => ReactNode }) {
  const [opened, setOpened] = useState(false);
  return (
    <details onToggle={(event) => event.currentTarget.open && setOpened(true)}>
      <summary>{name}</summary>
      {opened && children()}
    </details>
  );
}
