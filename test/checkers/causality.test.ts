/** Causal order, and writes of sessions, broken and kept. */
import { describe, expect, test } from "bun:test";
import { Amnesty } from "../../src/checkers/amnesty.ts";
import { checkCausality } from "../../src/checkers/causality.ts";
import { checkSessionWrites } from "../../src/checkers/session-writes.ts";
import type { Operation, Seen, Violation } from "../../src/checkers/history.ts";
import { A, B, BLIND, LWW, PLAIN, Story, seen, version } from "../support/story.ts";

const C = "00000000000000cc00000001";
const named = (violations: readonly Violation[]): string[] =>
  violations.map(({ invariant }) => invariant);

describe("causality", () => {
  const blame = (story: Story, amnesty?: Amnesty): string[] =>
    named(checkCausality(story.history, amnesty));

  test("a value that is read, and written later by who has read it, depends on itself", () => {
    const story = (client: string): Story => {
      const told = new Story();
      told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { client });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { client: "c" });
      return told;
    };
    expect(blame(story("c"))).toEqual(["causal cycle"]);
    // By another client it could be: clocks of clients differ, and S2 judges time.
    expect(blame(story("d"))).toEqual([]);
  });

  test("two clients that each read what the other writes later depend on each other, over two keys", () => {
    const story = (second: string): Story => {
      const told = new Story();
      told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { client: "c", key: "x" });
      told.put(second, `${B}.1`, seen({ [B]: 1 }), { client: "c", key: "y" });
      told.get([version(`${B}.1`, "y")], seen({ [B]: 1 }), { client: "d", key: "y", startMs: 0 });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { client: "d", key: "x" });
      // Depends on the cycle, and is no part of it.
      told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { client: "e", key: "x" });
      return told;
    };
    const [violation] = checkCausality(story("y").history);
    expect(violation!.message.match(/#\d/g)!.toSorted()).toEqual(["#0", "#1", "#2", "#3"]);
    const good = story("z");
    good.history.operations[2]!.versions = [];
    good.history.operations[2]!.seen = seen({});
    expect(blame(good)).toEqual([]);
  });

  test("a value tells of its write where no context does, and a context where no value does", () => {
    const story = (versions: Operation["versions"], covered: Seen): string[] => {
      const told = new Story();
      told.get(versions, covered, { client: "c" });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { client: "c" });
      return blame(told);
    };
    expect(story([version("", "x")], seen({}))).toEqual(["causal cycle"]);
    expect(story([], seen({ [A]: 1 }))).toEqual(["causal cycle"]);
    expect(story([version("", "y")], seen({}))).toEqual([]);
    const unanswered = new Story();
    unanswered.get([version("", "x")], seen({}), { client: "c", outcome: "fail" });
    unanswered.put("x", `${A}.1`, seen({ [A]: 1 }), { client: "c" });
    expect(blame(unanswered)).toEqual([]);
  });

  test("a context that holds what is written later is a cycle; one of a failed write binds nobody", () => {
    const story = (given: Seen, outcome: Operation["outcome"] = "ok"): string[] => {
      const told = new Story(BLIND);
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { given, client: "c" });
      told.put("y", `${B}.2`, seen({ [B]: 2 }), { client: "c", outcome });
      return blame(told);
    };
    expect(story(seen({ [B]: 2 }))).toEqual(["causal cycle"]);
    expect(story(seen({ [B]: 1 }))).toEqual([]);
    expect(story(seen({ [B]: 2 }), "fail")).toEqual([]);
  });

  test("what a client does at once after its last answer comes behind it", () => {
    const story = (endMs: number): string[] => {
      const told = new Story();
      told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { startMs: 0, endMs });
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { startMs: 20 });
      return blame(told);
    };
    expect(story(20)).toEqual(["causal cycle"]);
    expect(story(21)).toEqual([]);
  });

  test("what a client does at the same time has no order", () => {
    const told = new Story();
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { startMs: 0, endMs: 50 });
    told.put("x", `${A}.1`, seen({ [A]: 1 }), { startMs: 20, endMs: 30 });
    expect(blame(told)).toEqual([]);
  });

  test("a read that knows of a write knows of all that the write has replaced", () => {
    const story = (covered: Seen, bucket = BLIND): Story => {
      const told = new Story(bucket);
      told.put("x", `${A}.1`, seen({ [A]: 1 }), { client: "d" });
      told.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given: seen({ [A]: 1 }), client: "d" });
      told.get([version(`${B}.2`, "y")], covered);
      return told;
    };
    expect(blame(story(seen({ [A]: 1, [B]: 2 })))).toEqual([]);
    expect(blame(story(seen({ [B]: 2 })))).toEqual(["causal history"]);
    expect(blame(story(seen({ [B]: 2 }), LWW))).toEqual([]);
    const unanswered = story(seen({ [B]: 2 }));
    unanswered.history.operations[1]!.outcome = "info";
    expect(blame(unanswered)).toEqual([]);
    const shown = new Story(BLIND);
    shown.get([], seen({ [B]: 2 }), { given: seen({ [A]: 1 }), dot: `${B}.2` });
    shown.get([], seen({ [B]: 2 }));
    expect(blame(shown)).toEqual([]);
    const burnt = story(seen({ [B]: 2 }));
    expect(blame(burnt, amnestyOf(burnt))).toEqual([]);
  });

  test("a hole that a writer was told of is none: its minter had not found a single dot (nemesis, seed 12)", () => {
    const gone = `${A}.5`;
    const story = (after: Seen, fields: Partial<Operation> = {}): string[] => {
      const told = new Story(BLIND);
      told.put("x", gone, seen({}, 0, [gone]));
      const given = seen({}, 0, [gone]);
      told.delete(`${B}.1`, seen({ [B]: 1 }, 0, [gone]), { given });
      const carried = { given: seen({ [B]: 1 }, 0, [gone]), ...fields };
      told.put("y", `${C}.1`, after, carried);
      told.get([version(`${C}.1`, "y")], seen({ [B]: 1, [C]: 1 }));
      return blame(told);
    };
    expect(story(seen({ [B]: 1, [C]: 1 }))).toEqual([]);
    expect(story(seen({ [B]: 1 }), { outcome: "info", dot: "" })).toEqual([]);
    // Its answer had claimed the dot; it did not carry the vector on; it did not carry the dot; it was refused.
    const broken = ["causal history"];
    expect(story(seen({ [B]: 1, [C]: 1 }, 0, [gone]))).toEqual([...broken, ...broken]);
    expect(story(seen({ [C]: 1 }), { given: seen({}, 0, [gone]) })).toEqual(broken);
    expect(story(seen({ [C]: 1 }), { given: seen({ [B]: 1 }) })).toEqual(broken);
    expect(story(seen({}), { outcome: "fail" })).toEqual(broken);
  });

  /** c replaces x with y, d reads y; what d reads next is up to the test. */
  const dependent = (
    next: Partial<Operation>,
    given: Seen | undefined = seen({ [A]: 1 }),
  ): Story => {
    const told = new Story(BLIND);
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given });
    told.get([version(`${B}.2`, "y")], seen({ [A]: 1, [B]: 2 }), { session: "d", client: "d" });
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { session: "d", client: "d", ...next });
    return told;
  };

  test("a read does not show what a write has replaced on which it depends, known to it or not", () => {
    expect(blame(dependent({}))).toEqual(["causal order"]);
    expect(blame(dependent({ session: "e" }))).toEqual([]);
    expect(blame(dependent({}, seen({})))).toEqual([]);
    expect(blame(dependent({ versions: [version(`${B}.2`, "y")] }))).toEqual([]);
    expect(blame(dependent({ outcome: "info" }))).toEqual([]);
    // Minted twice: the twin that was replaced says the same.
    expect(blame(dependent({ versions: [version(`${A}.1`, "y")] }))).toEqual([]);
    // Known to it: S3.
    expect(blame(dependent({ seen: seen({ [A]: 1, [B]: 2 }) }))).toEqual([]);
    const burnt = dependent({});
    expect(blame(burnt, amnestyOf(burnt))).toEqual([]);
  });

  test("a write depends on a single dot of its context where its answer covers that (seed 70706)", () => {
    const story = (given: Seen, after: Seen, fields: Partial<Operation> = {}): string[] => {
      const told = new Story(BLIND);
      told.put("x", `${A}.1`, seen({}, 0, [`${A}.1`]));
      const own = { given: seen({}, 0, [`${A}.1`]) };
      told.put("y", `${B}.2`, seen({}, 0, [`${A}.1`, `${B}.2`]), own);
      told.put("z", `${C}.3`, after, { given, ...fields });
      told.get([version(`${C}.3`, "z"), version(`${A}.1`, "x")], seen({ [A]: 1, [C]: 3 }));
      return blame(told);
    };
    const both = [`${A}.1`, `${B}.2`];
    expect(story(seen({}, 0, both), seen({}, 0, [`${C}.3`]))).toEqual([]);
    expect(story(seen({}, 0, both), seen({}), { outcome: "info", dot: "" })).toEqual([]);
    const broken = "causal order";
    expect(story(seen({}, 0, both), seen({}, 0, [...both, `${C}.3`]))).toContain(broken);
    expect(story(seen({ [B]: 2 }), seen({ [B]: 2, [C]: 3 }))).toContain(broken);
    expect(story(seen({ [B]: 2 }), seen({}), { outcome: "info", dot: "" })).toContain(broken);
  });

  test("a refused write teaches its session nothing of the context that it carried", () => {
    const story = (outcome: Operation["outcome"]): string[] => {
      const told = new Story(PLAIN);
      told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given: seen({ [A]: 1 }) });
      const session = { session: "s", client: "s" };
      told.put("z", outcome === "ok" ? `${B}.3` : "", seen({ [A]: 1, [B]: 3 }), {
        ...session,
        given: seen({ [A]: 1, [B]: 2 }),
        outcome,
      });
      told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), session);
      return blame(told);
    };
    expect(story("fail")).toEqual([]);
    expect(story("ok")).toContain("causal order");
  });

  test("a dependency holds over any number of steps", () => {
    const told = dependent({ session: "e", client: "e" });
    const { operations } = told.history;
    operations.pop();
    told.put("z", `${C}.3`, seen({ [C]: 3 }), { given: seen({ [B]: 2 }), client: "f" });
    told.get([version(`${C}.3`, "z")], seen({ [A]: 1, [B]: 2, [C]: 3 }), {
      session: "g",
      client: "g",
    });
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }), { session: "g", client: "g" });
    expect(blame(told)).toEqual(["causal order"]);
    operations.splice(operations.length - 2, 1);
    expect(blame(told)).toEqual([]);
  });

  test("writes of a session try to be in order, and are not blamed on the way", () => {
    const told = new Story(BLIND);
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given: seen({ [A]: 1 }), session: "s" });
    told.put("z", `${C}.3`, seen({ [C]: 3 }), { session: "s" });
    told.get([version(`${C}.3`, "z"), version(`${A}.1`, "x")], seen({ [A]: 1, [C]: 3 }), {
      client: "d",
    });
    expect(blame(told)).toEqual([]);
  });
});

