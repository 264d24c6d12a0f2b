/** Where `versions.ts` draws its lines: what is just forgiven, and what is just not. Each line of the checker is held by one of these or by a planted violation. */
import { describe, expect, test } from "bun:test";
import { Amnesty } from "../../src/checkers/amnesty.ts";
import { checkVersions } from "../../src/checkers/versions.ts";
import type { Attempt, BucketKind, Operation } from "../../src/checkers/history.ts";
import { A, B, BLIND, LWW, PLAIN, Story, seen, version } from "../support/story.ts";

const X = version(`${A}.1`, "x");
const Y = version(`${B}.2`, "y");
const KNOWS_X = seen({ [A]: 1 });
const KNOWS_BOTH = seen({ [A]: 1, [B]: 2 });

/** What a final read is blamed for after x, and y with these fields. */
function after(
  bucket: BucketKind,
  y: Partial<Operation>,
  shown: Partial<Operation>,
  x: Partial<Operation> = {},
): string[] {
  const story = new Story(bucket);
  story.put("x", `${A}.1`, KNOWS_X, x);
  story.add({ kind: "put", value: "y", dot: `${B}.2`, seen: seen({ [B]: 2 }), ...y });
  return story.blame(shown.versions ?? [], shown.seen ?? KNOWS_BOTH, shown);
}

const attempt = (status: number): Attempt => ({
  node: "n1",
  startMs: 0,
  endMs: 1,
  status,
  code: "",
  detail: "",
});

