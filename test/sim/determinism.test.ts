import { expect, test } from "bun:test";
import { runWorld, type RunSummary } from "./determinism.fixture.ts";

const fixture = new URL("./determinism.fixture.ts", import.meta.url).pathname;

function inAnotherProcess(seed: number): Pick<RunSummary, "digest" | "events" | "checkpoints"> {
  const child = Bun.spawnSync([process.execPath, fixture, String(seed)]);
  expect(child.stderr.toString()).toBe("");
  return JSON.parse(child.stdout.toString());
}

test("the same seed twice gives equal traces, event by event and log line by log line", () => {
  for (let seed = 0; seed < 10; seed++) {
    const first = runWorld(seed);
    expect(runWorld(seed)).toEqual(first);
    expect(first.events).toBeGreaterThan(1000);
    expect(first.checkpoints.length).toBe(Math.floor(first.events / 1000));
  }
});

test("the same seed gives the same trace in two processes", () => {
  for (const seed of [1, 2]) {
    const { digest, events, checkpoints } = runWorld(seed);
    expect(inAnotherProcess(seed)).toEqual({ digest, events, checkpoints });
  }
});

test("different seeds give different traces", () => {
  const digests = new Set(Array.from({ length: 20 }, (_, seed) => runWorld(seed).digest));
  expect(digests.size).toBe(20);
});
