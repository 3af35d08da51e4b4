// The policy updates of a run as charts and bins: names, units and explanations (training/learning/report.py has the metrics).
import type { Histogram, IterationView } from "../api/types";

/** The finished policy update of an iteration. */
export interface Update {
  iteration: number;
  metrics: Record<string, number | null>;
  samples: number | null;
  histograms: Record<string, Histogram>;
  alarms: string[];
}

/** One number by iteration; null where the update does not have it. */
export interface Series {
  name: string;
  metric: string;
  values: (number | null)[];
}

export interface Chart {
  title: string;
  unit: string;
  about: string;
  kind: "lines" | "stack";
  /** A logarithmic axis. */
  log: boolean;
  write: (value: number) => string;
  series: Series[];
  /** Mean - std and mean + std by iteration. */
  band: ([number, number] | null)[] | null;
}

export interface Bin {
  label: string;
  count: number;
}

interface Lines {
  title: string;
  unit: string;
  about: string;
  /** Metric and its name in the legend. */
  lines: [metric: string, name: string][];
  /** Standard deviation of the first line. */
  std?: string;
  share?: true;
  log?: true;
}

interface Known {
  title: string;
  unit: string;
  about: string;
  /** The last bin has all larger values too. */
  open: boolean;
}

const LINES: Lines[] = [
  { title: "Loss", unit: "", about: "Mean over optimiser steps. It has no goal: look for jumps.", lines: [["loss", "loss"]] },
  {
    title: "Gradient norm",
    unit: "before clipping",
    about: "Over optimiser steps. Peaks come before a policy breaks.",
    lines: [
      ["grad_norm", "mean"],
      ["grad_norm_max", "max"],
    ],
  },
  {
    title: "Entropy",
    unit: "nats per token",
    about: "Near 0 the samples of a task hardly differ.",
    lines: [["entropy", "entropy"]],
  },
  {
    title: "Clipped tokens",
    unit: "% of tokens",
    about: "Ratio outside the clip range: no gradient (cispo: capped weight).",
    lines: [
      ["clip_low", "advantage < 0"],
      ["clip_high", "advantage > 0"],
    ],
    share: true,
  },
  {
    title: "Capped tokens",
    unit: "% of tokens",
    about: "Ratio above max_ratio: masked or capped.",
    lines: [
      ["capped_negative", "advantage < 0"],
      ["capped_positive", "advantage > 0"],
    ],
    share: true,
  },
  {
    title: "KL",
    unit: "nats per token",
    about: "Distance of the trained policy from the one that sampled, and from the reference.",
    lines: [
      ["kl", "sampling policy"],
      ["kl_reference", "reference"],
    ],
  },
  {
    title: "Trainer/server gap",
    unit: "nats per token",
    about: "|log π − log μ| before the first step: numerical error, if both hold one policy.",
    lines: [
      ["gap_mean", "mean"],
      ["gap_max", "max"],
    ],
    log: true,
  },
  { title: "Lag", unit: "versions", about: "Mean age of a token's policy when it was trained on.", lines: [["lag_mean", "mean"]] },
  {
    title: "Rewards",
    unit: "mean ± std",
    about: "Of judged trajectories, without penalties.",
    lines: [["reward_mean", "mean"]],
    std: "reward_std",
  },
  {
    title: "Advantages",
    unit: "of samples",
    about: "A size near 0 is an update without a signal.",
    lines: [
      ["advantage_mean", "mean"],
      ["advantage_abs_mean", "mean size"],
    ],
  },
  {
    title: "Speed",
    unit: "tokens/s",
    about: "Tokens of prompts and answers per second of training.",
    lines: [["tokens_per_second", "tokens/s"]],
  },
  { title: "MFU", unit: "% of the peak", about: "Share of the GPU's arithmetic that training uses.", lines: [["mfu", "MFU"]], share: true },
];

const HISTOGRAMS = new Map<string, Known>([
  ["reward", { title: "Rewards", unit: "trajectories", about: "Judged trajectories by reward.", open: false }],
  ["advantage", { title: "Advantages", unit: "samples", about: "Samples by advantage.", open: false }],
  ["gap", { title: "Trainer/server gap", unit: "tokens", about: "Tokens by |log π − log μ| in nats, in bins that widen.", open: true }],
  ["lag", { title: "Lag", unit: "tokens", about: "Tokens by the age of their policy in versions.", open: false }],
]);

/** Count of the steps that were trained on. */
export const USED = "samples";

const LINE_COLORS = ["var(--accent)", "var(--warn)"];
const REASON_COLORS = ["warn", "broken", "bad", "faint", "good"].flatMap((name) => [
  `var(--${name})`,
  `color-mix(in srgb, var(--${name}) 50%, var(--card))`,
]);

/** The colour of a line or of a reason. */
export const colorOf = ({ kind }: Chart, { metric }: Series, index: number) => {
  if (metric === USED) return "var(--accent)";
  return kind === "stack" ? REASON_COLORS[index % REASON_COLORS.length] : LINE_COLORS[index % LINE_COLORS.length];
};

/** The finished policy updates of a run, in the order of its table. */
export function updatesOf(table: IterationView[]): Update[] {
  return table.flatMap(({ iteration, stages }) =>
    stages
      .filter((stage) => stage.stage === "policy_update" && stage.finished)
      .map(({ metrics, counts, histograms, alarms }) => ({ iteration, metrics, samples: counts[USED] ?? null, histograms, alarms })),
  );
}

