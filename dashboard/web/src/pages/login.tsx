// The log-in with a name and a password, or with a token.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { change } from "../api/client";
import { Button, Field } from "../ui/parts";
import { usePage } from "../ui/shell";

export default function LoginPage() {
  const [given, setGiven] = useState({ name: "", password: "", token: "" });
  const [query] = useSearchParams();
  const navigate = useNavigate();
  const cache = useQueryClient();
  usePage({ title: "log in" });
  const enter = async () => {
    const { name, password, token } = given;
    await change("POST", "/api/login", token ? { token } : { name, password });
    cache.clear();
    const to = query.get("to") ?? "";
    navigate(to.startsWith("#/") && !to.startsWith("#/login") ? to.slice(1) : "/");
  };
  const input = (name: keyof typeof given, type: string, complete: string) => (
    <input
      type={type}
      name={name}
      autoComplete={complete}
      maxLength={500}
      value={given[name]}
      onChange={(event) => setGiven({ ...given, [name]: event.target.value })}
    />
  );
  return (
    <form
      className="panel narrow"
      onSubmit={(event) => {
        event.preventDefault();
        event.currentTarget.querySelector<HTMLButtonElement>("button[type=button]")?.click();
      }}
    >
      <h1>Log in</h1>
      <Field label="Name">{input("name", "text", "username")}</Field>
      <Field label="Password">{input("password", "password", "current-password")}</Field>
      <details>
        <summary>with a token</summary>
        <Field label="Token" hint="an API token, or a secret of DASHBOARD_TOKENS">
          {input("token", "password", "off")}
        </Field>
      </details>
      <Button text="Log in" action={enter} name="main" />
      <button type="submit" className="hidden" tabIndex={-1} aria-hidden="true">
        Log in
      </button>
    </form>
  );
}
