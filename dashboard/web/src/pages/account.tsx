// What each person may change: the own password, and the API tokens for programs.
import { useState } from "react";
import { change } from "../api/client";
import type { MadeToken, Me, TokenLine } from "../api/types";
import { useMe } from "../ui/me";
import { Ago, Button, Empty, Field, Foreign, Panel, Table } from "../ui/parts";
import { Loaded, useGet, usePage } from "../ui/shell";

export default function AccountPage() {
  const tokens = useGet<TokenLine[]>("/api/me/tokens");
  const me = useMe();
  return <Loaded of={[tokens]}>{() => me && <Shown me={me} tokens={tokens.data ?? []} again={() => tokens.refetch()} />}</Loaded>;
}

function Shown({ me, tokens, again }: { me: Me; tokens: TokenLine[]; again: () => Promise<unknown> }) {
  usePage({ title: "your account" });
  return (
    <>
      <h1>
        <Foreign text={me.name} /> <small className="faint">{me.role}</small>
      </h1>
      {me.has_account ? (
        <div className="columns">
          <section>
            <h2>API tokens</h2>
            <Tokens tokens={tokens} again={again} />
          </section>
          <aside>
            <PasswordForm />
          </aside>
        </div>
      ) : (
        <Empty>
          This name has no account: it is {me.needs_login ? "one of DASHBOARD_TOKENS" : "everybody on this machine"}. An admin adds users.
        </Empty>
      )}
    </>
  );
}

function Tokens({ tokens, again }: { tokens: TokenLine[]; again: () => Promise<unknown> }) {
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("90");
  const [made, setMade] = useState<MadeToken | null>(null);
  const make = async () => {
    setMade(await change<MadeToken>("POST", "/api/me/tokens", { label, days: Number(days) || null }));
    setLabel("");
    await again();
  };
  const revoke = (number: number) => async () => {
    await change("DELETE", `/api/me/tokens/${number}`);
    await again();
  };
  return (
    <>
      <p className="faint">
        A program sends <code>Authorization: Bearer TOKEN</code> and may do what you may.
      </p>
      <form className="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="For">
          <input
            name="label"
            maxLength={100}
            placeholder="nightly export"
            value={label}
            onChange={(event) => setLabel(event.target.value)}
          />
        </Field>
        <Field label="Days" hint="empty: without end">
          <input type="number" name="days" min="1" max="3650" value={days} onChange={(event) => setDays(event.target.value)} />
        </Field>
        <Button text="Make a token" name="main" action={make} />
      </form>
      {made && (
        <Panel title={`Token for ${made.label}`}>
          <pre className="foreign">{made.secret}</pre>
          <p className="faint">It is shown this once and stored nowhere: copy it now.</p>
        </Panel>
      )}
      {tokens.length ? (
        <Table columns={["for", "made", "until", ""]}>
          {tokens.map((token) => (
            <tr key={token.number}>
              <Foreign text={token.label} as="td" />
              <td className="faint">
                <Ago at={token.created_at} />
              </td>
              <td className="faint">{token.expires_at?.slice(0, 10) ?? "revoked by hand"}</td>
              <td>
                <Button text="Revoke" name="danger" action={revoke(token.number)} />
              </td>
            </tr>
          ))}
        </Table>
      ) : (
        <Empty>You have no tokens.</Empty>
      )}
    </>
  );
}

function PasswordForm() {
  const empty = { old: "", new: "" };
  const [given, setGiven] = useState(empty);
  const set = async () => {
    await change("POST", "/api/me/password", given);
    location.hash = "#/login"; // all sessions have ended, this one too
    location.reload();
  };
  const input = (name: keyof typeof given, complete: string) => (
    <input
      type="password"
      name={name}
      autoComplete={complete}
      maxLength={500}
      value={given[name]}
      onChange={(event) => setGiven({ ...given, [name]: event.target.value })}
    />
  );
  return (
    <Panel title="Change your password">
      <form className="form" onSubmit={(event) => event.preventDefault()}>
        <Field label="Old password">{input("old", "current-password")}</Field>
        <Field label="New password" hint="at least 12 characters; it ends all your sessions">
          {input("new", "new-password")}
        </Field>
        <Button text="Change" action={set} />
      </form>
    </Panel>
  );
}