/** All that was known at 100 ms is lost. */
function amnestyOf({ history }: Story): Amnesty {
  return new Amnesty(history, {
    gcDelayMs: 1e9,
    clockErrorMs: 0,
    timeOfCounter: () => 0,
    losses: [{ atMs: 1, known: new Map() }],
  });
}

describe("writes of sessions", () => {
  const blame = (
    bucket: typeof LWW,
    before: Partial<Operation>,
    known: Seen,
    isForgiven = false,
  ): string[] => {
    const told = new Story(bucket);
    told.add({
      kind: "put",
      value: "x",
      dot: `${A}.1`,
      seen: seen({ [A]: 1 }),
      session: "s",
      ...before,
    });
    told.put("y", `${B}.2`, seen({ [B]: 2 }), { session: "s" });
    const final = told.get([version(`${B}.2`, "y")], known);
    return named(
      checkSessionWrites(told.history, [final], isForgiven ? amnestyOf(told) : undefined),
    );
  };

  test("a key ends with the writes of a session in order", () => {
    expect(blame(BLIND, {}, seen({ [A]: 1, [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, {}, seen({ [B]: 2 }))).toEqual(["monotonic writes"]);
    expect(blame(BLIND, {}, seen({ [B]: 1 }))).toEqual([]);
    expect(blame(BLIND, { session: "t" }, seen({ [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, { session: "" }, seen({ [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, { outcome: "info" }, seen({ [B]: 2 }))).toEqual([]);
    expect(blame(LWW, {}, seen({ [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, {}, seen({ [B]: 2 }), true)).toEqual([]);
  });

  test("writes of a session follow what it has read", () => {
    const read = { kind: "get", value: "", dot: "" } as const;
    expect(blame(BLIND, read, seen({ [A]: 1, [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, read, seen({ [B]: 2 }))).toEqual(["writes follow reads"]);
    expect(blame(BLIND, { ...read, session: "t" }, seen({ [B]: 2 }))).toEqual([]);
    expect(blame(BLIND, read, seen({ [B]: 2 }), true)).toEqual([]);
  });

  test("a final read without an answer is S1's, and what comes after a write binds it to nothing", () => {
    const told = new Story(BLIND);
    told.put("y", `${B}.2`, seen({ [B]: 2 }), { session: "s" });
    told.put("x", `${A}.1`, seen({ [A]: 1 }), { session: "s" });
    const known = told.get([], seen({ [B]: 2 }));
    expect(checkSessionWrites(told.history, [known])).toEqual([]);
    const lost = told.get([], seen({ [A]: 1 }), { outcome: "fail" });
    expect(checkSessionWrites(told.history, [lost])).toEqual([]);
  });
});
