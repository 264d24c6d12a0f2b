/** A checker that cannot say no is worth nothing: each is shown histories with one planted violation, and the same without it. */
import { describe, expect, test } from "bun:test";
import {
  checkAnswered,
  checkEqualOwners,
  checkHintBytes,
  checkNoHints,
  checkOneRing,
} from "../../src/checkers/calm.ts";
import { DotBook, checkClocks, checkDots } from "../../src/checkers/dots.ts";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import { checkVersions } from "../../src/checkers/versions.ts";
import { A, B, BLIND, LWW, Story, seen, version } from "../support/story.ts";
import type { Seen } from "../../src/checkers/history.ts";

describe("versions", () => {
  test("S1: an acknowledged write that the final state does not know is lost", () => {
    const story = (): Story => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      return told;
    };
    expect(story().blame([version(`${A}.1`, "x")], seen({ [A]: 1 }))).toEqual([]);
    expect(story().blame([], seen({}))).toEqual(["S1"]);
    expect(story().blame([], seen({}), { outcome: "fail" })).toEqual(["S1"]);
  });

  test("S1: a write that the state knows and nobody has replaced is lost all the same", () => {
    const story = (given: Seen | undefined): Story => {
      const told = new Story(BLIND);
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.put("y", `${B}.2`, seen({ [B]: 2 }), { given });
      return told;
    };
    const state = [[version(`${B}.2`, "y")], seen({ [A]: 1, [B]: 2 })] as const;
    expect(story(seen({ [A]: 1 })).blame(...state)).toEqual([]);
    expect(story(undefined).blame(...state)).toEqual(["S1"]);
  });

  test("S1: a put without a context replaces what its minter held, and nothing later", () => {
    const story = (): Story => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.put("y", `${A}.2`, seen({ [A]: 2 }));
      return told;
    };
    expect(story().blame([version(`${A}.2`, "y")], seen({ [A]: 2 }))).toEqual([]);
    const late = story();
    late.put("z", `${B}.3`, seen({ [B]: 3 }));
    expect(late.blame([version(`${A}.2`, "y")], seen({ [A]: 2, [B]: 3 }))).toEqual(["S1"]);
  });

  test("S1: a write without an answer may have replaced what was there, if it came in time", () => {
    const story = (endMs: number): string[] => {
      const told = new Story();
      told.add({ kind: "put", value: "lost", outcome: "info", startMs: 0, endMs });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { startMs: 50_000 });
      return told.blame([version(`${B}.2`, "lost")], seen({ [A]: 1, [B]: 2 }));
    };
    expect(story(49_000)).toEqual([]);
    expect(story(1000)).toEqual(["S1"]);
  });

  test("S1: in lww the greatest timestamp stays", () => {
    const story = (): Story => {
      const told = new Story(LWW);
      told.put("x", `${A}.1`, seen({ [A]: 1 }, 10));
      told.put("y", `${B}.2`, seen({ [B]: 2 }, 20));
      return told;
    };
    const all = seen({ [A]: 1, [B]: 2 }, 20);
    expect(story().blame([version(`${B}.2`, "y")], all)).toEqual([]);
    expect(story().blame([version(`${A}.1`, "x")], all)).toEqual(["S1"]);
  });

  test("S2: nothing is shown that nobody wrote, that has failed, or that is written later", () => {
    const read = (...values: string[]): string[] => {
      const story = new Story();
      story.add({ kind: "put", value: "refused", outcome: "fail" });
      const shown = story.get(
        values.map((value, i) => version(`${A}.${i + 1}`, value)),
        seen({ [A]: 9 }),
      );
      story.put("future", `${B}.1`, seen({ [B]: 1 }));
      return checkVersions(story.history, []).flatMap(({ invariant, message }) =>
        message.startsWith(`#${shown.id}`) ? [invariant] : [],
      );
    };
    expect(read()).toEqual([]);
    expect(read("refused")).toEqual(["S2"]);
    expect(read("invented")).toEqual(["S2"]);
    expect(read("future")).toEqual(["S2"]);
  });

  test("S3: what was deleted does not come back to whoever knows of the deletion", () => {
    const story = (): Story => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.delete(`${A}.2`, seen({ [A]: 2 }), { given: seen({ [A]: 1 }) });
      return told;
    };
    expect(story().blame([], seen({ [A]: 2 }), { isTombstone: true })).toEqual([]);
    expect(story().blame([version(`${A}.1`, "x")], seen({ [A]: 2 }))).toEqual(["S3", "S1"]);
    // Who does not know of it yet may show it, but not at the end.
    const stale = story();
    stale.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    expect(checkVersions(stale.history, [])).toEqual([]);
    expect(story().blame([version(`${A}.1`, "x")], seen({ [A]: 1 }))).toEqual(["I5", "S1"]);
  });

  test("S4: a write with a context and what it replaced are no siblings", () => {
    const both = [version(`${A}.1`, "x"), version(`${B}.2`, "y")];
    const story = (given: Seen): string[] => {
      const told = new Story(BLIND);
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given });
      return told.blame(both, seen({ [A]: 1, [B]: 2 }));
    };
    expect(story(seen({}))).toEqual([]);
    expect(story(seen({ [A]: 1 }))).toEqual(["S4"]);
  });
});

