/** Dots and clocks that break their promises, and the same that keep them. */
import { describe, expect, test } from "bun:test";
import { DotBook, checkClocks, checkDots } from "../../src/checkers/dots.ts";
import { A, B, Story, seen, version } from "../support/story.ts";

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
