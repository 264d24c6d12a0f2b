/**
 * The planted bugs can be planted: each text occurs exactly once, and what comes of it is still a program. A few of them are found here by the seeds that are
 * known to find them, in seconds; `bun run planted` looks for all of them.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { BUGS, type Edit } from "./bugs.ts";
import { hunt } from "./hunt.ts";
import { bugOf, editsByFile, planted } from "./planted-source.ts";

const sourceOf = (path: string): string => readFileSync(path, "utf8");
const transpiler = new Bun.Transpiler({ loader: "ts" });

describe("planted bugs", () => {
  test("have names of their own", () => {
    expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
    expect(BUGS.length).toBeGreaterThanOrEqual(20);
  });

  test.each(BUGS.map(({ name }) => name))("%s fits the source, and changes the program", (name) => {
    for (const [path, edits] of editsByFile(bugOf(name))) {
      const before = sourceOf(path);
      const after = planted(before, edits);
      expect(transpiler.transformSync(after)).not.toBe(transpiler.transformSync(before));
    }
  });

  test("a text that is not there, or is there twice, is refused", () => {
    const edit: Edit = { file: "a.ts", find: "return x;", replace: "return y;" };
    expect(planted("if (x) return x;", [edit])).toBe("if (x) return y;");
    expect(() => planted("return z;", [edit])).toThrow("occurs 0 times in src/a.ts");
    expect(() => planted("return x; return x;", [edit])).toThrow("occurs 2 times in src/a.ts");
    expect(() => bugOf("no-such-bug")).toThrow('no bug has the name "no-such-bug"');
  });
});

const HUNT = { firstSeed: 1, seeds: 1, jobs: 1, limitMs: 100_000 };

describe("the simulator bites", () => {
  /** By the table in docs/testing.md. */
  test.each([
    ["delete-ignores-context", 2],
    ["tombstone-compacted", 2],
  ])(
    "%s is found by seed %d",
    async (bug, firstSeed) => {
      const { found } = await hunt({ ...HUNT, bug, firstSeed });
      expect(found?.seed).toBe(firstSeed);
    },
    120_000,
  );

  test("a bug that does not fit the source is no bug that was not found", async () => {
    await expect(hunt({ ...HUNT, bug: "no-such-bug" })).rejects.toThrow("Cannot plant a bug");
  });
});
