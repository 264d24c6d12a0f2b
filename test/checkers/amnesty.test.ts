/** What a cluster forgets with good reason, and the same without one. */
import { describe, expect, test } from "bun:test";
import { Amnesty, type AmnestyOptions } from "../../src/checkers/amnesty.ts";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import type { Operation, Seen } from "../../src/checkers/history.ts";
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
});

test("R3: a disk that was put back without anybody's notice takes its quorums with it, one that was noticed does not", () => {
  const read = (atMs: number, isSilent: boolean): string[] => {
    const story = new Story();
    story.put("x", `${A}.1`, seen({ [A]: 1 }));
    story.get([], seen({}), { startMs: 100, endMs: 110 });
    const known = new Map([["b/k", seen({ [A]: 1 })]]);
    const amnesty = amnestyOf(story, { losses: [{ atMs, known, isSilent }] });
    return checkQuorumReads(story.history, amnesty).map(({ invariant }) => invariant);
  };
  expect(read(50, false)).toEqual(["R3"]);
  expect(read(50, true)).toEqual([]);
  expect(read(200, true)).toEqual(["R3"]);
});

describe("where the amnesty draws its lines", () => {
  /** Is the put, or else the dot, forgotten at that time? */
  const covers = (
    tell: (story: Story) => void,
    atMs: number,
    options: Partial<AmnestyOptions> = {},
    dot = `${A}.1`,
  ): boolean => {
    const story = new Story();
    tell(story);
    return amnestyOf(story, options).covers("b/k", dot, atMs);
  };

  test("a state is collected gc-delay after its last value has died, by the clock that is most ahead", () => {
    const dead = (story: Story): void =>
      void story.delete(`${A}.20`, seen({ [A]: 20 }), { startMs: 20 });
    expect(covers(dead, 1020)).toBe(true);
    expect(covers(dead, 1019)).toBe(false);
    expect(covers(dead, 1010, { clockErrorMs: 10 })).toBe(true);
    expect(covers(dead, 1009, { clockErrorMs: 10 })).toBe(false);
    expect(covers(dead, 9999, {}, `${A}.8999`)).toBe(true);
    expect(covers(dead, 9999, {}, `${A}.9000`)).toBe(false);
    expect(covers(dead, 9999, { clockErrorMs: 10 }, `${A}.9019`)).toBe(true);
    expect(covers(dead, 9999, { clockErrorMs: 10 }, `${A}.9020`)).toBe(false);
  });

  test("nothing dies of a failed deletion, of a value that stays, or of what was done to another key", () => {
    const died = (fields: Partial<Operation>): boolean =>
      covers((story) => void story.add({ kind: "delete", ...fields }), 9999);
    expect(died({})).toBe(true);
    expect(died({ outcome: "info" })).toBe(true);
    expect(died({ outcome: "fail" })).toBe(false);
    expect(died({ key: "other" })).toBe(false);
    expect(died({ kind: "put", value: "x" })).toBe(false);
    expect(died({ kind: "put", value: "x", ttlMs: 8999 })).toBe(true);
    expect(died({ kind: "put", value: "x", ttlMs: 9000 })).toBe(false);
    const byClocks = (ttlMs: number): boolean =>
      covers((story) => void story.add({ kind: "put", ttlMs }), 9999, { clockErrorMs: 10 });
    expect(byClocks(9019)).toBe(true);
    expect(byClocks(9020)).toBe(false);
  });

  test("S1: what was on lost disks only is burnt from the loss on, and what came later is not", () => {
    const burnt = (atMs: number, byMs: number, known: Seen, place = "b/k"): boolean => {
      const losses = [{ atMs, known: new Map([[place, known]]) }];
      return covers(() => undefined, byMs, { losses }, `${A}.100`);
    };
    expect(burnt(100, 100, seen({}))).toBe(true);
    expect(burnt(99, 200, seen({}))).toBe(false);
    expect(burnt(101, 100, seen({}))).toBe(false);
    expect(burnt(150, 200, seen({ [A]: 100 }))).toBe(false);
    expect(burnt(150, 200, seen({ [A]: 100 }), "b/other")).toBe(true);
  });

  test("R3: a disk that was put back in silence breaks quorums from the first operation to the end of the last", () => {
    const broken = (atMs: number, isSilent = true): boolean => {
      const losses = [{ atMs, known: new Map(), isSilent }];
      return amnestyOf(new Story(), { losses }).breaksQuorums(100, 200);
    };
    expect([99, 100, 150, 200, 201].map((atMs) => broken(atMs))).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(broken(150, false)).toBe(false);
  });

  test("S1: only acknowledged writes are forgiven, for losses after they began, each once", () => {
    const forgiven = (fields: Partial<Operation>, atMs = 100): number => {
      const story = new Story();
      story.put("x", `${A}.1`, seen({ [A]: 1 }), { ok: 1, startMs: 100, ...fields });
      return amnestyOf(story, { losses: [{ atMs, known: new Map() }] }).forgive(story.history);
    };
    expect(forgiven({})).toBe(1);
    expect(forgiven({}, 99)).toBe(0);
    expect(forgiven({ kind: "get" })).toBe(0);
    expect(forgiven({ outcome: "info" })).toBe(0);
    expect(forgiven({ dot: "" })).toBe(0);
    const story = new Story();
    const get = story.get([], seen({}), { ok: 1 });
    amnestyOf(story, { losses: [{ atMs: 100, known: new Map() }] }).forgive(story.history);
    expect(get.outcome).toBe("ok");
  });
});
