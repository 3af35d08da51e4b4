// Numbers and times as text, and addresses of pages.

export const percent = (rate: number | null | undefined) =>
  rate === null || rate === undefined ? "–" : `${Math.round(rate * 100)}\u00a0%`;

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)}\u00a0ms`;
  if (value < 100) return `${value.toFixed(1)}\u00a0s`;
  return value < 6000 ? `${Math.floor(value / 60)}\u00a0min ${Math.round(value % 60)}\u00a0s` : `${(value / 3600).toFixed(1)}\u00a0h`;
}

export const number = (value: number | null | undefined, digits = 1) =>
  value === null || value === undefined ? "–" : value.toFixed(digits);

export function sizeOf(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)}\u00a0kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)}\u00a0MB` : `${(bytes / 1e9).toFixed(bytes < 1e11 ? 1 : 0)}\u00a0GB`;
}

/** The distance of a time from now. */
export function past(epoch: number, now = Date.now() / 1000): string {
  const gone = Math.max(0, now - epoch);
  if (gone < 90) return `${Math.round(gone)} s ago`;
  if (gone < 5400) return `${Math.round(gone / 60)} min ago`;
  return gone < 129600 ? `${Math.round(gone / 3600)} h ago` : `${Math.round(gone / 86400)} days ago`;
}

const part = encodeURIComponent;
export const runTo = (run: string) => `/run/${part(run)}`;
export const stageTo = (run: string, iteration: number | string, stage: string) => `${runTo(run)}/${iteration}/${stage}`;
export const rolloutTo = (id: string) => `/rollout/${part(id)}`;
export const taskTo = (id: string) => `/task/${part(id)}`;
export const rolloutApi = (id: string) => `/api/rollouts/${part(id)}`;

/** The parameters of these names that have a value. */
export function chosenOf(query: URLSearchParams, names: readonly string[]): URLSearchParams {
  return new URLSearchParams(names.flatMap((name) => (query.get(name) ? [[name, query.get(name) ?? ""]] : [])));
}

/** The same parameters with one set, or removed by an empty value. */
export function withValue(query: URLSearchParams, name: string, value: string): URLSearchParams {
  const next = new URLSearchParams(query);
  if (value) next.set(name, value);
  else next.delete(name);
  return next;
}

export const asked = (query: URLSearchParams) => (query.size ? `?${query}` : "");

/** The step that is played at a time; `begins` are the beginnings of the steps and the end, in order. */
export function stepAt(begins: number[], time: number): number {
  const later = begins.findIndex((begin) => begin > time + 0.05); // a film stops a little before the time that it was sent to
  return later < 0 ? begins.length - 1 : Math.max(0, later - 1);
}
