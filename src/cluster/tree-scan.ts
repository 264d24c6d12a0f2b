/**
 * The entries of one tree in key order: what a partition holds of the buckets with `n` copies, all of it or only what falls into some leaves, from one
 * snapshot. Whole buckets with another number of copies are jumped over.
 */
import { prefixSuccessor, startsWith } from "../base/bytes.ts";
import type { Leaves } from "../merkle/merkle-exchange.ts";
import { bucketNameOf } from "../ring/partition.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import type { Copies } from "./copies.ts";
import type { TreeId } from "./exchange-codec.ts";
import type { KeyRange } from "./key-scan.ts";
import { PartitionScan } from "./partition-scan.ts";
import type { ReplicaStore } from "./replica-store.ts";

const NOTHING = new Uint8Array(0);
/** The partition before a bucket's name, and the 0x00 behind it. */
const AROUND_NAME_BYTES = 3;

export interface TreeScanParts {
  readonly store: ReplicaStore;
  readonly buckets: Buckets;
  copiesOf(bucket: Bucket): Copies;
  readonly trees: { leafOf(internalKey: Uint8Array): number };
}

export class TreeScan {
  private readonly parts: TreeScanParts;
  private readonly tree: TreeId;
  private readonly leaves: ReadonlySet<number> | undefined;
  private readonly scan: PartitionScan;
  /** Of the bucket that the scan is in. */
  private prefix: Uint8Array = NOTHING;

  /** @param range of internal keys */
  constructor(parts: TreeScanParts, tree: TreeId, leaves: Leaves, range: KeyRange) {
    this.parts = parts;
    this.tree = tree;
    this.leaves = leaves && new Set(leaves);
    this.scan = new PartitionScan(parts.store, [tree.partition], range, false);
    try {
      this.settle();
    } catch (thrown) {
      this.scan.close();
      throw thrown;
    }
  }

  close(): void {
    this.scan.close();
  }

  /** False at the end; the next four want it true. */
  get isValid(): boolean {
    return this.scan.isValid;
  }

  /** Does the entry fall into one of the leaves? */
  get isWanted(): boolean {
    return this.leaves === undefined || this.leaves.has(this.parts.trees.leafOf(this.scan.key));
  }

  /** A view until the next move, as is `value`. */
  get key(): Uint8Array {
    return this.scan.key;
  }

  get value(): Uint8Array {
    return this.scan.value;
  }

  get sequence(): number {
    return this.scan.sequence;
  }

  /** Something of the range is lost here. */
  get isIncomplete(): boolean {
    return this.scan.isIncomplete;
  }

  next(): void {
    this.scan.next();
    this.settle();
  }

  /** On an entry of a bucket of this tree. */
  private settle(): void {
    const { scan } = this;
    while (scan.isValid && (this.prefix.length === 0 || !startsWith(scan.key, this.prefix))) {
      const name = bucketNameOf(scan.key);
      const prefix = scan.key.slice(0, AROUND_NAME_BYTES + name.length);
      const { buckets, copiesOf } = this.parts;
      if (copiesOf(buckets.get(name)) === this.tree.n) this.prefix = prefix;
      else scan.skipTo(prefixSuccessor(prefix)!); // it ends with 0x00
    }
  }
}
