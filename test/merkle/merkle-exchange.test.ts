/** The descent as a value: two trees in memory, and what the machine asks of them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Prng } from "../../src/base/prng.ts";
import {
  type ExchangeOutcome,
  LEAVES_MAX,
  LOOPS_MAX,
  MerkleExchange,
  type RootAnswer,
} from "../../src/merkle/merkle-exchange.ts";
import { BRANCH_COUNT, MerkleTree } from "../../src/merkle/merkle-tree.ts";

const LEAF_COUNT = 4096;

/** Leaf -> how many entries differ there. Comparing a leaf makes it equal. */
class Pair {
  readonly own = new MerkleTree(LEAF_COUNT);
  readonly theirs = new MerkleTree(LEAF_COUNT);
  private readonly prng = new Prng("pair");
  private readonly only = new Map<number, [number, number][]>();
  readonly asked: string[] = [];
  readonly compared: number[][] = [];
  /** What happens while the machine pauses. */
  meanwhile: () => void = () => undefined;

  /** An entry that both have. */
  both(leaf: number): void {
    const [low, high] = this.hash();
    this.own.toggle(leaf, low, high);
    this.theirs.toggle(leaf, low, high);
  }

  differ(leaf: number): void {
    const hash = this.hash();
    this.own.toggle(leaf, ...hash);
    this.only.set(leaf, [...(this.only.get(leaf) ?? []), hash]);
  }

  mend(leaf: number): void {
    for (const hash of this.only.get(leaf) ?? []) this.theirs.toggle(leaf, ...hash);
    this.only.delete(leaf);
  }

  mendAll(): void {
    for (const leaf of [...this.only.keys()]) this.mend(leaf);
  }

  get differing(): number[] {
    return [...this.only.keys()].sort((a, b) => a - b);
  }

  private hash(): [number, number] {
    return [this.prng.u32(), this.prng.u32()];
  }

  private get rootAnswer(): RootAnswer {
    const [own, theirs] = [this.own.root().join(), this.theirs.root().join()];
    if (own === theirs) return "equal";
    if (own === "0,0") return "empty-here";
    return theirs === "0,0" ? "empty-there" : "differs";
  }

  run(isBulk = false, root = (): RootAnswer => this.rootAnswer): ExchangeOutcome {
    const machine = new MerkleExchange({ leafCount: LEAF_COUNT, isBulk });
    for (;;) {
      const { step } = machine;
      this.asked.push(step.kind);
      if (step.kind === "root") machine.rootSeen(root());
      else if (step.kind === "branches")
        machine.branchesSeen(this.own.branches(), this.theirs.branches());
      else if (step.kind === "leaves")
        machine.leavesSeen(
          step.branches.map((branch) => this.own.leaves(branch)),
          step.branches.map((branch) => this.theirs.leaves(branch)),
        );
      else if (step.kind === "pause") {
        this.meanwhile();
        machine.paused();
      } else if (step.kind === "compare") {
        const leaves = step.leaves ?? Array.from({ length: LEAF_COUNT }, (_, leaf) => leaf);
        this.compared.push([...leaves]);
        for (const leaf of leaves) this.mend(leaf);
        machine.compared();
      } else return step.outcome;
    }
  }
}

function pairWith(...leaves: number[]): Pair {
  const pair = new Pair();
  for (let leaf = 0; leaf < LEAF_COUNT; leaf++) pair.both(leaf);
  for (const leaf of leaves) pair.differ(leaf);
  return pair;
}

const spread = (count: number, by: number): number[] =>
  Array.from({ length: count }, (_, i) => i * by);

describe("MerkleExchange", () => {
  test("equal trees cost one look at their roots", () => {
    const pair = pairWith();
    expect(pair.run()).toBe("equal");
    expect(pair.asked).toEqual(["root", "done"]);
  });

  test("R35: it goes down where hashes differ, looks twice, and compares exactly the leaves that differ", () => {
    const pair = pairWith(5, 64, 4095);
    expect(pair.run()).toBe("equal");
    expect(pair.compared).toEqual([[5, 64, 4095]]);
    expect(pair.asked.join(" ")).toBe("root branches leaves pause leaves compare root done");
  });

  test("R35: a leaf that differs only for a moment is left alone", () => {
    const pair = pairWith(5, 700);
    pair.meanwhile = () => {
      pair.mend(700);
      pair.differ(1234);
    };
    pair.run();
    expect(pair.compared).toEqual([[5]]);
    const passing = pairWith(9);
    passing.meanwhile = () => passing.mendAll();
    expect(passing.run()).toBe("settled");
    expect(passing.compared).toEqual([]);
  });

  test("R35: one loop compares at most 64 leaves, and there are at most four", () => {
    const pair = pairWith(...spread(LEAVES_MAX * 3 + 1, 16));
    expect(pair.run()).toBe("equal");
    expect(pair.compared.map(({ length }) => length)).toEqual([64, 64, 64, 1]);
    const restless = pairWith(...spread(LEAVES_MAX * LOOPS_MAX, 16));
    restless.meanwhile = () => {
      for (const leaf of spread(LEAVES_MAX * LOOPS_MAX, 16)) restless.differ(leaf);
    };
    expect(restless.run()).toBe("limited");
    expect(restless.compared.length).toBe(LOOPS_MAX);
  });

  test("more than four loops could mend, or most of the leaves: all at once, unconfirmed", () => {
    const many = pairWith(...spread(LEAVES_MAX * LOOPS_MAX + 1, 8));
    expect(many.run()).toBe("equal");
    expect(many.asked).not.toContain("pause");
    expect(many.compared.map(({ length }) => length)).toEqual([257]);
    const most = pairWith(...spread(LEAF_COUNT / 2 + 1, 1));
    most.run();
    expect(most.compared.map(({ length }) => length)).toEqual([LEAF_COUNT]);
  });

  test("in bulk nothing is confirmed, and all leaves that differ are compared in one loop", () => {
    const pair = pairWith(...spread(200, 20));
    expect(pair.run(true)).toBe("equal");
    expect(pair.asked).not.toContain("pause");
    expect(pair.compared).toEqual([spread(200, 20)]);
  });

  test("an empty tree is filled at once; without a tree only bulk goes on", () => {
    const pair = new Pair();
    pair.differ(3);
    expect(pair.run()).toBe("equal");
    expect(pair.asked).toEqual(["root", "compare", "root", "done"]);
    expect(pairWith(1).run(false, () => "unknown")).toBe("unknown");
    const rebuilt = pairWith(1);
    expect(rebuilt.run(true, () => "unknown")).toBe("settled");
    expect(rebuilt.compared[0]!.length).toBe(LEAF_COUNT);
  });

  test("whatever differs, it ends, and leaves no difference that lasted", () => {
    const leaf = fc.integer({ min: 0, max: LEAF_COUNT - 1 });
    fc.assert(
      fc.property(
        fc.uniqueArray(leaf, { maxLength: 400 }),
        fc.uniqueArray(leaf, { maxLength: 20 }),
        fc.boolean(),
        (differing, passing, isBulk) => {
          const pair = pairWith(...differing);
          pair.meanwhile = () => passing.forEach((each) => pair.differ(each));
          const outcome = pair.run(isBulk);
          if (outcome === "limited") return;
          const left = pair.differing.filter((each) => !passing.includes(each));
          expect(left).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("what is told must be what was asked for", () => {
    const machine = new MerkleExchange({ leafCount: BRANCH_COUNT, isBulk: false });
    expect(() => machine.paused()).toThrow("what is told is what was asked for");
  });
});
