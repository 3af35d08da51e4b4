import { expect, test } from "vitest";
import type { IterationView, StageView } from "../api/types";
import { axisOf, binsOf, chartsOf, histogramsOf, isTold, metricsOf, short, updatesOf } from "./updates";

const GAP = [0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10];

function iteration(number: number, update: Partial<StageView>): IterationView {
  const stage = {
    stage: "policy_update",
    finished: true,
    done: 0,
    total: 0,
    note: "",
    counts: {},
    metrics: {},
    histograms: {},
    alarms: [],
  };
  return { iteration: number, train_success: null, heldout_success: null, steps_mean: null, seconds: 1, stages: [{ ...stage, ...update }] };
}

test("a missing number is no 0, and a chart without a number is left out", () => {
  const updates = updatesOf([iteration(1, { metrics: { loss: 0.5, kl: null } }), iteration(2, {}), iteration(3, { metrics: { loss: 0 } })]);
  expect(chartsOf(updates).map(({ title, series }) => [title, series[0].values])).toEqual([["Loss", [0.5, null, 0]]]);
  expect(isTold(updates)).toBe(true);
  expect(isTold(updatesOf([iteration(1, {}), iteration(2, { stage: "judge", metrics: { loss: 1 } })]))).toBe(false);
  expect(isTold(updatesOf([iteration(1, { finished: false, metrics: { loss: 1 } })]))).toBe(false);
});

test("steps and trajectories that were left out, by reason, the most frequent first", () => {
  const metrics = { dropped_stale: 1, dropped_bad_gap: 7, dropped_truncated: 0, excluded_unjudged: 2, excluded_constructor: 1 };
  const updates = updatesOf([iteration(1, { metrics, counts: { samples: 40 } }), iteration(2, { counts: { samples: 0 } })]);
  const [samples, trajectories] = chartsOf(updates);
  expect(samples.series.map(({ name, values }) => [name, values])).toEqual([
    ["used", [40, 0]],
    ["bad gap", [7, null]],
    ["stale", [1, null]],
  ]);
  expect(trajectories.series.map(({ name }) => name)).toEqual(["unjudged", "constructor"]);
});

test("the rewards have a band where there is a spread", () => {
  const [chart] = chartsOf(updatesOf([iteration(1, { metrics: { reward_mean: 0.5, reward_std: 0.25 } }), iteration(2, {})]));
  expect(chart.band).toEqual([[0.25, 0.75], null]);
});

test("the metrics of the charts come first in the table", () => {
  expect(metricsOf(updatesOf([iteration(1, { metrics: { a: 1, loss: 2 } }), iteration(2, { metrics: { b: 1, kl: 1 } })]))).toEqual([
    "loss",
    "kl",
    "a",
    "b",
  ]);
});

test("numbers of any size are short", () => {
  expect([0, 0.25, -1.4997, 1234.5, 12345, 2.5e6, 3.04e-7, -2e-17].map(short)).toEqual([
    "0",
    "0.25",
    "-1.5",
    "1235",
    "12.3k",
    "2.5M",
    "3e-7",
    "-2e-17",
  ]);
});

test("bins are called by their edges, or by their value", () => {
  const gap = { edges: GAP, counts: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] };
  const names = binsOf(gap, true).map(({ label }) => label);
  expect([names[0], names[4], names[12]]).toEqual(["0 to 1e-7", "1e-4 to 0.001", "3 or more"]);
  expect(axisOf(gap).map(({ text }) => text)).toEqual(["0", "1e-6", "1e-4", "0.003", "0.03", "0.3", "3"]);
  const lag = { edges: [0, 1, 2], counts: [5, 6] };
  expect(binsOf(lag, false).map(({ label }) => label)).toEqual(["0", "1"]);
  expect(axisOf(lag)).toMatchObject([
    { text: "0", at: 0.25 },
    { text: "1", at: 0.75 },
  ]);
  const advantage = { edges: Array.from({ length: 21 }, (_, index) => -1.5 + index * 0.15), counts: Array(20).fill(1) };
  expect(axisOf(advantage).map(({ text }) => text)).toEqual(["-1.5", "-0.75", "0", "0.75", "1.5"]);
});

test("histograms without a count are left out, and unknown ones keep their names", () => {
  const one = { edges: [0, 1], counts: [1] };
  const histograms = { constructor: one, lag: one, gap: { edges: [0, 1], counts: [0] }, reward: one };
  const [update] = updatesOf([iteration(1, { histograms })]);
  expect(histogramsOf(update).map(([name, known]) => [name, known.title])).toEqual([
    ["reward", "Rewards"],
    ["lag", "Lag"],
    ["constructor", "constructor"],
  ]);
});
