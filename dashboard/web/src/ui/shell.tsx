// The frame of all pages: tabs, crumbs, keys. A page says with `usePage` what it is called and which keys it takes.
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { createContext, lazy, type ReactNode, Suspense, useContext, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Link, Outlet, useLocation } from "react-router";
import { get } from "../api/client";
import { Who } from "./me";
import { Foreign } from "./parts";

const Palette = lazy(() => import("./palette"));
export const TABS = [
  ["runs", "Runs", "/"],
  ["tasks", "Tasks", "/tasks"],
  ["rollouts", "Rollouts", "/rollouts"],
  ["live", "Live", "/live"],
  ["compare", "Compare", "/compare"],
  ["judges", "Judges", "/judges"],
  ["analysis", "Analysis", "/analysis"],
  ["browsers", "Browsers", "/browsers"],
  ["system", "System", "/system"],
] as const;
const OF_TAB: Record<string, string> = {
  "": "runs",
  run: "runs",
  task: "tasks",
  rollout: "rollouts",
  audit: "system",
  users: "system",
  account: "",
};

export type Keys = Record<string, () => void>;
export interface PageInfo {
  crumbs?: [text: string, to: string][];
  title: string;
  hints?: [keys: string, meaning: string][];
  keys?: Keys;
}
export const TABLE_HINTS: [string, string][] = [
  ["↑ ↓", "choose"],
  ["Enter", "open"],
];
const Told = createContext<(info: PageInfo) => void>(() => {});

/** Names the page in the frame once its content is there, and puts the focus on its first row. */
export function usePage(info: PageInfo): void {
  const tell = useContext(Told);
  useLayoutEffect(() => tell(info));
  const { pathname, search } = useLocation();
  const place = pathname + search.replace(/[?&]step=\d+/, "");
  // biome-ignore lint/correctness/useExhaustiveDependencies: the focus moves when the place changes, not when data do
  useEffect(() => {
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("main a.row")?.focus({ preventScroll: true });
  }, [place]);
}

/** Data of an address, fetched again every `refresh` milliseconds while the tab is looked at. */
export function useGet<T>(path: string, refresh: number | ((data: T | undefined) => number) = 0): UseQueryResult<T, Error> {
  const every = (data: T | undefined) => (typeof refresh === "function" ? refresh(data) : refresh) || false;
  return useQuery({ queryKey: [path], queryFn: () => get<T>(path), refetchInterval: (query) => every(query.state.data) });
}

/** Shows the content of queries once all have answered; the first error in its place. */
export function Loaded({ of, children }: { of: UseQueryResult<unknown, Error>[]; children: () => ReactNode }) {
  const broken = of.find((query) => query.error && query.data === undefined);
  if (broken) return <Trouble sentence={broken.error?.message ?? ""} />;
  return of.some((query) => query.data === undefined) ? (
    <p className="faint" aria-busy="true">
      Loading …
    </p>
  ) : (
    children()
  );
}

/** As `Loaded`, for a part of a page: its error leaves the rest of the page as it is. */
export function LoadedPart({ of, children }: { of: UseQueryResult<unknown, Error>; children: () => ReactNode }) {
  if (of.error && of.data === undefined) return <Foreign text={of.error.message} as="p" name="problem" />;
  return <Loaded of={[of]}>{children}</Loaded>;
}

function Trouble({ sentence }: { sentence: string }) {
  usePage({ crumbs: [["runs", "/"]], title: "problem" });
  return <Foreign text={sentence} as="p" name="problem" />;
}

export function Shell() {
  const [info, setInfo] = useState<PageInfo>({ title: "" });
  const [palette, setPalette] = useState(false);
  const keys = useRef<PageInfo>({ title: "" });
  const [, kind = ""] = useLocation().pathname.split("/");
  const tell = (next: PageInfo) => {
    keys.current = next;
    setInfo((old) => (text(old) === text(next) ? old : next));
  };
  useEffect(() => {
    document.title = `${info.title} – rl-loop`;
  }, [info.title]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        setPalette(true);
      } else act(event, keys.current);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const now = OF_TAB[kind] ?? kind;
  return (
    <Told value={tell}>
      <header>
        <nav id="tabs" aria-label="Pages">
          {TABS.map(([name, label, to]) => (
            <Link key={name} to={to} aria-current={name === now ? "page" : undefined}>
              {label}
            </Link>
          ))}
        </nav>
        <nav id="crumbs" aria-label="Where you are">
          {(info.crumbs ?? []).map(([label, to]) => (
            <span key={to} className="crumb">
              <Link to={to}>{label}</Link> <span className="faint">/</span>
            </span>
          ))}
          <strong>{info.title}</strong>
        </nav>
        <Who />
      </header>
      <main id="page">
        <Suspense fallback={<p className="faint">Loading …</p>}>
          <Outlet />
        </Suspense>
      </main>
      <footer id="keys">
        {[...(info.hints ?? []), ["Ctrl K", "go to"] as [string, string]].map(([names, meaning]) => (
          <span key={meaning}>
            {names.split(" ").map((name) => (
              <kbd key={name}>{name}</kbd>
            ))}{" "}
            {meaning}
          </span>
        ))}
      </footer>
      {palette && (
        <Suspense>
          <Palette close={() => setPalette(false)} />
        </Suspense>
      )}
    </Told>
  );
}

const text = ({ crumbs, title, hints }: PageInfo) => JSON.stringify([crumbs, title, hints]);

/** Arrow keys walk through the rows of a table. */
function walk(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main a.row")];
  const index = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.max(0, Math.min(rows.length - 1, index + by))]?.focus();
}

const WALK: Keys = {
  ArrowDown: () => walk(1),
  ArrowUp: () => walk(-1),
  j: () => walk(1),
  k: () => walk(-1),
  "/": () => document.querySelector<HTMLElement>("main input[type=search]")?.focus(),
};

function act(event: KeyboardEvent, page: PageInfo): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest?.("select, input, textarea, video, dialog")) return;
  const up = page.crumbs?.at(-1)?.[1];
  const leave =
    up === undefined
      ? undefined
      : () => {
          location.hash = `#${up}`;
        };
  const action = page.keys?.[event.key] ?? (event.key === "Escape" ? leave : WALK[event.key]);
  if (!action || (event.key === " " && target.closest?.("button, summary"))) return;
  event.preventDefault();
  action();
}
