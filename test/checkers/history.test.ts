/** What the checkers read: contexts, dots, and histories as people see them. */
import { describe, expect, test } from "bun:test";
import type { Actor } from "../../src/causality/actor.ts";
import { ContextTokens } from "../../src/causality/context-token.ts";
import { NOTHING_SEEN, covers, ownDot, readToken } from "../../src/checkers/history.ts";
import { A, B, Story, seen, version } from "../support/story.ts";

const A2 = "00000000000000aa00000002";

describe("contexts", () => {
  test("a token is read as the nodes wrote it", () => {
    const tokens = new ContextTokens(new Uint8Array(16).fill(7), new Uint8Array(16).fill(9));
    const read = (vector: Record<string, number>, dots: readonly string[], hlc: number) => {
      const entries = Object.entries(vector).map(([actor, counter]) => ({
        actor: actor as Actor,
        counter,
      }));
      const singles = dots.map((dot) => {
        const [actor = "", counter] = dot.split(".");
        return { actor: actor as Actor, counter: Number(counter) };
      });
      return readToken(tokens.encode(1, { entries, dots: singles }, hlc));
    };
    for (const [vector, dots, hlc] of [
      [{ [A]: 5 }, [], 9],
      [{ [A]: 5, [A2]: 300, [B]: 2 ** 50 }, [], 1],
      [{ [A]: 5, [B]: 7 }, [`${A}.9`, `${B}.70000`], 2 ** 50],
      [{}, [`${A2}.1`], 0],
      [{}, [], 4],
    ] as const)
      expect(read(vector, dots, hlc)).toEqual(seen(vector, hlc, dots));
    expect(readToken("")).toEqual(NOTHING_SEEN);
  });

  test("a context covers what its vector reaches, and its single dots", () => {
    const own = seen({ [A]: 5 }, 0, [`${A}.7`, `${B}.2`]);
    const dots = [`${A}.5`, `${A}.6`, `${A}.7`, `${A}.8`, `${B}.1`, `${B}.2`, `${A2}.1`];
    expect(dots.map((dot) => covers(own, dot))).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
      false,
    ]);
  });

  test("a write's own dot is the newest that its answer covers and its request did not", () => {
    const answer = seen({ [A]: 5, [B]: 9 }, 0, [`${A}.7`, `${A2}.8`]);
    expect(ownDot(answer)).toBe(`${B}.9`);
    expect(ownDot(answer, seen({ [B]: 9 }))).toBe(`${A2}.8`);
    expect(ownDot(answer, seen({ [B]: 9 }, 0, [`${A2}.8`]))).toBe(`${A}.7`);
    expect(ownDot(answer, answer)).toBe("");
    expect(ownDot(answer, undefined, (dot) => dot.startsWith(A))).toBe(`${A}.7`);
    expect(ownDot(seen({ [A]: 5, [B]: 3 }, 0, [`${A2}.4`]))).toBe(`${A}.5`);
  });
});

test("operations of a key are in the order of their starts, whoever began them", () => {
  const told = new Story();
  told.put("late", "", seen({}), { startMs: 50 });
  told.put("early", "", seen({}), { startMs: 10 });
  told.put("other", "", seen({}), { startMs: 0, key: "l" });
  const values = told.history
    .byKey()
    .get("b/k")!
    .map(({ value }) => value);
  expect(values).toEqual(["early", "late"]);
});

test("what happened to a key is told line by line", () => {
  const told = new Story();
  const attempt = { node: "n1", startMs: 0, endMs: 9, status: 504, code: "late", detail: "" };
  told.put("x", "", seen({}), {
    outcome: "info",
    ttlMs: 1000,
    isConditional: true,
    level: "ONE",
    attempts: [attempt, { ...attempt, node: "n2", status: 200, code: "" }],
  });
  told.delete(`${A}.2`, seen({ [A]: 2 }), { given: seen({ [A]: 1 }, 0, [`${B}.4`]) });
  told.get([version(`${A}.2`), version(`${B}.1`, "y")], seen({ [A]: 2, [B]: 1 }));
  const lines = told.history.describe("b/k").split("\n");
  expect(lines).toHaveLength(3);
  expect(lines[0]).toBe(
    "  0.0-10.0 #0 c put x ONE if-none-match ttl 1000 info [n1:504/late n2:200]",
  );
  expect(lines[1]).toStartWith(
    `  20.0-30.0 #1 c delete   ok [] given {${A}.1 + ${B}.4} -> ${A}.2  seen {${A}.2}`,
  );
  expect(lines[2]).toStartWith(
    `  40.0-50.0 #2 c get   ok [] ->  deleted@${A}.2 y@${B}.1 seen {${A}.2 ${B}.1}`,
  );
  expect(told.history.describe("b/none")).toBe("");
});
