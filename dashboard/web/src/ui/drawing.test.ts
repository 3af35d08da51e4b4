import { expect, test } from "vitest";
import { bandOf, dotsOf, labelsOf, linear, lineOf, logarithmic, stackOf } from "./drawing";

test("levels are round numbers, and 0 is one of them", () => {
  expect(linear([0.3, 0.31]).ticks).toEqual([0, 0.1, 0.2, 0.30000000000000004, 0.4]);
  expect(linear([-0.03, 0.02]).ticks).toEqual([-0.04, -0.02, 0, 0.02]);
  expect(linear([0, 0]).ticks).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(linear([1], true).ticks).toEqual([0, 1]);
  expect(linear([7], true).ticks).toEqual([0, 2, 4, 6, 8]);
  expect([0, 4, 8].map(linear([7], true).place)).toEqual([0, 0.5, 1]);
  expect(linear([-5]).ticks).toEqual([-6, -4, -2, 0]);
});

test("a logarithmic axis has powers of ten, and a place for 0", () => {
  const scale = logarithmic([3e-7, 0.02]);
  expect(scale.ticks).toEqual([1e-7, 1e-5, 0.001, 0.1]);
  expect([1e-7, 1e-4, 0.1].map(scale.place)).toEqual([0, 0.5, 1]);
  expect(logarithmic([0, 0]).ticks).toEqual([1e-9, 1e-8]);
  expect(logarithmic([0, 0.5]).place(0)).toBe(0);
});

test("a line is interrupted where a value is missing", () => {
  const scale = linear([0, 4]);
  expect(lineOf([0, null, 4, 2], scale)).toBe("M12.5 100M62.5 0L87.5 50");
  expect(dotsOf([0, null, 4, 2], scale)).toBe("M12.5 100h0M62.5 0h0M87.5 50h0");
  const long = [...Array(50).fill(1), null, 4, null];
  expect(dotsOf(long, scale).match(/h0/g)).toHaveLength(1);
  expect(bandOf([[0, 4], null, [0, 2], [2, 4]], scale)).toBe("M62.5 100V50L87.5 0V50Z");
});

test("bars stand on each other", () => {
  expect(
    stackOf(
      [
        [2, null],
        [2, 4],
      ],
      linear([4]),
    ),
  ).toEqual(["M6 100V50H44V100Z", "M6 50V0H44V50ZM56 100V0H94V100Z"]);
});

test("a few iterations are named", () => {
  const named = (first: number, count: number) =>
    labelsOf(Array.from({ length: count }, (_, index) => first + index)).map(({ text }) => text);
  expect(named(1, 3)).toEqual(["1", "2", "3"]);
  expect(named(1, 40)).toEqual(["10", "20", "30", "40"]);
  expect(named(1, 200)).toEqual(["50", "100", "150", "200"]);
  expect(named(7, 1)).toEqual(["7"]);
  expect(labelsOf([3, 1000]).map(({ text }) => text)).toEqual(["1000"]);
});
