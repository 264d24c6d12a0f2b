/**
 * Trees computed anew from the store while it is read and written (R37): one partition at a time, in slices.
 *
 *   behind the cursor            cursor                 before it
 *   |-- changes are toggled in --|-- not looked at yet: the scan will meet them as they are then --|
 *
 * Each slice reads on from the cursor in a snapshot of its own, so no snapshot lives longer than a turn of the event loop, and a change belongs to
 * exactly one side. After the last slice everything is behind the cursor, and the result takes the place of the old trees; until then those serve.
 *
 * A request for a partition that is being scanned starts it again afterwards: what the scan has met may be what the request is about. A scan
 * that meets damage is tried again later. There is at most one request for each partition.
 */
import { compareBytes, startsWith } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { EntryHasher } from "../merkle/entry-hash.ts";
import { MerkleForest } from "../merkle/merkle-forest.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { bucketNameOf, bucketPrefix } from "../ring/partition.ts";
import { PartitionScan } from "./partition-scan.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Of one slice: a millisecond or two of work. */
const SLICE_KEYS = 1024;
const SLICE_BYTES = 256 * 1024;
export const RETRY_MS = 30_000;
const PARTITION_BYTES = 2;
const NOTHING = new Uint8Array(0);

export interface RebuildOptions {
  readonly store: ReplicaStore;
  readonly hasher: EntryHasher;
  readonly leafCount: number;
  readonly copiesOf: (bucket: string) => number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Waits as long as background work must that took so long and read so many bytes (R34). */
  readonly rest: (workMs: number, bytes: number) => Promise<void>;
  /** The forest is as the store is; takes it before its first `await`. */
  readonly built: (partition: number, forest: MerkleForest) => Promise<void>;
}

/** Plain counts for the metrics. */
export interface RebuildCounters {
  built: number;
  failed: number;
  keysScanned: number;
}

interface Request {
  readonly reason: string;
  readonly done: PromiseWithResolvers<void>;
}

export class MerkleRebuilder {
  readonly counters: RebuildCounters = { built: 0, failed: 0, keysScanned: 0 };
  private readonly options: RebuildOptions;
  /** In the order in which they came. */
  private readonly waiting = new Map<number, Request>();
  /** Partitions to be tried again, with the reason. */
  private readonly failed = new Map<number, string>();
  private retryTimer: Timer | undefined;
  private current: PartitionBuild | undefined;
  private state: "new" | "idle" | "running" | "stopped" = "new";

  constructor(options: RebuildOptions) {
    this.options = options;
  }

  /** What was asked for before waits for this. */
  start(): void {
    if (this.state === "new") this.state = "idle";
    void this.run();
  }

  /** Nothing is built any more; who waits for it gets `shutting-down`. */
  stop(): void {
    this.state = "stopped";
    this.current = undefined;
    this.retryTimer?.cancel();
    for (const { done } of this.waiting.values()) done.reject(shuttingDown());
    this.waiting.clear();
  }

  /** Settles when the partition was built from a scan that began after this call; rejects with what kept the scan from its end. */
  request(partition: number, reason: string): Promise<void> {
    if (this.state === "stopped") return unlistened(Promise.reject(shuttingDown()));
    const known = this.waiting.get(partition);
    if (known !== undefined) return known.done.promise;
    const done = Promise.withResolvers<void>();
    this.failed.delete(partition);
    this.waiting.set(partition, { reason, done });
    void this.run();
    return unlistened(done.promise);
  }

  /** Partitions that are being built or wait for it. */
  get pendingCount(): number {
    return this.waiting.size + this.failed.size + (this.current === undefined ? 0 : 1);
  }

  cancel(partition: number): void {
    this.waiting.get(partition)?.done.resolve();
    this.waiting.delete(partition);
    this.failed.delete(partition);
    if (this.current?.partition === partition) this.current = undefined;
  }

  /** A record of `partition` changes, in the turn in which that is applied. */
  changing(
    partition: number,
    internalKey: Uint8Array,
    copies: number,
    leaf: number,
    low: number,
    high: number,
  ): void {
    if (this.current?.partition === partition)
      this.current.changing(internalKey, copies, leaf, low, high);
  }

  private async run(): Promise<void> {
    if (this.state !== "idle") return;
    this.state = "running";
    for (const [partition, request] of this.waiting) {
      this.waiting.delete(partition);
      await this.attempt(partition, request);
      if (this.isStopped()) return;
    }
    this.state = "idle";
  }

