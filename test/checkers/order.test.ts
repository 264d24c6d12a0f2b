/** Sessions and quorums that break their promises, and the same that keep them. */
import { describe, expect, test } from "bun:test";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import type {
  BucketKind,
  Operation,
  Seen,
  Version,
  Violation,
} from "../../src/checkers/history.ts";
import { A, B, LWW, PLAIN, Story, seen, version } from "../support/story.ts";

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

describe("where sessions and quorums draw their lines", () => {
  const named = (violations: readonly Violation[]): string[] =>
    violations.map(({ invariant }) => invariant);

  test("R7: single dots that a session has seen count as much as a vector", () => {
    const read = (covered: Seen): string[] => {
      const told = new Story();
      told.get([], seen({}, 0, [`${A}.3`, `${A}.5`]), { session: "s" });
      told.get([], covered, { session: "s" });
      return named(checkSessions(told.history));
    };
    expect(read(seen({}, 0, [`${A}.3`, `${A}.5`]))).toEqual([]);
    expect(read(seen({ [A]: 5 }))).toEqual([]);
    expect(read(seen({}, 0, [`${A}.3`]))).toEqual(["R7"]);
    expect(read(seen({}, 0, [`${A}.5`]))).toEqual(["R7"]);
  });

  test("R7: in lww a session may see something later instead, of any other bucket it may not", () => {
    const read = (bucket: BucketKind, hlcBefore: number, hlc: number): string[] => {
      const told = new Story(bucket);
      told.put("x", `${A}.1`, seen({ [A]: 1 }, hlcBefore), { session: "s" });
      told.get([], seen({ [B]: 1 }, hlc), { session: "s" });
      return named(checkSessions(told.history));
    };
    expect(read(LWW, 5, 6)).toEqual([]);
    expect(read(LWW, 5, 5)).toEqual([]);
    expect(read(LWW, 5, 4)).toEqual(["R7"]);
    // Nothing has no timestamp.
    expect(read(LWW, 0, 0)).toEqual(["R7"]);
    expect(read(PLAIN, 5, 6)).toEqual(["R7"]);
  });

  test("R3, R7: sessions are judged by key, and what has no session or no answer by nobody", () => {
    const read = (fields: Partial<Operation>): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { session: "s" });
      told.get([], seen({}), { session: "s", ...fields });
      return named([...checkSessions(told.history), ...checkQuorumReads(told.history)]);
    };
    expect(read({})).toEqual(["R7", "R3"]);
    expect(read({ key: "other" })).toEqual([]);
    expect(read({ session: "t" })).toEqual(["R3"]);
    expect(read({ outcome: "info" })).toEqual([]);
    expect(read({ primary: 1 })).toEqual(["R7"]);
    expect(read({ startMs: 10 })).toEqual(["R7"]);
    expect(read({ startMs: 11 })).toEqual(["R7", "R3"]);
    const none = new Story();
    none.put("x", `${A}.1`, seen({ [A]: 1 }), { primary: 1 });
    none.get([], seen({}), { ok: 3 });
    expect(named(checkSessions(none.history))).toEqual([]);
  });

  test("R3: a quorum is more than half of the copies of the bucket", () => {
    const read = (n: number, primary: number): string[] => {
      const told = new Story({ ...PLAIN, n });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { ok: 5, primary });
      told.get([], seen({}), { ok: 5, primary });
      return named(checkQuorumReads(told.history));
    };
    expect([read(1, 1), read(2, 2), read(3, 2), read(4, 3), read(5, 3)].flat()).toEqual([
      "R3",
      "R3",
      "R3",
      "R3",
      "R3",
    ]);
    expect([read(2, 1), read(3, 1), read(4, 2), read(5, 2)].flat()).toEqual([]);
  });

  test("I6: only a read of owners alone, mended, that had asked for a quorum, proves what a quorum holds", () => {
    const read = (before: Partial<Operation>): string[] => {
      const told = new Story();
      told.get([], seen({ [A]: 5 }), before);
      told.get([], seen({}), { ok: 3 });
      told.get([], seen({}), { ok: 3 });
      return named(checkQuorumReads(told.history));
    };
    expect(read({})).toEqual(["I6", "I6"]);
    expect(read({ ok: 3 })).toEqual([]);
    expect(read({ isRepairIncomplete: true })).toEqual([]);
    expect(read({ level: "ONE" })).toEqual([]);
    expect(read({ level: "r=1, w=2" })).toEqual([]);
    expect(read({ level: "pr=2, r=2" })).toEqual(["I6", "I6"]);
    expect(read({ outcome: "info" })).toEqual([]);
  });

  test("R3: a write is settled by its owners, whatever fallbacks took it besides", () => {
    const read = (write: Partial<Operation>): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }), write);
      told.get([], seen({}));
      return named(checkQuorumReads(told.history));
    };
    expect(read({ ok: 3 })).toEqual(["R3"]);
    expect(read({ isRepairIncomplete: true })).toEqual(["R3"]);
    expect(read({ level: "ONE" })).toEqual(["R3"]);
    expect(read({ primary: 1 })).toEqual([]);
    expect(read({ outcome: "info" })).toEqual([]);
  });

  test("I5: a quorum may show a deletion itself, and what the deletion had not replaced", () => {
    const read = (shown: Version, given: Seen | undefined): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.delete(`${A}.20`, seen({ [A]: 20 }), { given });
      told.get([shown], seen({ [A]: 20 }));
      return named(checkQuorumReads(told.history));
    };
    expect(read(version(`${A}.20`), undefined)).toEqual([]);
    expect(read(version(`${A}.1`, "x"), undefined)).toEqual(["I5"]);
    expect(read(version(`${A}.1`, "x"), seen({}))).toEqual([]);
  });
});
