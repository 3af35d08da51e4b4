// The log-in with a token.
import { useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { change } from "../api/client";
import { Button, Field } from "../ui/parts";
import { usePage } from "../ui/shell";

export default function LoginPage() {
  const [token, setToken] = useState("");
  const [query] = useSearchParams();
  const navigate = useNavigate();
  usePage({ title: "log in" });
  const enter = async () => {
    await change("POST", "/api/login", { token });
    const to = query.get("to") ?? "";
    navigate(to.startsWith("#/") && !to.startsWith("#/login") ? to.slice(1) : "/");
  };
  return (
    <form
      className="panel narrow"
      onSubmit={(event) => {
        event.preventDefault();
        event.currentTarget.querySelector("button")?.click();
      }}
    >
      <h1>Log in</h1>
      <Field label="Token" hint="the secret of your name in DASHBOARD_TOKENS">
        <input
          type="password"
          name="token"
          autoComplete="current-password"
          maxLength={500}
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </Field>
      <Button text="Log in" action={enter} name="main" />
    </form>
  );
}