describe("dots and clocks", () => {
  test("S5: a dot that stands for two values is found, in answers and in messages", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    expect(checkDots(told.history)).toEqual([]);
    told.get([version(`${A}.1`, "y")], seen({ [A]: 1 }));
    expect(checkDots(told.history).map(({ invariant }) => invariant)).toEqual(["S5"]);
    const book = new DotBook();
    book.note(`${A}.1`, "x", "one");
    book.note(`${A}.1`, "x", "two");
    expect(book.violations).toEqual([]);
    book.note(`${A}.1`, "(deleted)", "three");
    expect(book.violations).toHaveLength(1);
  });

  test("S6: a counter that is not above all that its node has given out before is found", () => {
    const told = new Story();
    told.put("x", `${A}.5`, seen({ [A]: 5 }));
    told.put("y", `${B}.3`, seen({ [B]: 3 }));
    told.put("z", `${A}.6`, seen({ [A]: 6 }), { startMs: 0, endMs: 100 });
    expect(checkClocks(told.history)).toEqual([]);
    told.put("w", `${A}.4`, seen({ [A]: 4 }), { startMs: 200 });
    expect(checkClocks(told.history).map(({ invariant }) => invariant)).toEqual(["S6"]);
  });
});

describe("sessions and quorums", () => {
  const check = (told: Story): string[] =>
    [...checkSessions(told.history), ...checkQuorumReads(told.history)].map(
      ({ invariant }) => invariant,
    );

  test("R7: a session that does not read its own write, or goes back, is found", () => {
    const session = { session: "s", primary: 1 };
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }), session);
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1, [B]: 7 }), session);
    told.get([], seen({ [A]: 1, [B]: 7 }), session);
    expect(check(told)).toEqual([]);
    told.get([], seen({ [A]: 1, [B]: 6 }), session);
    expect(check(told)).toEqual(["R7"]);
    told.get([], seen({ [B]: 7 }), session);
    // It lacks the write, and what the read before it has shown of it.
    expect(check(told)).toEqual(["R7", "R7", "R7"]);
  });

  test("I6: a quorum that forgets what a quorum has shown is found; a fallback proves nothing", () => {
    const told = new Story();
    told.get([], seen({ [A]: 5 }), { ok: 2, primary: 1 });
    told.get([], seen({ [A]: 3 }));
    told.get([], seen({ [A]: 2 }), { primary: 1 });
    told.get([], seen({ [A]: 1 }), { startMs: 0, endMs: 1000 });
    expect(check(told)).toEqual([]);
    told.get([], seen({ [A]: 2 }));
    expect(check(told)).toEqual(["I6"]);
  });

  test("R3: a quorum of owners that does not know what a quorum of owners has acknowledged is found", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }), { ok: 2, primary: 1 });
    told.get([], seen({}));
    expect(check(told)).toEqual([]);
    told.put("y", `${A}.2`, seen({ [A]: 2 }));
    told.get([], seen({ [A]: 1 }));
    expect(check(told)).toEqual(["R3"]);
  });
});

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
    const waited = { operation: "#1", node: "n1", timeoutMs: 500, isExcused: false };
    expect(checkAnswered([{ ...waited, forMs: 900 }])).toEqual([]);
    expect(checkAnswered([{ ...waited, forMs: 1100 }])).toHaveLength(1);
    expect(checkAnswered([{ ...waited, forMs: 1100, isExcused: true }])).toEqual([]);
  });
});
