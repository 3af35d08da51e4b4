// Who is logged in, and what that person may do. The server decides; the pages only leave out what it would refuse.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "react-router";
import { change, get } from "../api/client";
import type { Me } from "../api/types";
import { Foreign } from "./parts";

export const ROLES = ["viewer", "runner", "admin"] as const;
export type Role = (typeof ROLES)[number];
const FRESH_MS = 60_000;

export function useMe(): Me | undefined {
  return useQuery({
    queryKey: ["me"],
    queryFn: () => get<Me>("/api/me"),
    staleTime: FRESH_MS,
    enabled: !location.hash.startsWith("#/login"),
  }).data;
}

/** False only for a person whose role is known to be too low. */
export function useMay(role: Role): boolean {
  const me = useMe();
  return me === undefined || ROLES.indexOf(me.role) >= ROLES.indexOf(role);
}

/** Its children, for those who may do this. */
export const For = ({ least, children }: { least: Role; children: ReactNode }) => (useMay(least) ? children : null);

/** Name and way out, where people log in. */
export function Who() {
  const me = useMe();
  if (!me?.needs_login) return null;
  const leave = async () => {
    await change("POST", "/api/logout");
    location.hash = "#/login";
    location.reload(); // nothing that was fetched stays in the page
  };
  return (
    <span className="who">
      <Link to="/account" title={`your role: ${me.role}`}>
        <Foreign text={me.name} />
      </Link>
      <button type="button" className="button" onClick={leave}>
        Log out
      </button>
    </span>
  );
}