describe("S1: what has replaced a version", () => {
  const lostX = (bucket: BucketKind, y: Partial<Operation>, x: Partial<Operation> = {}): string[] =>
    after(bucket, y, { versions: [Y] }, x);

  test("the final read has to be answered, whatever it shows", () => {
    const story = new Story();
    story.put("x", `${A}.1`, KNOWS_X);
    expect(story.blame([X], KNOWS_X, { outcome: "fail" })).toEqual(["S1"]);
    expect(story.blame([X], KNOWS_X)).toEqual([]);
  });

  test("a failed write has replaced nothing", () => {
    const lost = (outcome: Operation["outcome"]): string[] =>
      after(PLAIN, { outcome, given: KNOWS_X }, { seen: KNOWS_X });
    expect(lost("info")).toEqual([]);
    expect(lost("fail")).toEqual(["S1"]);
  });

  test("a put that makes siblings has replaced nothing, answered or not", () => {
    const unknown = { outcome: "info" } as const;
    expect(lostX(PLAIN, unknown)).toEqual([]);
    expect(lostX(BLIND, unknown)).toEqual(["S1"]);
    expect(lostX(BLIND, { ...unknown, kind: "delete", value: "" })).toEqual(["S2"]);
    const both = { seen: KNOWS_BOTH };
    expect(lostX(PLAIN, both)).toEqual([]);
    expect(lostX(BLIND, both)).toEqual(["S1"]);
    expect(after(BLIND, both, { versions: [X, Y] })).toEqual([]);
    expect(after(PLAIN, both, { versions: [X, Y] })).toEqual(["S4"]);
  });

  test("a deletion without a context has replaced what its minter held, in every bucket", () => {
    const story = new Story(BLIND);
    story.put("x", `${A}.1`, KNOWS_X);
    story.delete(`${B}.2`, KNOWS_BOTH);
    expect(story.blame([], KNOWS_BOTH, { isTombstone: true })).toEqual([]);
  });

  test("single dots of a context are replaced where the minter held them", () => {
    const given = seen({}, 0, [`${A}.1`]);
    expect(after(PLAIN, { given }, { versions: [X, Y] })).toEqual([]);
    expect(after(PLAIN, { given, seen: KNOWS_BOTH }, { versions: [X, Y] })).toEqual(["S4"]);
  });

  test("an answer tells all that a write has met, unless attempts were left without one", () => {
    const lost = (statuses: readonly number[], x: Partial<Operation> = {}): string[] =>
      lostX(PLAIN, { attempts: statuses.map(attempt), startMs: 20, endMs: 30 }, x);
    expect(lost([200])).toEqual(["S1"]);
    expect(lost([504])).toEqual([]);
    expect(lost([0])).toEqual([]);
    // Nothing strays for longer than 20 s.
    expect(lost([504], { startMs: 20_030 })).toEqual([]);
    expect(lost([504], { startMs: 20_031 })).toEqual(["S1"]);
    // A retry may be minted again within the longest timeout.
    expect(lost([503, 200], { startMs: 2030 })).toEqual([]);
    expect(lost([503, 200], { startMs: 2031 })).toEqual(["S1"]);
  });

  test("a write that took long enough for a second minter may have been minted until it was answered", () => {
    const lost = (endMs: number, startMs: number): string[] =>
      lostX(PLAIN, { startMs: 1000, endMs }, { startMs });
    expect(lost(1049, 1000)).toEqual(["S1"]);
    expect(lost(1050, 1000)).toEqual([]);
    expect(lost(1050, 1050)).toEqual([]);
    expect(lost(1050, 1051)).toEqual(["S1"]);
  });

  test("nothing is replaced by what starts after a read has ended", () => {
    const early = (startMs: number): string[] => {
      const story = new Story();
      story.put("x", `${A}.1`, KNOWS_X);
      story.get([], KNOWS_X, { startMs: 30, endMs: 40 });
      story.put("y", `${B}.2`, KNOWS_BOTH, { given: KNOWS_X, startMs });
      return checkVersions(story.history, []).map(({ invariant }) => invariant);
    };
    expect(early(40)).toEqual([]);
    expect(early(41)).toEqual(["S1"]);
  });

  test("in lww equal timestamps are told apart by the actor", () => {
    const lost = (hlcOfX: number, hlcOfY: number): string[] =>
      after(
        LWW,
        { seen: seen({ [B]: 2 }, hlcOfY) },
        { versions: [Y] },
        { seen: seen({ [A]: 1 }, hlcOfX) },
      );
    expect(lost(5, 6)).toEqual([]);
    expect(lost(6, 5)).toEqual(["S1"]);
    expect(lost(5, 5)).toEqual([]);
    const other = after(
      LWW,
      { seen: seen({ [B]: 2 }, 5) },
      { versions: [X] },
      { seen: seen({ [A]: 1 }, 5) },
    );
    expect(other).toEqual(["S1"]);
  });

  test("a deletion that is shown stands for all deletions, and for no value", () => {
    const story = (kind: "put" | "delete"): string[] => {
      const told = new Story(BLIND);
      told.add({ kind, value: kind === "put" ? "x" : "", dot: `${A}.1`, seen: KNOWS_X });
      told.delete(`${B}.2`, seen({ [B]: 2 }), { given: seen({}) });
      return told.blame([], KNOWS_BOTH, { isTombstone: true });
    };
    expect(story("delete")).toEqual([]);
    expect(story("put")).toEqual(["S1"]);
  });
});

describe("values that expire", () => {
  const expired = (ttlMs: number, endMs: number, shown: Partial<Operation> = {}): string[] => {
    const story = new Story();
    story.put("x", `${A}.1`, KNOWS_X, { ttlMs });
    return story.blame([], KNOWS_X, { startMs: endMs - 1, endMs, ...shown });
  };

  test("S1: a value need not be shown from one second before its end on, by any clock", () => {
    expect(expired(3000, 2000)).toEqual([]);
    expect(expired(3000, 1999)).toEqual(["S1"]);
    expect(expired(0, 5000)).toEqual(["S1"]);
  });

  test("S1: one whose node's clock is ahead is shown as its deletion", () => {
    expect(expired(3000, 1500, { versions: [version(`${A}.1`)] })).toEqual([]);
  });

  test("I11: a value may be shown for two seconds after its end, and only an answered one has one", () => {
    const shown = (startMs: number, fields: Partial<Operation> = {}): string[] => {
      const story = new Story();
      story.put("x", `${A}.1`, KNOWS_X, { ttlMs: 1000, endMs: 10, ...fields });
      return story.blame([X], KNOWS_X, { startMs, endMs: startMs + 1 });
    };
    expect(shown(3010)).toEqual([]);
    expect(shown(3011)).toEqual(["I11"]);
    expect(shown(9000, { ttlMs: 0 })).toEqual([]);
    expect(shown(9000, { outcome: "info" })).toEqual([]);
  });
});

