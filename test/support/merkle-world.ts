/** One node's trees over a real store on a simulated disk, next to a plain scan that says what the trees must be. */
import { utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import type { CopiesOfBuckets } from "../../src/cluster/bucket-copies.ts";
import { MerkleIndex } from "../../src/cluster/merkle-index.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { EntryHasher } from "../../src/merkle/entry-hash.ts";
import { BRANCH_COUNT } from "../../src/merkle/merkle-tree.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { bucketNameOf } from "../../src/ring/partition.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { type StoreOptions, WriteBatch } from "../../src/storage/store.ts";
import { settled } from "./hint-world.ts";
import { ManualClock } from "./manual-clock.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export const Q = 16;
export const ALL = Array.from({ length: Q }, (_, partition) => partition);
const SECRET = new Uint8Array(16).fill(9);
/** Below it are the marks of what is the node's own. */
const BUCKETS_FROM = 0x2d;

export interface MerkleWorldOptions {
  readonly disk?: SimDisk;
  readonly clock?: ManualClock;
  readonly store?: Partial<StoreOptions>;
  readonly rest?: () => Promise<void>;
  readonly wrap?: (store: ReplicaStore) => ReplicaStore;
  readonly secret?: Uint8Array;
  readonly copies?: TestCopies;
}

/** Three copies, unless a test says otherwise. */
export class TestCopies implements CopiesOfBuckets {
  private readonly explicit = new Map<string, number>([["two", 2]]);
  private changes = 1;

  copiesOf(bucket: string): number {
    return this.explicit.get(bucket) ?? 3;
  }

  version(): number {
    return this.changes;
  }

  set(bucket: string, copies: number): void {
    this.explicit.set(bucket, copies);
    this.changes++;
  }
}

export function keyIn(partition: number, name: string, bucket = "demo"): Uint8Array {
  return new Uint8Array([partition >>> 8, partition, ...utf8(`${bucket}\0${name}`)]);
}

export class MerkleWorld {
  readonly opened: OpenStore;
  readonly store: ReplicaStore;
  readonly index: MerkleIndex;
  readonly disk: SimDisk;
  readonly clock: ManualClock;
  readonly copies: TestCopies;
  private readonly options: MerkleWorldOptions;

  private constructor(opened: OpenStore, disk: SimDisk, options: MerkleWorldOptions) {
    this.opened = opened;
    this.disk = disk;
    this.options = options;
    this.store = options.wrap?.(opened.store) ?? opened.store;
    this.clock = options.clock ?? new ManualClock();
    this.copies = options.copies ?? new TestCopies();
    this.index = new MerkleIndex({
      store: this.store,
      clock: this.clock,
      random: new SimRandom(new Prng("merkle")),
      logger: silentLogger,
      clusterSecret: options.secret ?? SECRET,
      q: Q,
      copies: this.copies,
      rest: options.rest ?? (() => Promise.resolve()),
    });
  }

  /** Trees are loaded, nothing is built: `index.start(ALL)` does that. */
  static async open(options: MerkleWorldOptions = {}): Promise<MerkleWorld> {
    const disk = options.disk ?? new SimDisk({ seed: 11 });
    const world = { disk, clock: new StillClock(), random: new SimRandom(new Prng("node")) };
    const storeOptions = { ...SMALL_OPTIONS, memtableBytes: 65_536, ...options.store };
    return new MerkleWorld(await openStore(world, storeOptions), disk, options);
  }

  static async start(options: MerkleWorldOptions = {}): Promise<MerkleWorld> {
    const world = await MerkleWorld.open(options);
    world.index.start(ALL);
    await world.idle();
    return world;
  }

  /** The next life; its trees are only loaded. */
  async restart(
    how: "clean" | "power-loss",
    changes: MerkleWorldOptions = {},
  ): Promise<MerkleWorld> {
    if (how === "clean") {
      await this.index.close();
      await this.opened.close();
    }
    const disk = how === "clean" ? this.disk : this.disk.powerLoss("strict");
    const { clock, copies } = this;
    return MerkleWorld.open({ ...this.options, clock, copies, ...changes, disk });
  }

  /** As the record writer does it. `undefined` deletes. Settles when it is durable. */
  write(key: Uint8Array, record: Uint8Array | undefined): Promise<void> {
    const partition = (key[0]! << 8) | key[1]!;
    const n = this.copies.copiesOf(bucketNameOf(key));
    const before = this.store.get(key)?.value;
    const batch = new WriteBatch();
    if (record === undefined) batch.delete(key);
    else batch.put(key, record);
    this.index.changing(batch, partition, n, key, before, record);
    try {
      const durable = this.store.apply(batch);
      durable.catch(() => this.index.takenBack(partition));
      return durable;
    } catch (thrown) {
      this.index.takenBack(partition);
      throw thrown;
    }
  }

  async fill(count: number, bucket = "demo"): Promise<void> {
    for (let i = 0; i < count; i++) await this.write(keyIn(i % Q, `${i}`, bucket), utf8(`v${i}`));
  }

  /** Nothing is being built any more. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 1000; turn++) {
      await settled();
      if (this.index.pendingRebuilds === 0) return;
    }
    throw new Error("trees are still being built");
  }

  /** What the trees of some partitions are: one line for each leaf that is not 0, sorted. */
  trees(partitions: readonly number[] = ALL): string {
    const lines: string[] = [];
    for (const { partition, n } of this.index.trees()) {
      if (!partitions.includes(partition)) continue;
      for (let branch = 0; branch < BRANCH_COUNT; branch++) {
        const words = this.index.leaves(partition, n, branch);
        for (let at = 0; at < words.length; at += 2)
          if (words[at] !== 0 || words[at + 1] !== 0)
            lines.push(lineOf(partition, n, (branch * words.length + at) / 2, words, at));
      }
    }
    return lines.sort().join("\n");
  }

  /** What they must be, from everything that a reader of the store sees. */
  expected(partitions: readonly number[] = ALL): string {
    const leaves = new Map<string, Uint32Array>();
    const hasher = new EntryHasher(this.options.secret ?? SECRET, this.index.leafCount);
    const snapshot = this.store.snapshot();
    const iterator = snapshot.iterator();
    for (iterator.seekToFirst(); iterator.isValid; iterator.next()) {
      const key = iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd);
      if (key[2]! < BUCKETS_FROM) continue;
      hasher.hash(key, iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd));
      const tree = `${(key[0]! << 8) | key[1]!}/${this.copies.copiesOf(bucketNameOf(key))}`;
      const name = `${tree}/${hasher.leafOf(key)}`;
      const words = leaves.get(name) ?? new Uint32Array(2);
      words[0]! ^= hasher.low;
      words[1]! ^= hasher.high;
      leaves.set(name, words);
    }
    snapshot.close();
    return [...leaves]
      .map(([name, words]) => [...name.split("/").map(Number), words] as const)
      .filter(([partition]) => partitions.includes(partition as number))
      .map(([partition, n, leaf, words]) =>
        lineOf(partition as number, n as number, leaf as number, words as Uint32Array, 0),
      )
      .sort()
      .join("\n");
  }

  ready(): number[] {
    return ALL.filter((partition) => this.index.isReady(partition));
  }
}

function lineOf(
  partition: number,
  n: number,
  leaf: number,
  words: Uint32Array,
  at: number,
): string {
  return `${partition}/${n}/${leaf}: ${words[at]} ${words[at + 1]}`;
}
