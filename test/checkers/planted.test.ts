/**
 * Every invariant that a checker can report is planted here once, as small as it can be, beside its honest neighbour: the same story with one thing
 * changed back. A checker that was never able to fail is a defect, and so is one that is missing in this list.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { checkAcknowledged } from "../../src/checkers/acknowledged.ts";
import {
  checkAnswered,
  checkDamage,
  checkEqualOwners,
  checkHintBytes,
  checkNoHints,
  checkOneRing,
} from "../../src/checkers/calm.ts";
import { checkCausality } from "../../src/checkers/causality.ts";
import { checkCopies, checkPreferenceLists, checkTrees } from "../../src/checkers/copies.ts";
import type { HeldRecord, NodeContents } from "../../src/checkers/copies.ts";
import { DotBook, checkClocks, checkDots } from "../../src/checkers/dots.ts";
import type { History, Operation, Violation } from "../../src/checkers/history.ts";
import { checkLinearizable, checkRegister } from "../../src/checkers/linearizable.ts";
import { checkMintedOnce } from "../../src/checkers/minted-once.ts";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import { checkSessionWrites } from "../../src/checkers/session-writes.ts";
import { checkVersions } from "../../src/checkers/versions.ts";
import { A, B, BLIND, PLAIN, Story, seen, version } from "../support/story.ts";

type Check = (history: History, final: Operation) => readonly Violation[];

interface Planted {
  readonly invariant: string;
  readonly what: string;
  /** What the checker says, of the story as it should not be, or as it should. */
  run(isBad: boolean): readonly Violation[];
}

/** A story that ends with a read, which is all that differs. */
function endingWith(
  check: Check,
  tell: (story: Story) => void,
  bad: Partial<Operation>,
  good: Partial<Operation>,
  bucket = PLAIN,
): Planted["run"] {
  return (isBad) => {
    const story = new Story(bucket);
    tell(story);
    const final = story.get([], seen({}), isBad ? bad : good);
    return check(story.history, final);
  };
}

const versions: Check = (history, final) => checkVersions(history, [final]);
const X = [version(`${A}.1`, "x")];
const KNOWS_X = { versions: X, seen: seen({ [A]: 1 }) };
const KNOWS_NOTHING = { versions: [], seen: seen({}) };
const KNOWS_DELETION = { versions: [], seen: seen({ [A]: 2 }), isTombstone: true };

const putX = (story: Story, fields: Partial<Operation> = {}): void =>
  void story.put("x", `${A}.1`, seen({ [A]: 1 }), fields);
const deleteX = (story: Story, fields: Partial<Operation> = {}): void =>
  void story.delete(`${A}.2`, seen({ [A]: 2 }), { given: seen({ [A]: 1 }), ...fields });
const putAndDelete = (story: Story): void => {
  putX(story);
  deleteX(story);
};
/** Y replaces x. */
const putTwice = (story: Story): void => {
  putX(story);
  story.put("y", `${B}.2`, seen({ [A]: 1, [B]: 2 }), { given: seen({ [A]: 1 }) });
};
const KNOWS_Y = { versions: [version(`${B}.2`, "y")], seen: seen({ [A]: 1, [B]: 2 }) };

