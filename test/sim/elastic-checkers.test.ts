/** The checkers of clusters that change and forget, each shown one planted violation, and the same without it. */
import { describe, expect, test } from "bun:test";
import { Amnesty, type AmnestyOptions } from "../../src/checkers/amnesty.ts";
import { checkDamage } from "../../src/checkers/calm.ts";
import { checkCopies, checkPreferenceLists, checkTrees } from "../../src/checkers/copies.ts";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import type { Operation, Seen } from "../../src/checkers/history.ts";
import type { HeldRecord, NodeContents } from "../../src/checkers/copies.ts";
import { A, B, LWW, Story, seen, version } from "../support/story.ts";

/** Counters of these stories are the virtual milliseconds at which they were given out. */
function amnestyOf(story: Story, options: Partial<AmnestyOptions> = {}): Amnesty {
  return new Amnesty(story.history, {
    gcDelayMs: 1000,
    clockErrorMs: 0,
    timeOfCounter: (counter) => counter,
    losses: [],
    ...options,
  });
}

/** A put, and what deletes it. */
function deleted(): Story {
  const story = new Story();
  story.put("x", `${A}.1`, seen({ [A]: 1 }));
  story.delete(`${A}.20`, seen({ [A]: 20 }), { given: seen({ [A]: 1 }) });
  return story;
}

describe("what may be forgotten", () => {
  test("a deletion that is old enough, and what it has deleted, are collected and not lost", () => {
    const late = { startMs: 2000, endMs: 2010 };
    const forgetful = deleted();
    expect(forgetful.blame([], seen({}), late, amnestyOf(forgetful))).toEqual([]);
    const strict = deleted();
    expect(strict.blame([], seen({}), late)).toEqual(["S1", "S1"]);
    const early = deleted();
    expect(early.blame([], seen({}), { startMs: 500, endMs: 510 }, amnestyOf(early))).toEqual([
      "S1",
      "S1",
    ]);
  });

  test("S1: what nobody has deleted is lost, whatever was collected beside it", () => {
    const story = deleted();
    story.put("y", `${B}.50`, seen({ [B]: 50 }));
    const late = { startMs: 2000, endMs: 2010 };
    expect(story.blame([], seen({}), late, amnestyOf(story))).toEqual(["S1"]);
  });

  test("an expired value is dead, and one that has not expired is lost", () => {
    const story = (ttlMs: number): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { ttlMs });
      return told.blame([], seen({}), { startMs: 4000, endMs: 4010 }, amnestyOf(told));
    };
    expect(story(1000)).toEqual([]);
    expect(story(9000)).toEqual(["S1"]);
  });

  test("I5: what was deleted does not come back when nobody remembers the deletion", () => {
    const late = { startMs: 2000, endMs: 2010 };
    const story = deleted();
    expect(story.blame([version(`${A}.1`, "x")], seen({ [A]: 1 }), late, amnestyOf(story))).toEqual(
      ["I5"],
    );
    const lww = new Story(LWW);
    lww.put("x", `${A}.1`, seen({ [A]: 1 }, 1));
    lww.delete(`${B}.20`, seen({ [A]: 1, [B]: 20 }, 20));
    expect(lww.blame([version(`${A}.1`, "x")], seen({ [A]: 1 }, 1), late, amnestyOf(lww))).toEqual([
      "I5",
    ]);
  });

  test("I5: a quorum shows nothing that a quorum has deleted, also with the deletion forgotten", () => {
    const story = deleted();
    story.get([], seen({}), { startMs: 2000, endMs: 2010 });
    expect(checkQuorumReads(story.history, amnestyOf(story))).toEqual([]);
    story.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { startMs: 2100, endMs: 2110 });
    const blamed = checkQuorumReads(story.history, amnestyOf(story));
    expect(blamed.map(({ invariant }) => invariant)).toEqual(["I5"]);
  });

  test("R7, I6: a session and a quorum may forget what was collected, and nothing younger", () => {
    const check = (startMs: number): string[] => {
      const story = new Story();
      const session = { session: "s" };
      story.put("x", `${A}.1`, seen({ [A]: 1 }), session);
      story.delete(`${A}.20`, seen({ [A]: 20 }), { given: seen({ [A]: 1 }), ...session });
      story.get([], seen({}), { startMs, endMs: startMs + 10, ...session });
      const amnesty = amnestyOf(story);
      return [
        ...checkSessions(story.history, amnesty),
        ...checkQuorumReads(story.history, amnesty),
      ].map(({ invariant }) => invariant);
    };
    expect(check(3000)).toEqual([]);
    expect(check(500).sort()).toEqual(["R3", "R3", "R7", "R7"]);
  });

  test("I11: a value that is shown long after it has expired is found", () => {
    const read = (startMs: number): string[] => {
      const story = new Story();
      story.put("x", `${A}.1`, seen({ [A]: 1 }), { ttlMs: 1000 });
      return story.blame([version(`${A}.1`, "x")], seen({ [A]: 1 }), {
        startMs,
        endMs: startMs + 1,
      });
    };
    expect(read(1500)).toEqual([]);
    expect(read(9000)).toEqual(["I11"]);
  });

  test("S1: a write is forgiven where as many disks were lost as had acknowledged it, and no other knew it", () => {
    const lost = (ok: number, losses: number, known: Seen): string[] => {
      const story = new Story();
      story.put("x", `${A}.1`, seen({ [A]: 1 }), { ok });
      const each = { atMs: 100, known: new Map([["b/k", known]]) };
      const amnesty = amnestyOf(story, { losses: Array.from({ length: losses }, () => each) });
      amnesty.forgive(story.history);
      return story.blame([], seen({}), { startMs: 300, endMs: 310 }, amnesty);
    };
    expect(lost(1, 1, seen({}))).toEqual([]);
    expect(lost(2, 1, seen({}))).toEqual(["S1"]);
    expect(lost(2, 2, seen({}))).toEqual([]);
    expect(lost(1, 1, seen({ [A]: 1 }))).toEqual(["S1"]);
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
  });
});

