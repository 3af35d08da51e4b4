import { expect, test } from "vitest";
import { chosenOf, past, percent, rolloutTo, seconds, stepAt, withValue } from "./format";

test("numbers and times", () => {
  expect(percent(null)).toBe("–");
  expect(percent(0.256)).toBe("26\u00a0%");
  expect([0.25, 12.34, 125, 7200].map(seconds)).toEqual(["250\u00a0ms", "12.3\u00a0s", "2\u00a0min 5\u00a0s", "2.0\u00a0h"]);
  expect([0, 120, 7200, 864000].map((gone) => past(1000, 1000 + gone))).toEqual(["0 s ago", "2 min ago", "2 h ago", "10 days ago"]);
});

test("addresses keep any id, and filters keep only what was chosen", () => {
  expect(decodeURIComponent(rolloutTo("a/b?c#d").slice("/rollout/".length))).toBe("a/b?c#d");
  const query = new URLSearchParams("outcome=fail&step=2&stop=");
  expect(String(chosenOf(query, ["outcome", "stop"]))).toBe("outcome=fail");
  expect(String(withValue(query, "outcome", ""))).toBe("step=2&stop=");
});

test("the step of a time in the film", () => {
  const begins = [2, 5, 9];
  expect([0, 1.9, 2, 4.9, 4.96, 8, 9, 100].map((time) => stepAt(begins, time))).toEqual([0, 0, 0, 0, 1, 1, 2, 2]);
});
