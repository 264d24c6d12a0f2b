/**
 * A Merkle tree over a set of entries, small enough to be held for every partition and cheap enough to follow every write (Dynamo, section 4.7).
 *
 *   root                         XOR of all entry hashes
 *   64 branches                  each the XOR of its leafCount / 64 leaves
 *   leafCount leaves             each the XOR of the hashes of the entries that fall into it (tictac trees of Riak; R37)
 *
 * An entry goes in and comes out by the same `toggle`, in any order, so the tree is a function of the set alone. Above the leaves other trees hash
 * their children again; here every level is an XOR. That loses nothing: two sets have one root by chance where the XOR of the hashes in which
 * they differ is 0, which for hashes that nobody can choose (`entry-hash.ts`) has the probability 2^-64, as a collision of a hash over hashes has.
 * It makes the root exact after every toggle, with nothing to compute when it is asked for and no mark of what is stale. Branches are summed up
 * on demand: they are asked for only where roots differ, and 4096 leaves take some microseconds.
 *
 * Memory: 8 bytes a leaf, from the first entry on. `leafCountFor` keeps that below 8 MiB for all partitions of a cluster together up to Q = 16384
 * (32 MiB at Q = 65536), for each number of copies that buckets have; at scale a leaf has a thousand keys.
 *
 * Invariants: an empty tree has the root 0, and so has a tree from which everything was taken out again; the root is the XOR of the leaves.
 */
import { assert } from "../base/assert.ts";

export const BRANCH_COUNT = 64;
export const LEAF_COUNT_MIN = BRANCH_COUNT;
export const LEAF_COUNT_MAX = 4096;
/** Of one node's trees for one number of copies, unless there are so many that each has the least. */
const LEAVES_OF_ALL = 2 ** 20;
const NO_LEAVES = new Uint32Array(0);

/** How many leaves each tree has in a cluster of `partitionCount`. Frozen: nodes compare leaves. */
export function leafCountFor(partitionCount: number): number {
  return Math.max(LEAF_COUNT_MIN, Math.min(LEAF_COUNT_MAX, LEAVES_OF_ALL / partitionCount));
}

/** Hashes are pairs of words, low before high, in one array: hash i is at 2i. */
export class MerkleTree {
  readonly leafCount: number;
  /** Empty until the first entry. */
  private words: Uint32Array = NO_LEAVES;
  private rootLow = 0;
  private rootHigh = 0;

  /** @param leafCount a power of two in 64..4096 */
  constructor(leafCount: number) {
    assert(
      leafCount >= LEAF_COUNT_MIN &&
        leafCount <= LEAF_COUNT_MAX &&
        Number.isInteger(Math.log2(leafCount)),
      "a tree has 64 to 4096 leaves, a power of two",
    );
    this.leafCount = leafCount;
  }

  /** Puts the entry with this hash in, or takes it out. */
  toggle(leaf: number, low: number, high: number): void {
    assert(leaf >= 0 && leaf < this.leafCount, "a leaf is one of the tree");
    if (this.words.length === 0) this.words = new Uint32Array(2 * this.leafCount);
    const { words } = this;
    words[2 * leaf]! ^= low;
    words[2 * leaf + 1]! ^= high;
    this.rootLow = (this.rootLow ^ low) >>> 0;
    this.rootHigh = (this.rootHigh ^ high) >>> 0;
  }

  /** [low, high] */
  root(): Uint32Array {
    return new Uint32Array([this.rootLow, this.rootHigh]);
  }

  /** 64 hashes. */
  branches(): Uint32Array {
    const branches = new Uint32Array(2 * BRANCH_COUNT);
    const branchWords = (2 * this.leafCount) / BRANCH_COUNT;
    const { words } = this;
    for (let start = 0; start < words.length; start += branchWords) {
      let low = 0;
      let high = 0;
      for (let at = start; at < start + branchWords; at += 2) {
        low ^= words[at]!;
        high ^= words[at + 1]!;
      }
      branches[(2 * start) / branchWords] = low;
      branches[(2 * start) / branchWords + 1] = high;
    }
    return branches;
  }

  /** The leafCount / 64 hashes below `branch`, from leaf `branch * leafCount / 64` on; a copy. */
  leaves(branch: number): Uint32Array {
    assert(branch >= 0 && branch < BRANCH_COUNT, "a tree has 64 branches");
    const branchWords = (2 * this.leafCount) / BRANCH_COUNT;
    if (this.words.length === 0) return new Uint32Array(branchWords);
    return this.words.slice(branch * branchWords, (branch + 1) * branchWords);
  }

  /** Calls `visit` for every leaf that is not 0, in order. */
  forEachLeaf(visit: (leaf: number, low: number, high: number) => void): void {
    const { words } = this;
    for (let at = 0; at < words.length; at += 2)
      if (words[at] !== 0 || words[at + 1] !== 0) visit(at >> 1, words[at]!, words[at + 1]!);
  }

  get memoryBytes(): number {
    return this.words.byteLength;
  }
}
