// The users, for admins: add, change the role, set a password, remove.
import { useState } from "react";
import { Link } from "react-router";
import { change } from "../api/client";
import type { User } from "../api/types";
import { ROLES, useMe } from "../ui/me";
import { Ago, Button, Choice, Empty, Field, Foreign, Panel, Problems, Table } from "../ui/parts";
import { Loaded, useGet, usePage } from "../ui/shell";

const CHOICES = ROLES.map((role): [string, string] => [role, role]);
const userApi = (name: string) => `/api/users/${encodeURIComponent(name)}`;

export default function UsersPage() {
  const users = useGet<User[]>("/api/users");
  return <Loaded of={[users]}>{() => <Shown users={users.data ?? []} again={() => users.refetch()} />}</Loaded>;
}

function Shown({ users, again }: { users: User[]; again: () => Promise<unknown> }) {
  usePage({ crumbs: [["system", "/system"]], title: "users", hints: [["Esc", "up"]] });
  return (
    <>
      <h1>Users</h1>
      <p className="faint">
        A viewer reads, a runner also starts and judges, an admin also manages users. <Link to="/audit">Audit log</Link>
      </p>
      <div className="columns">
        <section>
          {users.length ? (
            <Table columns={["name", "role", "log-in", "tokens", "since", "new password", ""]}>
              {users.map((user) => (
                <Line key={user.name} user={user} again={again} />
              ))}
            </Table>
          ) : (
            <Empty>
              There are no users: everybody who can reach this server is an admin. The first user must be an admin; from then on everybody
              logs in.
            </Empty>
          )}
        </section>
        <aside>
          <AddForm first={users.length === 0} again={again} />
        </aside>
      </div>
    </>
  );
}

function Line({ user, again }: { user: User; again: () => Promise<unknown> }) {
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const me = useMe();
  const act = async (method: string, content?: unknown) => {
    await change(method, userApi(user.name), content);
    await again();
  };
  const setRole = (role: string) =>
    act("PATCH", { role }).then(
      () => setProblem(""),
      (error: Error) => setProblem(error.message),
    );
  return (
    <tr>
      <td>
        <Foreign text={user.name} as="b" /> {me?.name === user.name && <span className="faint">you</span>}
      </td>
      <td>
        <Choice name={`role of ${user.name}`} value={user.role} options={CHOICES} choose={setRole} />
        <Problems sentences={problem ? [problem] : []} />
      </td>
      <td>{user.has_password ? "password" : "tokens only"}</td>
      <td>{user.tokens}</td>
      <td className="faint nowrap">
        <Ago at={user.created_at} />
      </td>
      <td>
        <span className="pick">
          <input
            type="password"
            autoComplete="new-password"
            aria-label={`new password of ${user.name}`}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
          {password && <Button text="Set" action={() => act("PATCH", { password }).then(() => setPassword(""))} />}
        </span>
      </td>
      <td>
        <Button text="Remove" name="danger" action={() => act("DELETE")} />
      </td>
    </tr>
  );
}

function AddForm({ first, again }: { first: boolean; again: () => Promise<unknown> }) {
  const empty = { name: "", password: "" };
  const [given, setGiven] = useState(empty);
  const [role, setRole] = useState("");
  const add = async () => {
    await change("POST", "/api/users", { ...given, role: role || (first ? "admin" : "viewer") });
    setGiven(empty);
    await again();
  };
  return (
    <Panel title="Add a user">
      <form className="form" onSubmit={(event) => event.preventDefault()}>
        <Field label="Name">
          <input
            name="name"
            autoComplete="off"
            maxLength={64}
            value={given.name}
            onChange={(event) => setGiven({ ...given, name: event.target.value })}
          />
        </Field>
        <Field label="Password" hint="at least 12 characters; several words are good">
          <input
            type="password"
            name="password"
            autoComplete="new-password"
            maxLength={200}
            value={given.password}
            onChange={(event) => setGiven({ ...given, password: event.target.value })}
          />
        </Field>
        <Field label="Role">
          <Choice name="role" value={role || (first ? "admin" : "viewer")} options={CHOICES} choose={setRole} />
        </Field>
        <Button text="Add" name="main" action={add} />
      </form>
    </Panel>
  );
}
