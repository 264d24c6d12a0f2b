/** Clusters at rest, and answers, with one thing that is not as promised, and the same without it. */
import { describe, expect, test } from "bun:test";
import {
  checkAnswered,
  checkDamage,
  checkEqualOwners,
  checkHintBytes,
  checkNoHints,
  checkOneRing,
} from "../../src/checkers/calm.ts";
import type { Operation } from "../../src/checkers/history.ts";
import { Story } from "../support/story.ts";

describe("the cluster at rest", () => {
  const owner = (node: string, stateHash: string, reachable = true) => ({
    node,
    stateHash,
    reachable,
    dots: [],
  });
  const explained = { partition: 1, fallbacks: [], equal: true };

  test("L1: owners that differ or cannot be asked are found", () => {
    const blame = (...owners: ReturnType<typeof owner>[]): string[] =>
      checkEqualOwners("b/k", { ...explained, owners }).map(({ invariant }) => invariant);
    expect(blame(owner("n1", "x"), owner("n2", "x"))).toEqual([]);
    expect(blame(owner("n1", "x"), owner("n2", "y"))).toEqual(["L1"]);
    expect(blame(owner("n1", "x"), owner("n2", "x", false))).toEqual(["L1"]);
  });

  test("L3, L4, S7: another ring, a hint that stays, too many bytes of hints are found", () => {
    expect(
      checkOneRing(
        new Map([
          ["n1", "1 a"],
          ["n2", "1 a"],
        ]),
      ),
    ).toEqual([]);
    expect(
      checkOneRing(
        new Map([
          ["n1", "1 a"],
          ["n2", "2 a"],
        ]),
      ),
    ).toHaveLength(1);
    const hints = [{ node: "n1", count: 1, bytes: 100 }];
    expect(checkNoHints([{ node: "n1", count: 0, bytes: 0 }])).toEqual([]);
    expect(checkNoHints(hints)).toHaveLength(1);
    expect(checkHintBytes("n2", hints, 100)).toEqual([]);
    expect(checkHintBytes("n2", hints, 99)).toHaveLength(1);
    const fallbacks = [owner("n4", "x")];
    expect(checkEqualOwners("b/k", { ...explained, owners: [], fallbacks })).toHaveLength(1);
  });

  test("L5: an answer after its time is found, unless its node stood still", () => {
    const waited = {
      operation: "#1",
      node: "n1",
      startMs: 0,
      timeoutMs: 500,
      isExcused: false,
    };
    expect(checkAnswered([{ ...waited, forMs: 1000 }])).toEqual([]);
    expect(checkAnswered([{ ...waited, forMs: 1001 }])).toHaveLength(1);
    expect(checkAnswered([{ ...waited, forMs: 1100, isExcused: true }])).toEqual([]);
  });

  test("row 80: an answer about damage is found, unless other copies were out of reach", () => {
    const story = new Story();
    const attempt = {
      node: "n1",
      startMs: 5,
      endMs: 6,
      status: 500,
      code: "data-corrupt",
      detail: "",
    };
    story.add({ kind: "get", outcome: "fail", attempts: [attempt] } as Partial<Operation> & {
      kind: "get";
    });
    expect(checkDamage(story.history, () => false)).toHaveLength(1);
    expect(checkDamage(story.history, () => true)).toEqual([]);
    const [operation] = story.history.operations;
    operation!.attempts.push({ ...attempt, status: 200, startMs: 7 });
    expect(checkDamage(story.history, () => false)).toHaveLength(1);
    expect(checkDamage(story.history, (startMs) => startMs === 5)).toEqual([]);
    expect(checkDamage(story.history, (startMs) => startMs === 7)).toHaveLength(1);
    operation!.attempts.shift();
    expect(checkDamage(story.history, () => false)).toEqual([]);
  });
});