const HISTORIES: readonly Planted[] = [
  {
    invariant: "S1",
    what: "an acknowledged write is lost",
    run: endingWith(versions, putX, KNOWS_NOTHING, KNOWS_X),
  },
  {
    invariant: "S1",
    what: "fewer disks know of a write than have acknowledged it",
    run: (isBad) => {
      const story = new Story();
      putX(story, { ok: 2 });
      const holder = new Map([["b/k", seen({ [A]: 1 })]]);
      const known = new Map([
        ["n1", holder],
        ["n2", isBad ? new Map() : holder],
      ]);
      const looks = [{ atMs: 100, known, downCount: 0 }];
      return checkAcknowledged(story.history, { looks });
    },
  },
  {
    invariant: "S2",
    what: "a value is shown that nobody wrote",
    run: endingWith(versions, putX, { ...KNOWS_X, versions: [version(`${A}.1`, "y")] }, KNOWS_X),
  },
  {
    invariant: "S3",
    what: "a deleted value is shown to who knows of the deletion",
    run: endingWith(versions, putAndDelete, { ...KNOWS_DELETION, versions: X }, KNOWS_DELETION),
  },
  {
    invariant: "S4",
    what: "a write and what it has replaced are siblings",
    run: endingWith(
      versions,
      putTwice,
      { ...KNOWS_Y, versions: [...X, ...KNOWS_Y.versions] },
      KNOWS_Y,
    ),
  },
  {
    invariant: "S4",
    what: "one writer has two siblings",
    run: endingWith(
      versions,
      putX,
      { versions: [...X, version(`${B}.7`, "x")], seen: seen({ [A]: 1, [B]: 7 }) },
      { versions: X, seen: seen({ [A]: 1, [B]: 7 }) },
    ),
  },
  {
    invariant: "I5",
    what: "a deleted value comes back when nobody remembers the deletion",
    run: endingWith(versions, putAndDelete, KNOWS_X, KNOWS_DELETION),
  },
  {
    invariant: "I5",
    what: "a quorum shows what a quorum has deleted",
    run: endingWith(
      (history) => checkQuorumReads(history),
      putAndDelete,
      { ...KNOWS_DELETION, versions: X },
      KNOWS_DELETION,
    ),
  },
  {
    invariant: "I11",
    what: "an expired value is shown",
    run: endingWith(
      versions,
      (story) => putX(story, { ttlMs: 1000 }),
      { ...KNOWS_X, startMs: 9000 },
      { ...KNOWS_X, startMs: 900 },
    ),
  },
  {
    invariant: "S5",
    what: "one dot stands for two values",
    run: endingWith(
      (history) => checkDots(history),
      putX,
      { ...KNOWS_X, versions: [version(`${A}.1`, "y")] },
      KNOWS_X,
    ),
  },
  {
    invariant: "S6",
    what: "the clock of a node goes back",
    run: (isBad) => {
      const story = new Story();
      story.put("x", `${A}.5`, seen({ [A]: 5 }));
      story.put("y", `${A}.${isBad ? 4 : 6}`, seen({ [A]: 6 }));
      return checkClocks(story.history);
    },
  },
  {
    invariant: "R7",
    what: "a session does not read its own write",
    run: endingWith(
      (history) => checkSessions(history),
      (story) => putX(story, { session: "s" }),
      { ...KNOWS_NOTHING, session: "s" },
      { ...KNOWS_X, session: "s" },
    ),
  },
  {
    invariant: "R7",
    what: "a session goes back",
    run: endingWith(
      (history) => checkSessions(history),
      (story) => void story.get([], seen({ [B]: 3 }), { session: "s" }),
      { seen: seen({ [B]: 2 }), session: "s" },
      { seen: seen({ [B]: 3 }), session: "s" },
    ),
  },
  {
    invariant: "R9",
    what: "one node mints one write twice",
    run: (isBad) => {
      const story = new Story();
      putX(story);
      const book = new DotBook();
      for (const dot of [`${A}.1`, `${isBad ? A : B}.2`]) book.note(dot, "x", "b/k");
      return checkMintedOnce(story.history, book);
    },
  },
  {
    invariant: "R3",
    what: "a quorum does not know what a quorum has acknowledged",
    run: endingWith((history) => checkQuorumReads(history), putX, KNOWS_NOTHING, KNOWS_X),
  },
  {
    invariant: "I6",
    what: "a quorum forgets what a quorum has shown",
    run: endingWith(
      (history) => checkQuorumReads(history),
      (story) => void story.get([], seen({ [B]: 3 })),
      { seen: seen({ [B]: 2 }) },
      { seen: seen({ [B]: 3 }) },
    ),
  },
  {
    invariant: "monotonic writes",
    what: "a later write of a session is known without the earlier",
    run: endingWith(
      (history, final) => checkSessionWrites(history, [final]),
      (story) => {
        putX(story, { session: "s" });
        story.put("y", `${B}.2`, seen({ [B]: 2 }), { session: "s" });
      },
      { seen: seen({ [B]: 2 }) },
      { seen: seen({ [A]: 1, [B]: 2 }) },
      BLIND,
    ),
  },
  {
    invariant: "writes follow reads",
    what: "a write of a session is known without what the session had read",
    run: endingWith(
      (history, final) => checkSessionWrites(history, [final]),
      (story) => {
        story.get(X, seen({ [A]: 1 }), { session: "s" });
        story.put("y", `${B}.2`, seen({ [B]: 2 }), { session: "s" });
      },
      { seen: seen({ [B]: 2 }) },
      { seen: seen({ [A]: 1, [B]: 2 }) },
      BLIND,
    ),
  },
  {
    invariant: "causal cycle",
    what: "a client reads what it writes later",
    run: (isBad) => {
      const story = new Story();
      if (isBad) story.get(X, seen({ [A]: 1 }));
      putX(story);
      return checkCausality(story.history);
    },
  },
  {
    invariant: "causal history",
    what: "a write is known without what it has replaced",
    run: endingWith(
      (history) => checkCausality(history),
      putTwice,
      { ...KNOWS_Y, seen: seen({ [B]: 2 }) },
      KNOWS_Y,
    ),
  },
  {
    invariant: "causal order",
    what: "a session that has read a value reads what that had replaced",
    run: endingWith(
      (history) => checkCausality(history),
      (story) => {
        putTwice(story);
        story.get(KNOWS_Y.versions, KNOWS_Y.seen, { session: "s" });
      },
      { ...KNOWS_X, session: "s" },
      { ...KNOWS_Y, session: "s" },
    ),
  },
  {
    invariant: "linearizable",
    what: "a register is read as it was before",
    run: endingWith((history) => checkLinearizable(history), putTwice, KNOWS_X, KNOWS_Y),
  },
  {
    invariant: "linearizable",
    what: "a register holds two values",
    run: endingWith(
      (history) => checkLinearizable(history),
      putTwice,
      { ...KNOWS_Y, versions: [...X, ...KNOWS_Y.versions] },
      KNOWS_Y,
    ),
  },
  {
    invariant: "linearizable",
    what: "two swaps replace one version",
    run: (isBad) => {
      const swap = { kind: "swap", startMs: 0, endMs: 9, outcome: "ok", hasSwapped: true } as const;
      const first = { ...swap, id: 0, expected: undefined, arg: "a" };
      return checkRegister(
        [first, { ...swap, id: 1, expected: isBad ? undefined : "a", arg: "b" }],
        "k",
      );
    },
  },
  {
    invariant: "linearizable, budget",
    what: "a search ends undecided",
    run: (isBad) => {
      const write = { kind: "write", startMs: 0, endMs: 9, outcome: "ok", arg: "a" } as const;
      return checkRegister([{ ...write, id: 0 }], "k", { statesMax: isBad ? 0 : 1 });
    },
  },
];

