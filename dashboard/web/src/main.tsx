// Routes. Each page is a file of its own and is fetched when it is opened first.
import "./style.css";
import "./acting.css";
import "./extra.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ComponentType, lazy, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { HashRouter, Route, Routes } from "react-router";
import RunsPage from "./pages/runs";
import { Shell } from "./ui/shell";

const PAGES: [path: string, load: () => Promise<{ default: ComponentType }>][] = [
  ["/run/:run", () => import("./pages/run")],
  ["/run/:run/:iteration/:stage", () => import("./pages/trajectories")],
  ["/run/:run/:iteration/:stage/:id", () => import("./pages/replay")],
  ["/tasks", () => import("./pages/tasks")],
  ["/task/:id", () => import("./pages/task")],
  ["/rollouts", () => import("./pages/rollouts")],
  ["/rollout/:id", () => import("./pages/rollout")],
  ["/live", () => import("./pages/live")],
  ["/compare", () => import("./pages/compare")],
  ["/compare/rollouts", () => import("./pages/compareRollouts")],
  ["/judges", () => import("./pages/judges")],
  ["/analysis", () => import("./pages/analysis")],
  ["/audit", () => import("./pages/audit")],
  ["/users", () => import("./pages/users")],
  ["/account", () => import("./pages/account")],
  ["/browsers", () => import("./pages/browsers")],
  ["/system", () => import("./pages/system")],
  ["/login", () => import("./pages/login")],
];
const ROUTES = PAGES.map(([path, load]) => ({ path, Page: lazy(load) }));
const client = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false } } });

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <HashRouter>
        <Routes>
          <Route element={<Shell />}>
            {ROUTES.map(({ path, Page }) => (
              <Route key={path} path={path} element={<Page />} />
            ))}
            <Route path="*" element={<RunsPage />} />
          </Route>
        </Routes>
      </HashRouter>
    </QueryClientProvider>
  </StrictMode>,
);
