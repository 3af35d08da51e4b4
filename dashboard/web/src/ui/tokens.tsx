// The tokens of a completion, coloured by how unlikely they were. Fetched when somebody opens them: they are many.
import { useState } from "react";
import type { Token } from "../api/types";
import { Foreign } from "./parts";
import { LoadedPart, useGet } from "./shell";

const LEAST_LIKELY = 5;
const DEEPEST = 45; // percent of the colour behind an impossible token; the text stays readable on it

const chance = (token: Token) => (token.logprob === null ? 1 : Math.exp(token.logprob));
const shown = (token: Token) => token.text || `[${token.id}]`;
const named = (token: Token) => `${(chance(token) * 100).toPrecision(3)} %, log-probability ${token.logprob?.toFixed(3) ?? "–"}`;

/** `address` answers the tokens of one step. */
export function Tokens({ address, count }: { address: string; count: number }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {count} token{count === 1 ? "" : "s"} with log-probabilities
      </summary>
      {open && <Shown address={address} />}
    </details>
  );
}

function Shown({ address }: { address: string }) {
  const found = useGet<Token[]>(address);
  return <LoadedPart of={found}>{() => <Coloured tokens={found.data ?? []} />}</LoadedPart>;
}

function Coloured({ tokens }: { tokens: Token[] }) {
  const least = tokens
    .filter((token) => token.logprob !== null)
    .sort((one, other) => (one.logprob ?? 0) - (other.logprob ?? 0))
    .slice(0, LEAST_LIKELY);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys */}
      <pre className="foreign tokens" dir="auto" tabIndex={0}>
        {tokens.map((token, index) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: a token has no name but its place
            key={index}
            title={named(token)}
            style={{ background: `color-mix(in srgb, var(--bad) ${Math.round((1 - chance(token)) * DEEPEST)}%, transparent)` }}
          >
            {shown(token)}
          </span>
        ))}
      </pre>
      {least.length > 0 && (
        <p className="faint">
          least likely:{" "}
          {least.map((token, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a token has no name but its place
            <span key={index}>
              <Foreign text={JSON.stringify(shown(token))} /> {named(token)};{" "}
            </span>
          ))}
        </p>
      )}
    </>
  );
}
