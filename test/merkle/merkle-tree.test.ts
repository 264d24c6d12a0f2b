/** A tree is a function of the set of its entries, and of nothing else. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MerkleForest } from "../../src/merkle/merkle-forest.ts";
import { BRANCH_COUNT, MerkleTree, leafCountFor } from "../../src/merkle/merkle-tree.ts";

interface Toggle {
  readonly leaf: number;
  readonly low: number;
  readonly high: number;
}

const LEAVES = 256;
const word = fc.integer({ min: 0, max: 0xffffffff });
const toggle: fc.Arbitrary<Toggle> = fc.record({
  leaf: fc.integer({ min: 0, max: LEAVES - 1 }),
  low: word,
  high: word,
});
const toggles = fc.array(toggle, { maxLength: 60 });

function treeOf(entries: readonly Toggle[]): MerkleTree {
  const tree = new MerkleTree(LEAVES);
  for (const { leaf, low, high } of entries) tree.toggle(leaf, low, high);
  return tree;
}

const rootOf = (tree: MerkleTree): string => tree.root().join();
const xorOf = (words: Uint32Array, from: number, to: number): string => {
  const sum = new Uint32Array(2);
  for (let at = 2 * from; at < 2 * to; at++) sum[at & 1]! ^= words[at]!;
  return sum.join();
};

describe("MerkleTree", () => {
  test("R37: equal sets have equal trees, in whatever order their entries came", () => {
    fc.assert(
      fc.property(
        toggles.chain((entries) =>
          fc.tuple(
            fc.constant(entries),
            fc.shuffledSubarray(entries, { minLength: entries.length }),
          ),
        ),
        ([entries, shuffled]) => {
          const [a, b] = [treeOf(entries), treeOf(shuffled)];
          expect(rootOf(a)).toBe(rootOf(b));
          expect(a.branches()).toEqual(b.branches());
          for (let branch = 0; branch < BRANCH_COUNT; branch++)
            expect(a.leaves(branch)).toEqual(b.leaves(branch));
        },
      ),
    );
  });

  test("R37: any single difference changes the root, its branch and its leaf, and taking it out undoes that", () => {
    fc.assert(
      fc.property(toggles, toggle, (entries, one) => {
        fc.pre(one.low !== 0 || one.high !== 0);
        const [before, after] = [treeOf(entries), treeOf([...entries, one])];
        expect(rootOf(after)).not.toBe(rootOf(before));
        const perBranch = LEAVES / BRANCH_COUNT;
        const branch = Math.floor(one.leaf / perBranch);
        const differing = (a: Uint32Array, b: Uint32Array): number[] => {
          const found = new Set<number>();
          for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) found.add(at >> 1);
          return [...found];
        };
        expect(differing(before.branches(), after.branches())).toEqual([branch]);
        expect(differing(before.leaves(branch), after.leaves(branch))).toEqual([
          one.leaf % perBranch,
        ]);
        after.toggle(one.leaf, one.low, one.high);
        expect(rootOf(after)).toBe(rootOf(before));
      }),
    );
  });

  test("each level is the XOR of the one below it", () => {
    fc.assert(
      fc.property(toggles, (entries) => {
        const tree = treeOf(entries);
        const branches = tree.branches();
        expect(xorOf(branches, 0, BRANCH_COUNT)).toBe(rootOf(tree));
        for (let branch = 0; branch < BRANCH_COUNT; branch++)
          expect(xorOf(tree.leaves(branch), 0, LEAVES / BRANCH_COUNT)).toBe(
            xorOf(branches, branch, branch + 1),
          );
      }),
    );
  });

  test("an empty tree has the root 0, 64 branches of 0, and takes no memory", () => {
    const tree = new MerkleTree(4096);
    expect(tree.root()).toEqual(new Uint32Array(2));
    expect(tree.branches()).toEqual(new Uint32Array(128));
    expect(tree.leaves(63)).toEqual(new Uint32Array(128));
    expect(tree.memoryBytes).toBe(0);
    tree.toggle(4095, 1, 2);
    expect(tree.memoryBytes).toBe(8 * 4096);
    tree.toggle(4095, 1, 2);
    expect(tree.root()).toEqual(new Uint32Array(2));
  });

  test("hashes handed out are copies: they stay as they were", () => {
    const tree = treeOf([{ leaf: 3, low: 1, high: 2 }]);
    const [root, leaves] = [tree.root(), tree.leaves(0)];
    tree.toggle(3, 7, 7);
    expect(root).toEqual(new Uint32Array([1, 2]));
    expect(leaves.slice(6, 8)).toEqual(new Uint32Array([1, 2]));
  });

  test.each([
    [16, 4096],
    [256, 4096],
    [1024, 1024],
    [16_384, 64],
    [65_536, 64],
  ])("a cluster of %d partitions has %d leaves a tree", (partitions, leaves) => {
    expect(leafCountFor(partitions)).toBe(leaves);
    const ofAll = partitions * leaves * 8;
    expect(ofAll).toBeLessThanOrEqual(partitions > 16_384 ? 32 * 2 ** 20 : 8 * 2 ** 20);
  });

  test.each([0, 63, 65, 96, 8192])("%d leaves are refused", (count) => {
    expect(() => new MerkleTree(count)).toThrow();
  });

  test("a leaf outside of the tree is refused", () => {
    expect(() => new MerkleTree(64).toggle(64, 1, 1)).toThrow();
    expect(() => new MerkleTree(64).leaves(64)).toThrow();
  });
});

test("R38: MerkleForest keeps what has other owners apart", () => {
  const forest = new MerkleForest(64);
  forest.toggle(3, 5, 1, 1);
  forest.toggle(2, 5, 9, 9);
  expect(forest.tree(3)!.root()).toEqual(new Uint32Array([1, 1]));
  expect(forest.tree(2)!.root()).toEqual(new Uint32Array([9, 9]));
  expect(forest.tree(1)).toBeUndefined();
  expect(forest.memoryBytes).toBe(2 * 64 * 8);
});