describe("S2, S3, S4, I5: what a read shows", () => {
  test("S2: a value may be shown by who ends when its write starts; no deletion has written an empty value", () => {
    const story = new Story();
    story.put("x", `${A}.1`, KNOWS_X, { startMs: 100, endMs: 110 });
    expect(story.blame([X], KNOWS_X, { startMs: 90, endMs: 100 })).toEqual([]);
    const deleted = new Story();
    deleted.delete(`${A}.1`, KNOWS_X);
    expect(deleted.blame([version(`${A}.1`)], KNOWS_X)).toEqual([]);
    expect(deleted.blame([version(`${A}.1`, "")], KNOWS_X)).toEqual(["S2"]);
  });

  test("S3: a value beside the deletion that has replaced it; what nobody has acknowledged has surely replaced nothing", () => {
    const deletion = version(`${B}.2`);
    const story = (outcome: Operation["outcome"]): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, KNOWS_X);
      told.delete(`${B}.2`, KNOWS_BOTH, { given: KNOWS_X, outcome });
      return told.blame([X, deletion], KNOWS_BOTH);
    };
    expect(story("ok")).toEqual(["S3"]);
    expect(story("info")).toEqual([]);
  });

  /** X, then a deletion that the final read does not know; it may have forgotten it. */
  const comesBack = (
    bucket: BucketKind,
    deletion: Partial<Operation>,
    x: Partial<Operation> = {},
    isForgotten = true,
  ): string[] => {
    const story = new Story(bucket);
    story.put("w", `${B}.1`, seen({ [B]: 1 }, 5), { given: seen({}) });
    story.put("x", `${A}.1`, seen({ [A]: 1, [B]: 1 }, 30), { given: seen({ [B]: 1 }), ...x });
    story.add({ kind: "delete", dot: `${B}.20`, seen: seen({ [B]: 20 }, 20), ...deletion });
    const amnesty = new Amnesty(story.history, {
      gcDelayMs: 100,
      clockErrorMs: 0,
      timeOfCounter: () => 0,
      losses: [],
    });
    const late = { startMs: 1000, endMs: 1010 };
    return story.blame([X], seen({ [A]: 1, [B]: 1 }, 30), late, isForgotten ? amnesty : undefined);
  };

  test("I5: a forgotten deletion brings back nothing that it had replaced, and is no reason to miss anything else", () => {
    expect(comesBack(PLAIN, { given: KNOWS_X })).toEqual(["I5"]);
    expect(comesBack(PLAIN, { given: seen({}) })).toEqual([]);
    expect(comesBack(PLAIN, { given: seen({}) }, {}, false)).toEqual(["S1"]);
    expect(comesBack(PLAIN, { given: KNOWS_X, kind: "put", value: "z" })).not.toContain("I5");
  });

  test("I5: in lww a deletion has replaced what is older", () => {
    expect(comesBack(LWW, {})).toEqual([]);
    expect(comesBack(LWW, { seen: seen({ [B]: 20 }, 30) })).toEqual([]);
    expect(comesBack(LWW, { seen: seen({ [B]: 20 }, 31) })).toEqual(["I5"]);
    // Nobody knows when a write without an answer was minted.
    expect(comesBack(LWW, { seen: seen({ [B]: 20 }, 31) }, { outcome: "info" })).toEqual([]);
  });
});