/** The charts that have a value. */
export function chartsOf(updates: Update[]): Chart[] {
  const charts = [...LINES.map((one) => linesOf(updates, one)), samplesOf(updates), excludedOf(updates)];
  return charts.filter((chart) => chart.series.length > 0);
}

/** The histograms of an update with counts, the known ones first. */
export function histogramsOf(update: Update): [name: string, known: Known, histogram: Histogram][] {
  const order = [...HISTOGRAMS.keys()];
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(update.histograms)
    .filter(([, { counts }]) => counts.some((count) => count > 0))
    .sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b))
    .map(([name, histogram]) => [name, HISTOGRAMS.get(name) ?? { title: name, unit: "", about: "", open: true }, histogram]);
}

/** Whether there is anything to show about the updates of a run. */
export const isTold = (updates: Update[]) =>
  updates.some((update) => update.alarms.length > 0 || histogramsOf(update).length > 0) || chartsOf(updates).length > 0;

/** Names of all metrics, those of the charts first. */
export function metricsOf(updates: Update[]): string[] {
  const drawn = LINES.flatMap(({ lines, std }) => [...lines.map(([metric]) => metric), ...(std ? [std] : [])]);
  const found = new Set(updates.flatMap(({ metrics }) => Object.keys(metrics)));
  return [...drawn.filter((name) => found.has(name)), ...[...found].filter((name) => !drawn.includes(name)).sort()];
}

function linesOf(updates: Update[], { lines, std, share: isShare, log, ...words }: Lines): Chart {
  const series = lines.map(([metric, name]) => ({ name, metric, values: updates.map(({ metrics }) => metrics[metric] ?? null) }));
  const band = std
    ? updates.map(({ metrics }): [number, number] | null => {
        const [mean, spread] = [metrics[lines[0][0]], metrics[std]];
        return typeof mean === "number" && typeof spread === "number" ? [mean - spread, mean + spread] : null;
      })
    : null;
  const filled = series.filter(({ values }) => values.some((value) => value !== null));
  return { ...words, kind: "lines", log: log === true, write: isShare ? share : short, series: filled, band };
}

function samplesOf(updates: Update[]): Chart {
  const used = { name: "used", metric: USED, values: updates.map(({ samples }) => samples) };
  const series = [...withCounts([used]), ...byReason(updates, "dropped_")];
  return stack("Samples", "steps", "Steps that were trained on, and steps left out, by reason.", series);
}

const excludedOf = (updates: Update[]) =>
  stack("Left out", "trajectories", "Trajectories that teach nothing, by reason.", byReason(updates, "excluded_"));

const stack = (title: string, unit: string, about: string, series: Series[]): Chart => ({
  ...{ title, unit, about, series },
  ...{ kind: "stack", log: false, write: short, band: null },
});

/** The metrics that begin with a prefix, the largest reason first. */
function byReason(updates: Update[], prefix: string): Series[] {
  const names = metricsOf(updates).filter((name) => name.startsWith(prefix));
  const found = names.map((metric) => ({
    name: metric.slice(prefix.length).replaceAll("_", " "),
    metric,
    values: updates.map(({ metrics }) => metrics[metric] ?? null),
  }));
  return withCounts(found).sort((a, b) => total(b) - total(a));
}

const total = ({ values }: Series) => values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
const withCounts = (series: Series[]) => series.filter((one) => total(one) > 0);

/** A number in a few characters. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size >= 1e3) return String(Math.round(value));
  if (size >= 1e-3 || size === 0) return String(Number(value.toPrecision(3)));
  return Number(value.toPrecision(2)).toExponential();
}

const share = (value: number) => `${short(value * 100)}\u00a0%`;

/** Bins of a unit's width are called by their value, others by their edges. */
export function binsOf({ edges, counts }: Histogram, open: boolean): Bin[] {
  const names = edgeNames(edges);
  return counts.map((count, index) => {
    const last = open && index === counts.length - 1;
    const between = isByValue(edges) ? names[index] : `${names[index]} to ${names[index + 1]}`;
    return { label: last ? `${names[index]} or more` : between, count };
  });
}

/** Labels of the axis of a histogram with their places from 0 to 1; 0 has one, if it is an edge. */
export function axisOf({ edges, counts }: Histogram): { text: string; at: number }[] {
  const bins = counts.length;
  const names = edgeNames(edges);
  const zero = Math.max(0, names.indexOf("0"));
  const least = Math.ceil(bins / 8);
  const steps = Array.from({ length: Math.max(1, Math.ceil(bins / 4) - least + 1) }, (_, index) => least + index);
  const step = steps.find((one) => zero % one === 0) ?? least;
  const byValue = isByValue(edges);
  return names
    .map((text, index) => ({ text, index, at: (byValue ? index + 0.5 : index) / bins }))
    .filter(({ index }) => index % step === 0 && (!byValue || index < bins));
}

const isByValue = (edges: number[]) => edges.every((edge, index) => Number.isInteger(edge) && edge === edges[0] + index);

/** Equal bins have a 0 that is only nearly 0. */
function edgeNames(edges: number[]): string[] {
  const range = edges[edges.length - 1] - edges[0];
  return edges.map((edge) => short(Math.abs(edge) < range * 1e-12 ? 0 : edge));
}