const HELD: HeldRecord = { place: "b/k", partition: 1, n: 2, bytes: "aa" };

function holder(name: string, bytes: string | undefined, root = "1:1", read = root): NodeContents {
  const records = new Map(bytes === undefined ? [] : [["b/k", { ...HELD, bytes }]]);
  return { name, id: name, records, trees: new Map([["1/2", { root, read }]]), treesNotReady: [] };
}

const OWNERS = (): readonly string[] => ["n1", "n2"];
const EXPLAINED = { node: "n1", reachable: true, dots: [], stateHash: "1" };

const CLUSTERS: readonly Planted[] = [
  {
    invariant: "L1",
    what: "owners say that they hold different states",
    run: (isBad) => {
      const owners = [EXPLAINED, { ...EXPLAINED, node: "n2", stateHash: isBad ? "2" : "1" }];
      return checkEqualOwners("b/k", { partition: 1, owners, fallbacks: [], equal: !isBad });
    },
  },
  {
    invariant: "L1",
    what: "owners hold different bytes",
    run: (isBad) => checkCopies([holder("n1", "aa"), holder("n2", isBad ? "ab" : "aa")], OWNERS),
  },
  {
    invariant: "L2",
    what: "a tree is not what the store holds",
    run: (isBad) => {
      const nodes = [holder("n1", "aa"), holder("n2", "aa", "1:1", isBad ? "1:2" : "1:1")];
      return checkTrees(nodes, OWNERS);
    },
  },
  {
    invariant: "L2",
    what: "owners have different trees",
    run: (isBad) =>
      checkTrees([holder("n1", "aa"), holder("n2", "aa", isBad ? "1:2" : "1:1")], OWNERS),
  },
  {
    invariant: "L3",
    what: "a node knows another ring",
    run: (isBad) =>
      checkOneRing(
        new Map([
          ["n1", "1"],
          ["n2", isBad ? "2" : "1"],
        ]),
      ),
  },
  {
    invariant: "L4",
    what: "a hint stays",
    run: (isBad) => checkNoHints([{ node: "n1", count: isBad ? 1 : 0, bytes: 0 }]),
  },
  {
    invariant: "L4",
    what: "a fallback keeps its copy",
    run: (isBad) => {
      const fallbacks = isBad ? [{ ...EXPLAINED, node: "n4" }] : [];
      return checkEqualOwners("b/k", { partition: 1, owners: [EXPLAINED], fallbacks, equal: true });
    },
  },
  {
    invariant: "L4",
    what: "somebody holds what it does not own",
    run: (isBad) =>
      checkCopies(
        [holder("n1", "aa"), holder("n2", "aa"), holder("n3", isBad ? "aa" : undefined)],
        OWNERS,
      ),
  },
  {
    invariant: "L5",
    what: "an answer comes long after its timeout",
    run: (isBad) => {
      const waited = { operation: "#1", node: "n1", startMs: 0, timeoutMs: 500, isExcused: false };
      return checkAnswered([{ ...waited, forMs: isBad ? 1001 : 1000 }]);
    },
  },
  {
    invariant: "S7",
    what: "hints for a node are above their bytes",
    run: (isBad) => checkHintBytes("n2", [{ node: "n1", count: 1, bytes: isBad ? 101 : 100 }], 100),
  },
  {
    invariant: "R55",
    what: "a partition has one owner twice",
    run: (isBad) =>
      checkPreferenceLists([holder("n1", "aa"), holder("n2", "aa")], 1, [2], () => [
        "n1",
        isBad ? "n1" : "n2",
      ]),
  },
  {
    invariant: "row 80",
    what: "a client is told of damage although other copies are about",
    run: (isBad) => {
      const story = new Story();
      const attempt = { node: "n1", startMs: 0, endMs: 1, status: 500, code: "", detail: "" };
      story.get([], seen({}), { outcome: "fail", attempts: [attempt] });
      return checkDamage(story.history, () => !isBad);
    },
  },
];

