/** A checker that cannot say no is worth nothing: each is shown histories with one planted violation, and the same without it. */
import { describe, expect, test } from "bun:test";
import { checkVersions } from "../../src/checkers/versions.ts";
import type { Seen } from "../../src/checkers/history.ts";
import { A, B, BLIND, LWW, Story, seen, version } from "../support/story.ts";

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
