/** Dots and clocks that break their promises, and the same that keep them. */
import { describe, expect, test } from "bun:test";
import { type Actor } from "../../src/causality/actor.ts";
import { type Payload, tombstone } from "../../src/causality/payload.ts";
import { DotBook, checkClocks, checkDots, nameDots } from "../../src/checkers/dots.ts";
import type { Operation, Seen, Violation } from "../../src/checkers/history.ts";
import { A, B, Story, seen, version } from "../support/story.ts";

const named = (violations: readonly Violation[]): string[] =>
  violations.map(({ invariant }) => invariant);

describe("dots", () => {
  const check = (told: Story): string[] => named(checkDots(told.history));

  test("S5: a dot that stands for two values is found, in answers and in messages", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    expect(check(told)).toEqual([]);
    told.get([version(`${A}.1`, "y")], seen({ [A]: 1 }));
    expect(check(told)).toEqual(["S5"]);
    const book = new DotBook();
    book.note(`${A}.1`, "x", "one");
    book.note(`${A}.1`, "x", "two");
    expect(book.violations).toEqual([]);
    book.note(`${A}.1`, "(deleted)", "three");
    expect(book.violations).toHaveLength(1);
  });

  test("S5: messages between nodes are read, values and deletions", () => {
    const payload: Payload = { ...tombstone(1), isTombstone: false, value: Buffer.from("x") };
    const noted = (counter: number, own: Payload): DotBook => {
      const book = new DotBook();
      book.note(`${A}.1`, "x", "k");
      book.note(`${A}.2`, "(deleted)", "k");
      const values = [{ counter, payload: own }];
      book.noteRecord([{ actor: A as Actor, counterMax: 2, values }], "put");
      return book;
    };
    expect(named(noted(1, payload).violations)).toEqual([]);
    expect(named(noted(2, tombstone(1)).violations)).toEqual([]);
    expect(named(noted(2, payload).violations)).toEqual(["S5"]);
    expect(named(noted(1, tombstone(1)).violations)).toEqual(["S5"]);
    expect(noted(3, payload).count).toBe(3);
  });

  test("S5: a value that expires is a deletion to later readers, another is not", () => {
    const read = (ttlMs: number): string[] => {
      const told = new Story();
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { ttlMs });
      told.get([version(`${A}.1`)], seen({ [A]: 1 }));
      return check(told);
    };
    expect(read(500)).toEqual([]);
    expect(read(0)).toEqual(["S5"]);
    // Known from messages first, and written by somebody else than the one that expires.
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }), { ttlMs: 500 });
    told.get([version(`${B}.1`)], seen({ [B]: 1 }));
    const book = new DotBook();
    book.note(`${B}.1`, "y", "k");
    expect(named(checkDots(told.history, book))).toEqual(["S5"]);
  });

  test("S5: what has no dot, or no answer, says nothing", () => {
    const told = new Story();
    told.put("x", "", seen({}));
    told.put("y", "", seen({}));
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.put("y", `${A}.1`, seen({ [A]: 1 }), { outcome: "info" });
    expect(check(told)).toEqual([]);
    told.delete(`${A}.1`, seen({ [A]: 1 }));
    expect(check(told)).toEqual(["S5"]);
  });
});

describe("names of dots", () => {
  const NOTED = { [`${A}.5`]: "x", [`${B}.9`]: "other", [`${A}.3`]: "(deleted)" };

  function dotOf(fields: Partial<Operation> & Pick<Operation, "kind">, covered: Seen): string {
    const told = new Story();
    const write = told.add({
      value: fields.kind === "put" ? "x" : "",
      dot: "?",
      seen: covered,
      ...fields,
    });
    const book = new DotBook();
    for (const [dot, meaning] of Object.entries(NOTED)) book.note(dot, meaning, "k");
    nameDots(told.history, book);
    return write.dot;
  }

  test("a put has the dot that messages say stands for its value, not the newest", () => {
    expect(dotOf({ kind: "put" }, seen({ [A]: 5, [B]: 9 }))).toBe(`${A}.5`);
    expect(dotOf({ kind: "put" }, seen({ [A]: 5, [B]: 10 }))).toBe(`${A}.5`);
    expect(dotOf({ kind: "put" }, seen({}, 0, [`${A}.5`, `${B}.9`]))).toBe(`${A}.5`);
  });

  test("one that no message has told of has the newest that stands for nothing else", () => {
    expect(dotOf({ kind: "put" }, seen({ [A]: 6, [B]: 9 }))).toBe(`${A}.6`);
    expect(dotOf({ kind: "put" }, seen({ [A]: 6, [B]: 10 }))).toBe(`${B}.10`);
    expect(dotOf({ kind: "put", given: seen({ [B]: 10 }) }, seen({ [A]: 6, [B]: 10 }))).toBe(
      `${A}.6`,
    );
  });

  test("a deletion has the newest that stands for a deletion, or for nothing yet", () => {
    expect(dotOf({ kind: "delete" }, seen({ [A]: 3, [B]: 9 }))).toBe(`${A}.3`);
    expect(dotOf({ kind: "delete" }, seen({ [A]: 3, [B]: 10 }))).toBe(`${B}.10`);
    expect(dotOf({ kind: "delete" }, seen({ [A]: 5, [B]: 10 }))).toBe(`${B}.10`);
  });

  test("where no dot can be it, and of reads and what was not answered, names stay as they were", () => {
    expect(dotOf({ kind: "put" }, seen({ [B]: 9 }))).toBe("?");
    expect(dotOf({ kind: "get" }, seen({ [A]: 5 }))).toBe("?");
    expect(dotOf({ kind: "put", outcome: "info" }, seen({ [A]: 5 }))).toBe("?");
  });
});