describe("copies", () => {
  const record = (bytes: string, place = "b/k"): HeldRecord => ({
    place,
    partition: 1,
    n: 2,
    bytes,
  });
  const node = (name: string, records: readonly HeldRecord[], fields = {}): NodeContents => ({
    name,
    id: name,
    records: new Map(records.map((own) => [own.place, own])),
    trees: new Map(),
    treesNotReady: [],
    ...fields,
  });
  const owners = (): readonly string[] => ["n1", "n2"];

  test("L1: owners that hold different bytes, or of which one holds nothing, are found", () => {
    const check = (a: readonly HeldRecord[], b: readonly HeldRecord[]): string[] =>
      checkCopies([node("n1", a), node("n2", b), node("n3", [])], owners).map(
        ({ invariant }) => invariant,
      );
    expect(check([record("aa")], [record("aa")])).toEqual([]);
    expect(check([record("aa")], [record("ab")])).toEqual(["L1"]);
    expect(check([record("aa")], [])).toEqual(["L1"]);
  });

  test("L4: whoever holds what it does not own is found", () => {
    const nodes = [
      node("n1", [record("aa")]),
      node("n2", [record("aa")]),
      node("n3", [record("aa")]),
    ];
    expect(checkCopies(nodes, owners).map(({ invariant }) => invariant)).toEqual(["L4"]);
  });

  test("L2: a tree that is not ready, that is not as the store is, or that differs from another owner's is found", () => {
    const tree = (root: string, read = root) => ({ trees: new Map([["1/2", { root, read }]]) });
    const check = (a: object, b: object): number =>
      checkTrees([node("n1", [], a), node("n2", [], b)], owners).length;
    expect(check(tree("1:2"), tree("1:2"))).toBe(0);
    expect(check(tree("1:2"), tree("1:2", "1:3"))).toBe(1);
    expect(check(tree("1:2"), tree("1:3"))).toBe(1);
    expect(check(tree("1:2"), {})).toBe(1);
    expect(check({ treesNotReady: [4] }, {})).toBe(1);
  });

  test("R55: a partition with fewer distinct owners than there could be is found", () => {
    const nodes = [node("n1", []), node("n2", [])];
    expect(checkPreferenceLists(nodes, 4, [2], owners)).toEqual([]);
    expect(checkPreferenceLists(nodes, 4, [2], () => ["n1", "n1"])).toHaveLength(4);
    expect(checkPreferenceLists(nodes, 4, [2], () => ["n1", "gone"])).toHaveLength(4);
  });
});