  /** Only a question that is asked again after every `await`. */
  private isStopped(): boolean {
    return this.state === "stopped";
  }

  private async attempt(partition: number, { reason, done }: Request): Promise<void> {
    const build = new PartitionBuild(partition, this.options);
    this.current = build;
    try {
      await this.scan(build);
      if (this.current === build) await this.finish(build, done);
      else if (this.isStopped()) done.reject(shuttingDown());
      else done.resolve();
    } catch (thrown) {
      if (this.current === build) this.current = undefined;
      this.fail(partition, reason, thrown);
      done.reject(thrown);
    } finally {
      this.counters.keysScanned += build.keyCount;
    }
  }

  /** Ends at once when the build is no longer the current one. */
  private async scan(build: PartitionBuild): Promise<void> {
    const { clock, rest } = this.options;
    while (this.current === build && !build.isComplete) {
      const startMs = clock.monoMs();
      const bytes = build.readSlice();
      await rest(clock.monoMs() - startMs, bytes);
    }
  }

  private async finish(
    { partition, forest }: PartitionBuild,
    done: PromiseWithResolvers<void>,
  ): Promise<void> {
    this.current = undefined;
    const again = this.waiting.get(partition);
    if (again !== undefined) {
      again.done.promise.then(done.resolve, done.reject);
      return;
    }
    this.counters.built++;
    await this.options.built(partition, forest);
    done.resolve();
  }

  private fail(partition: number, reason: string, thrown: unknown): void {
    const { store, clock, logger } = this.options;
    this.counters.failed++;
    logger.warn("tree_not_built", { partition, reason: messageOf(thrown) });
    store.reportDamage(thrown);
    if (this.isStopped() || this.waiting.has(partition)) return;
    this.failed.set(partition, reason);
    if (this.failed.size === 1) this.retryTimer = clock.after(RETRY_MS, () => this.retry());
  }

  private retry(): void {
    for (const [partition, reason] of this.failed) void this.request(partition, reason);
  }
}

/** One scan of one partition, and the trees of what it has met. */
class PartitionBuild {
  readonly partition: number;
  readonly forest: MerkleForest;
  isComplete = false;
  keyCount = 0;
  private readonly options: RebuildOptions;
  /** Keys below it have been met. */
  private cursor: Uint8Array = NOTHING;
  /** The bucket of the last key: keys of a bucket follow each other. */
  private bucket: Uint8Array = NOTHING;
  private copies = 0;

  constructor(partition: number, options: RebuildOptions) {
    this.partition = partition;
    this.forest = new MerkleForest(options.leafCount);
    this.options = options;
  }

  /** @returns bytes read; throws `CorruptionError` at damage */
  readSlice(): number {
    const range = { lower: this.cursor, upper: undefined };
    const scan = new PartitionScan(this.options.store, [this.partition], range, false);
    try {
      let bytes = 0;
      for (let keys = 0; keys < SLICE_KEYS && bytes < SLICE_BYTES && scan.isValid; keys++) {
        bytes += scan.key.length + scan.value.length;
        this.add(scan);
        scan.next();
      }
      this.isComplete = !scan.isValid;
      if (scan.isValid) this.cursor = scan.key.slice();
      return bytes;
    } finally {
      scan.close();
    }
  }

  private add({ key, value }: PartitionScan): void {
    const { hasher } = this.options;
    if (!startsWith(key.subarray(PARTITION_BYTES), this.bucket) || this.keyCount === 0)
      this.enterBucket(key);
    this.keyCount++;
    hasher.hash(key, value);
    this.forest.toggle(this.copies, hasher.leafOf(key), hasher.low, hasher.high);
  }

  private enterBucket(key: Uint8Array): void {
    const name = bucketNameOf(key);
    this.bucket = bucketPrefix(name);
    this.copies = this.options.copiesOf(name);
  }

  changing(internalKey: Uint8Array, copies: number, leaf: number, low: number, high: number): void {
    if (this.isComplete || compareBytes(internalKey, this.cursor) < 0)
      this.forest.toggle(copies, leaf, low, high);
  }
}

function shuttingDown(): HutchError {
  return new HutchError("shutting-down", "Cannot rebuild a Merkle tree: the node is stopping", {
    retry: "safe",
  });
}

/** Who does not wait for it need not hear that it failed: that is logged. */
function unlistened(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
