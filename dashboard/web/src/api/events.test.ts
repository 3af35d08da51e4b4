import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Calls } from "./events";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("events that never pause do not put the call off for ever", async () => {
  let made = 0;
  const calls = new Calls(() => {
    made += 1;
  });
  for (let at = 0; at < 1000; at += 100) {
    calls.ask();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(made).toBeGreaterThanOrEqual(3);
  calls.stop();
});

test("a slow call is not made twice at once, and is made again for what came meanwhile", async () => {
  let [made, running, most] = [0, 0, 0];
  const calls = new Calls(async () => {
    made += 1;
    most = Math.max(most, ++running);
    await new Promise((done) => setTimeout(done, 5000));
    running -= 1;
  });
  for (let at = 0; at < 5000; at += 100) {
    calls.ask();
    await vi.advanceTimersByTimeAsync(100);
  }
  await vi.advanceTimersByTimeAsync(12000);
  expect([made, most]).toEqual([2, 1]);
});

test("a call that fails is no end", async () => {
  let made = 0;
  const calls = new Calls(() => {
    made += 1;
    return Promise.reject(new Error("away"));
  });
  calls.ask();
  await vi.advanceTimersByTimeAsync(300);
  calls.ask();
  await vi.advanceTimersByTimeAsync(300);
  expect(made).toBe(2);
});
