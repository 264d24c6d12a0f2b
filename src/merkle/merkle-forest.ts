/**
 * The trees of one partition, one for each number of copies that buckets have there: buckets with different numbers of copies have different owners,
 * and only what two nodes both own can be compared (R38). A tree is made at its first entry; one that is not there is empty.
 */
import { MerkleTree } from "./merkle-tree.ts";

export class MerkleForest {
  readonly leafCount: number;
  private readonly byCopies = new Map<number, MerkleTree>();

  constructor(leafCount: number) {
    this.leafCount = leafCount;
  }

  /** Puts an entry into the tree of buckets with `copies` copies, or takes it out. */
  toggle(copies: number, leaf: number, low: number, high: number): void {
    let tree = this.byCopies.get(copies);
    if (tree === undefined) {
      tree = new MerkleTree(this.leafCount);
      this.byCopies.set(copies, tree);
    }
    tree.toggle(leaf, low, high);
  }

  /** `undefined` for a tree that never had an entry. */
  tree(copies: number): MerkleTree | undefined {
    return this.byCopies.get(copies);
  }

  /** In the order in which they came to be. */
  get trees(): ReadonlyMap<number, MerkleTree> {
    return this.byCopies;
  }

  get memoryBytes(): number {
    let bytes = 0;
    for (const tree of this.byCopies.values()) bytes += tree.memoryBytes;
    return bytes;
  }
}