describe("clocks", () => {
  /** Writes with a counter each, from its start to its end. */
  const check = (
    writes: readonly (readonly [counter: number, startMs: number, endMs: number])[],
    last: Partial<Operation> = {},
  ): string[] => {
    const told = new Story();
    for (const [counter, startMs, endMs] of writes)
      told.put("x", `${A}.${counter}`, seen({}), { startMs, endMs });
    Object.assign(told.history.operations.at(-1) ?? {}, last);
    return named(checkClocks(told.history));
  };

  test("S6: a counter that is not above all that its node has given out before is found", () => {
    const told = new Story();
    told.put("x", `${A}.5`, seen({ [A]: 5 }));
    told.put("y", `${B}.3`, seen({ [B]: 3 }));
    told.put("z", `${A}.6`, seen({ [A]: 6 }), { startMs: 0, endMs: 100 });
    expect(check([])).toEqual([]);
    expect(named(checkClocks(told.history))).toEqual([]);
    told.put("w", `${A}.4`, seen({ [A]: 4 }), { startMs: 200 });
    expect(named(checkClocks(told.history))).toEqual(["S6"]);
  });

  test("S6: the greatest of all that has ended counts, in whatever order it was told", () => {
    const EARLY = [9, 0, 10] as const;
    const BESIDE = [5, 0, 20] as const;
    const LONG = [6, 0, 90] as const;
    for (const before of [
      [EARLY, BESIDE, LONG],
      [LONG, BESIDE, EARLY],
      [BESIDE, LONG, EARLY],
    ]) {
      expect(check([...before, [10, 50, 60]])).toEqual([]);
      expect(check([...before, [9, 50, 60]])).toEqual(["S6"]);
      expect(check([[7, 50, 60], ...before])).toEqual(["S6"]);
    }
    expect(check([[20, 100, 110], EARLY])).toEqual([]);
  });

  test("S6: what only touches has no order, and answers of retries are of no time", () => {
    expect(
      check([
        [9, 0, 10],
        [8, 10, 20],
      ]),
    ).toEqual([]);
    expect(
      check([
        [9, 0, 10],
        [8, 11, 20],
      ]),
    ).toEqual(["S6"]);
    const attempt = { node: "n1", startMs: 0, endMs: 1, status: 200, code: "", detail: "" };
    const attempts = (count: number) => ({
      attempts: Array.from({ length: count }, () => attempt),
    });
    expect(
      check(
        [
          [9, 0, 10],
          [8, 11, 20],
        ],
        attempts(1),
      ),
    ).toEqual(["S6"]);
    expect(
      check(
        [
          [9, 0, 10],
          [8, 11, 20],
        ],
        attempts(2),
      ),
    ).toEqual([]);
    expect(
      check(
        [
          [9, 0, 10],
          [8, 11, 20],
        ],
        { outcome: "info" },
      ),
    ).toEqual([]);
    expect(
      check(
        [
          [9, 0, 10],
          [8, 11, 20],
        ],
        { kind: "get" },
      ),
    ).toEqual([]);
  });

  test("S6: a new incarnation of a node may begin lower", () => {
    const before = [9, 0, 10] as const;
    const after = [8, 11, 20] as const;
    expect(check([before, after], { dot: "00000000000000aa00000002.8" })).toEqual([]);
    expect(check([before, after])).toEqual(["S6"]);
  });
});
