/** One seed, one run: in this process, in two others, and for whole clusters; and what is done when it is not so. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  findDifference,
  tellDifference,
  differingWindow,
  type TraceRecord,
} from "../../src/sim/trace-difference.ts";
import { recordTrace, TraceHash, type TraceWindow } from "../../src/sim/trace-hash.ts";
import { record, recordApart, type RunKind, runWorld } from "./determinism.fixture.ts";

setDefaultTimeout(60_000);

const NOTHING: TraceWindow = { from: 0, to: 0 };
/** Nothing of this may make a difference. */
const ELSEWHERE = { TZ: "Asia/Kathmandu", LANG: "tr_TR.UTF-8", BUN_JSC_useJIT: "0" };

describe("determinism", () => {
  test("the same seed twice gives equal traces, event by event and log line by log line", () => {
    for (let seed = 0; seed < 10; seed++) {
      const first = runWorld(seed);
      expect(runWorld(seed)).toEqual(first);
      expect(first.events).toBeGreaterThan(1000);
      expect(first.checkpoints.length).toBe(Math.floor(first.events / 1000));
    }
  });

  test("the same seed gives the same trace in two processes", async () => {
    for (const seed of [1, 2]) {
      expect(await recordApart("world", seed, ELSEWHERE)(NOTHING)).toEqual(record("world", seed));
    }
  });

  test("different seeds give different traces", () => {
    const digests = new Set(Array.from({ length: 20 }, (_, seed) => runWorld(seed).digest));
    expect(digests.size).toBe(20);
  });

  const whole: readonly (readonly [what: string, kind: RunKind, seed: number])[] = [
    ["five nodes under faults", "cluster", 101],
    ["a cluster that changes", "elastic", 102],
  ];
  test.each(whole)(
    "a whole run of %s is the same in two processes, whatever their machine, zone, language and compiler",
    async (_, kind, seed) => {
      const [here, there] = await Promise.all([
        recordApart(kind, seed)(NOTHING),
        recordApart(kind, seed, ELSEWHERE)(NOTHING),
      ]);
      expect(here.events).toBeGreaterThan(5000);
      expect(here.checkpoints).toHaveLength(Math.floor(here.events / 1000));
      expect(there).toEqual(here);
    },
  );

  test("what is not deterministic is found, with the events around the first difference", async () => {
    const run = recordApart("planted", 103);
    const difference = await findDifference(run, run);
    expect(difference).toBeDefined();
    const { window, event, before, first, second } = difference!;
    expect(event).toBeGreaterThanOrEqual(window.from);
    expect(event).toBeLessThan(window.to);
    expect(before.length).toBeGreaterThan(0);
    expect(first[0]).not.toBe(second[0]);
    expect(tellDifference(difference!)).toContain(
      `the runs part at event ${event}:\n    ${before[0]}`,
    );
  });
});

describe("findDifference", () => {
  /** A run of `count` events of which those from `changedFrom` on are of another kind. */
  const runOf =
    (count: number, changedFrom = Infinity, kind = "planted") =>
    (window: TraceWindow): TraceRecord => {
      const trace = new TraceHash(window);
      for (let i = 0; i < count; i++) trace.add(`${i >= changedFrom ? kind : "event"} ${i}`);
      const { checkpoints, eventCount: events, kept } = trace;
      return { digest: trace.digest(), events, checkpoints, kept };
    };

  test.each([0, 1, 11, 12, 999, 1000, 1001, 4999, 5000, 7654, 7999])(
    "finds that event %d is the first that differs",
    async (at) => {
      const found = await findDifference(runOf(8000), runOf(8000, at));
      expect(found).toMatchObject({ event: at });
      expect(found!.first[0]).toBe(`event ${at}`);
      expect(found!.second[0]).toBe(`planted ${at}`);
      expect(found!.before.at(-1)).toBe(at === 0 ? undefined : `event ${at - 1}`);
    },
  );

  test("finds where one run goes on and the other has ended", async () => {
    for (const count of [2500, 3000, 3001])
      expect(await findDifference(runOf(count), runOf(count + 1))).toMatchObject({
        event: count,
        first: [],
        second: [`event ${count}`],
      });
  });

  test("finds none between equal runs, after one pair of them", async () => {
    let runs = 0;
    const run = (window: TraceWindow): TraceRecord => {
      runs++;
      return runOf(3000)(window);
    };
    expect(await findDifference(run, run)).toBeUndefined();
    expect(runs).toBe(2);
  });

  test("says so when the runs part each time elsewhere", async () => {
    let round = 0;
    const restless = (window: TraceWindow): TraceRecord => {
      round++;
      return runOf(20_000, (round * 3000) % 17_000)(window);
    };
    const found = await findDifference(runOf(20_000), restless);
    expect(found!.event).toBe(-1);
    expect(tellDifference(found!)).toContain("each time elsewhere");
  });

  test("bisects: the window holds the first checkpoint that differs, and a little before it", () => {
    const left = runOf(9000)(NOTHING);
    const right = runOf(9000, 6200)(NOTHING);
    expect(differingWindow(left, right)).toEqual({ from: 5988, to: 7000 });
    expect(differingWindow(left, left)).toBeUndefined();
  });
});

describe("recordTrace", () => {
  test("keeps the events of the window and of nothing else; the digest is the same", () => {
    const plain = recordTrace(() => runWorld(4)).trace;
    const kept = recordTrace(() => runWorld(4), { from: 500, to: 700 }).trace;
    expect(plain.kept).toEqual([]);
    expect(kept.kept).toHaveLength(200);
    expect(kept.digest()).toBe(plain.digest());
    expect(runWorld(4).digest).toBe(plain.digest());
  });

  test("ends with the run, also when that throws", () => {
    expect(() =>
      recordTrace(() => {
        throw new Error("broken run");
      }),
    ).toThrow("broken run");
    expect(recordTrace(() => runWorld(5)).result.events).toBeGreaterThan(1000);
  });
});