const PLANTED = [...HISTORIES, ...CLUSTERS];

describe("planted violations", () => {
  for (const { invariant, what, run } of PLANTED)
    test(`${invariant}: ${what}: found, and not where it is not so`, () => {
      expect(run(true).map((violation) => violation.invariant)).toContain(invariant);
      expect(run(false)).toEqual([]);
    });

  test("every invariant that a checker names has a violation planted above", () => {
    const folder = join(import.meta.dir, "../../src/checkers");
    const named = readdirSync(folder).flatMap((file) =>
      invariantsIn(readFileSync(join(folder, file), "utf8")),
    );
    const planted = new Set(PLANTED.map(({ invariant }) => invariant));
    expect(new Set(named).size).toBeGreaterThan(20);
    expect([...new Set(named)].toSorted()).toEqual([...planted].toSorted());
  });
});

/** The texts that a source gives for `invariant`, as a member, a variable or the first argument of `report`. */
function invariantsIn(source: string): string[] {
  const places = source.matchAll(/(?:\binvariant(?::| =)|\.report\()([^;`\n]*)/g);
  return [...places].flatMap(([, text = ""]) => {
    const [value = ""] = text.replaceAll(/=== "[^"]*"/g, "").split(/, (?:message|key)\b/);
    return [...value.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
  });
}
