/** The judge of a nemesis run is shown what it must find; the checkers behind it have their own tests. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Explanation } from "../../src/checkers/calm.ts";
import { type Attempt, History, type Operation, type Seen } from "../../src/checkers/history.ts";
import { loadHistory, saveHistory } from "./history-file.ts";
import { type Evidence, SCHEDULING_MS, judge, judgeHistory } from "./judge.ts";
import { BUCKETS } from "./load.ts";
import type { Machine } from "./machine.ts";

const PLAIN = BUCKETS[0]!;
const NODE = "0000000000000001";

const seenOf = (counter: number): Seen => ({
  vector: new Map([[NODE, counter]]),
  dots: new Set<string>(),
  hlc: counter,
});
const attemptAt = (startMs: number, endMs: number, status: number): Attempt => {
  const code = status === 0 ? "lost" : "";
  return { node: "n1", startMs, endMs, status, code, detail: "" };
};

/** A put that was acknowledged with the dot of `counter`, and the final read of its key, which shows it. */
function soundHistory(): { history: History; write: Operation; final: Operation } {
  const history = new History();
  const common = { bucket: PLAIN, key: "k", ok: 3, primary: 3, outcome: "ok" } as const;
  const put = { client: "c1", kind: "put", value: "c1.1", startMs: 0, endMs: 5 } as const;
  const write = history.begin({ ...common, ...put, seen: seenOf(7), dot: `${NODE}.7` });
  write.attempts.push(attemptAt(0, 5, 204));
  const versions = [{ dot: `${NODE}.7`, value: "c1.1" }];
  const get = { client: "judge", kind: "get", startMs: 100, endMs: 110 } as const;
  const final = history.begin({ ...common, ...get, seen: seenOf(7), versions });
  return { history, write, final };
}

function machineOf(fields: Partial<Machine> = {}): Machine {
  const machine = { name: "n1", violations: [], awakeAfter: (atMs: number) => atMs, ...fields };
  // The judge asks a machine for nothing else.
  return machine as unknown as Machine;
}

const EQUAL: Explanation = {
  partition: 1,
  owners: [{ node: "n1", reachable: true, dots: [], stateHash: "a" }],
  fallbacks: [],
  equal: true,
};

function found(history: History, finals: readonly Operation[], more: Partial<Evidence> = {}) {
  const evidence: Evidence = {
    history,
    finals,
    machines: [machineOf()],
    waits: [],
    explained: new Map([["plain/k", EQUAL]]),
    rings: new Map([["n1", "1"]]),
    hints: [],
    failures: [],
    ...more,
  };
  return [...new Set(judge(evidence).map(({ invariant }) => invariant))];
}

describe("the judge of a nemesis run", () => {
  test("finds nothing where nothing is wrong", () => {
    const { history, final } = soundHistory();
    expect(found(history, [final])).toEqual([]);
  });

  test("S1: finds an acknowledged write that the final read does not know", () => {
    const { history, final } = soundHistory();
    final.versions = [];
    final.seen = seenOf(0);
    expect(found(history, [final])).toContain("S1");
  });

  test("finds what the run has seen besides its history", () => {
    const { history, final } = soundHistory();
    const finals = [final];
    const differs = { ...EQUAL, equal: false };
    const end = [{ invariant: "S10", message: "n1 ended by itself", key: "" }];
    const lateMs = 2000 + SCHEDULING_MS + 501;
    const wait = {
      operation: "#0",
      node: "n1",
      startMs: 0,
      forMs: lateMs,
      timeoutMs: 2000,
      isExcused: false,
    };
    const rings = new Map([
      ["n1", "1"],
      ["n2", "2"],
    ]);
    expect(found(history, finals, { explained: new Map([["plain/k", differs]]) })).toEqual(["L1"]);
    expect(found(history, finals, { rings })).toEqual(["L3"]);
    expect(found(history, finals, { hints: [{ node: "n2", count: 1, bytes: 9 }] })).toEqual(["L4"]);
    expect(found(history, finals, { waits: [wait] })).toEqual(["L5"]);
    expect(found(history, finals, { waits: [{ ...wait, isExcused: true }] })).toEqual([]);
    expect(found(history, finals, { machines: [machineOf({ violations: end })] })).toEqual(["S10"]);
    expect(found(history, finals, { failures: ["a disk did not come back"] })).toEqual(["run"]);
  });

  test("finds in a history that was kept what it found before", async () => {
    const { history, final } = soundHistory();
    final.versions = [];
    const directory = mkdtempSync(join(tmpdir(), "hutch-kept-history-"));
    try {
      await saveHistory(history, directory);
      const kept = await loadHistory(directory);
      const finals = kept.operations.filter(({ client }) => client === "judge");
      expect(kept.operations).toHaveLength(2);
      expect(judgeHistory(kept, finals)).toEqual(judgeHistory(history, [final]));
      expect(judgeHistory(kept, finals)).not.toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("finds a run in which almost nothing was answered", () => {
    const { history, final } = soundHistory();
    for (let i = 0; i < 10; i++)
      history.begin({
        client: "c2",
        kind: "get",
        bucket: PLAIN,
        key: "k",
        startMs: 0,
        outcome: "fail",
      });
    expect(found(history, [final])).toEqual(["share"]);
  });

  test("lets a write that a stopped node was sent take effect when the node wakes, and no later", () => {
    const staleMs = 60_000;
    const endOf = (awakeMs: number): number => {
      const { history, final } = soundHistory();
      const put = { kind: "put", bucket: PLAIN, key: "k", value: "c2.1", startMs: 0 } as const;
      const lost = history.begin({ client: "c2", ...put, endMs: 4000, outcome: "info" });
      lost.attempts.push(attemptAt(0, 4000, 0));
      found(history, [final], { machines: [machineOf({ awakeAfter: () => awakeMs })] });
      return lost.endMs;
    };
    expect(endOf(staleMs)).toBe(staleMs);
    expect(endOf(0)).toBe(4000);
  });
});
