/**
 * The properties of every bucket, and which buckets there are.
 *
 * A bucket exists for everybody at once with the defaults. It is written down, with what was set explicitly, when properties are set or at
 * the first write into it (in that write's own batch), so that a list of buckets is complete after a restart.
 *
 *   key     system key `bucket/<name>`        value   an entry of `bucket-entry.ts`
 *
 * Nodes exchange their entries (`state-exchange.ts`); of two for one bucket the later one stands, a deletion being one like any other, but n, which comes with
 * layout versions (docs/decisions/bucket-copies.md) and outlasts a deletion. `hash` says whether two nodes have the same.
 */
import { compareBytes, prefixSuccessor, utf8Text } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { BucketProperties } from "../quorum/operation.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../quorum/operation.ts";
import { checkDefaultConsistency } from "../quorum/parse-consistency.ts";
import { COPIES_MAX as N_MAX } from "../ring/layout.ts";
import { bucketPrefix } from "../ring/partition.ts";
import { type EntryIterator, type LostRange, WriteBatch } from "../storage/store.ts";
import {
  type BucketEntry,
  type BucketStamp,
  FIRST_STAMP,
  decodeEntry,
  encodeEntry,
  entryHash,
  isLater,
  joinEntries,
  withCopies,
} from "./bucket-entry.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const KEY_PREFIX = "bucket/";
/** Buckets that are written down; later ones work, with the defaults, and are not listed. */
export const LISTED_BUCKETS_MAX = 10_000;
/** Buckets kept in memory that nobody has written to. */
const UNLISTED_BUCKETS_MAX = 10_000;

const SIBLINGS_MAX_MAX = 1000;
const MIB = 1024 * 1024;
const VALUE_BYTES_MAX_MAX = 16 * MIB;
const TTL_MAX_SECONDS = 10 * 365 * 86_400;

const RANGE_START = systemKey(KEY_PREFIX);
const RANGE_END = prefixSuccessor(RANGE_START)!; // a system key has bytes below 0xff

function holdsProperties({ start, end }: LostRange): boolean {
  return compareBytes(start, RANGE_END) < 0 && compareBytes(end, RANGE_START) > 0;
}

/** One bucket as operations meet it: the name's bytes are made once. Replaced, never changed, when properties change. */
export interface Bucket {
  readonly name: string;
  readonly prefix: Uint8Array;
  readonly properties: BucketProperties;
  readonly explicit: Partial<BucketProperties>;
  readonly isListed: boolean;
}

export class Buckets {
  /** 32 bits over all entries; equal where the entries are. */
  hash = 0;
  private readonly store: ReplicaStore;
  private readonly newStamp: () => BucketStamp;
  private readonly onChange: () => void;
  /** What is written down, deletions included. */
  private readonly entries = new Map<string, BucketEntry>();
  private readonly listed = new Map<string, Bucket>();
  private readonly unlisted = new Map<string, Bucket>();

  /** Some of what was written down cannot be read: a bucket that is not listed may have had properties. */
  private isIncomplete: boolean;

  /**
   * @param newStamp later than all that this node gave out before
   * @param onChange entries are not what they were
   */
  constructor(
    store: ReplicaStore,
    newStamp: () => BucketStamp = () => FIRST_STAMP,
    onChange: () => void = () => undefined,
  ) {
    this.store = store;
    this.newStamp = newStamp;
    this.onChange = onChange;
    const snapshot = store.snapshot();
    try {
      this.isIncomplete =
        snapshot.lostRanges.some(holdsProperties) || !this.load(snapshot.iterator());
    } finally {
      snapshot.close();
    }
  }

  /** False where it met damage before the end. */
  private load(iterator: EntryIterator): boolean {
    try {
      for (iterator.seek(RANGE_START); iterator.isValid; iterator.next()) {
        const key = iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd);
        if (compareBytes(key, RANGE_END) >= 0) break;
        const name = utf8Text(key.subarray(RANGE_START.length)) ?? "";
        const value = iterator.valueBytes.subarray(iterator.valueStart, iterator.valueEnd);
        this.keep(decodeStoredEntry(name, value));
      }
      return true;
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError)) throw thrown;
      this.store.reportDamage(thrown);
      return false;
    }
  }

  /** Throws `CorruptionError` where the bucket's properties may have been lost. */
  get(name: string): Bucket {
    return this.listed.get(name) ?? this.unlisted.get(name) ?? this.addUnlisted(name);
  }

  private addUnlisted(name: string): Bucket {
    if (this.isIncomplete)
      throw new CorruptionError(
        `Cannot tell the properties of bucket "${name}": the table that held them is damaged`,
        "",
        -1,
      );
    if (this.unlisted.size >= UNLISTED_BUCKETS_MAX) this.unlisted.clear();
    const bucket = makeBucket(name, this.copiesLeft(name), false);
    this.unlisted.set(name, bucket);
    return bucket;
  }

  /** What a deletion leaves of the properties: what is still in the bucket has its owners. */
  private copiesLeft(name: string): Partial<BucketProperties> {
    const n = this.entries.get(name)?.explicit.n;
    return n === undefined ? {} : { n };
  }

  /** Somebody has set something of the bucket, written to it, or deleted it. */
  isKnown(name: string): boolean {
    return this.entries.has(name) || this.entries.size >= LISTED_BUCKETS_MAX;
  }

  names(): readonly string[] {
    return [...this.listed.keys()].sort();
  }

  /** All entries, deletions included. */
  all(): readonly BucketEntry[] {
    return [...this.entries.values()];
  }

  private keep(entry: BucketEntry): void {
    this.drop(entry.name);
    this.entries.set(entry.name, entry);
    this.hash = (this.hash ^ entryHash(entry)) >>> 0;
    this.unlisted.delete(entry.name);
    if (!entry.isDeleted) this.listed.set(entry.name, makeBucket(entry.name, entry.explicit, true));
  }

  private drop(name: string): void {
    const entry = this.entries.get(name);
    if (entry === undefined) return;
    this.hash = (this.hash ^ entryHash(entry)) >>> 0;
    this.entries.delete(name);
    this.listed.delete(name);
  }

  /** Adds the bucket's own entry to the batch of its first write. Undo with `forget` if the batch is taken back. */
  listIn(batch: WriteBatch, bucket: Bucket): void {
    if (this.listed.size >= LISTED_BUCKETS_MAX) return;
    const { name, explicit } = bucket;
    // After a deletion the bucket is there again only under a later stamp.
    const stamp = this.entries.has(name) ? this.stampAfter(name) : FIRST_STAMP;
    const copiesSince = this.entries.get(name)?.copiesSince ?? 0;
    const entry = { ...stamp, name, explicit, isDeleted: false, copiesSince };
    batch.put(systemKey(KEY_PREFIX + name), encodeEntry(entry));
    this.keep(entry);
    this.onChange();
  }

  forget(bucket: Bucket): void {
    // Properties that were set since then are in a batch of their own.
    if (this.entries.get(bucket.name)?.explicit !== bucket.explicit) return;
    this.drop(bucket.name);
    this.onChange();
  }

  /** Throws `bad-property` for what no bucket can have. */
  async set(
    name: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketEntry> {
    const explicit = mode === "put" ? properties : { ...this.get(name).explicit, ...properties };
    checkProperties({ ...DEFAULT_BUCKET_PROPERTIES, ...explicit });
    return this.replace({ ...this.stampAfter(name), name, explicit, isDeleted: false });
  }

  /** @param keepsCopies its n is not changed: layouts say it */
  delete(name: string, keepsCopies = false): Promise<BucketEntry> {
    const explicit = keepsCopies ? this.copiesLeft(name) : {};
    return this.replace({ ...this.stampAfter(name), name, explicit, isDeleted: true });
  }

  private async replace(next: Omit<BucketEntry, "copiesSince">): Promise<BucketEntry> {
    const copiesSince = this.entries.get(next.name)?.copiesSince ?? 0;
    const entry = { ...next, copiesSince };
    await this.write([entry]);
    return entry;
  }

  /** The bucket has `n` copies since that layout version; settles when that is on disk. */
  async adoptCopies(name: string, n: number, since: number): Promise<void> {
    const known = this.entries.get(name) ?? {
      ...FIRST_STAMP,
      name,
      explicit: {},
      isDeleted: false,
      copiesSince: 0,
    };
    if (known.copiesSince < since) await this.write([withCopies(known, n, since)]);
  }

  /** Later than what is known of the bucket, however far ahead the clock was that stamped it. */
  private stampAfter(name: string): BucketStamp {
    const stamp = this.newStamp();
    const known = this.entries.get(name);
    if (known === undefined || isLater(stamp, known)) return stamp;
    return { ...stamp, hlc: known.hlc + 1 };
  }

  /** Takes over what is later than our own; settles when that is durable. Throws `bad-property` for what no bucket can have. */
  async merge(entries: readonly BucketEntry[]): Promise<void> {
    const news: BucketEntry[] = [];
    for (const entry of entries) {
      checkValues({ ...DEFAULT_BUCKET_PROPERTIES, ...entry.explicit });
      const own = this.entries.get(entry.name);
      const joined = own === undefined ? entry : joinEntries(own, entry);
      const hasRoom = own !== undefined || this.entries.size < LISTED_BUCKETS_MAX;
      if (joined !== own && hasRoom) news.push(joined);
    }
    if (news.length > 0) await this.write(news);
  }

  /** Damage took what was written down; what is known by now, from others as well, is all that there is. Settles when it is on disk. */
  async rewrite(): Promise<void> {
    if (this.entries.size > 0) await this.write(this.all());
    this.isIncomplete = false;
  }

  /** Visible at once; taken back where the disk refuses it. */
  private async write(entries: readonly BucketEntry[]): Promise<void> {
    const batch = new WriteBatch();
    for (const entry of entries) batch.put(systemKey(KEY_PREFIX + entry.name), encodeEntry(entry));
    const durable = this.store.apply(batch);
    const before = entries.map(({ name }) => this.entries.get(name));
    for (const entry of entries) this.keep(entry);
    this.onChange();
    try {
      await durable;
    } catch (thrown) {
      entries.forEach((entry, i) => this.restore(entry, before[i]));
      this.onChange();
      throw thrown;
    }
  }

  private restore(entry: BucketEntry, before: BucketEntry | undefined): void {
    if (this.entries.get(entry.name) !== entry) return;
    this.drop(entry.name);
    if (before !== undefined) this.keep(before);
  }
}

function makeBucket(name: string, explicit: Partial<BucketProperties>, isListed: boolean): Bucket {
  const properties = { ...DEFAULT_BUCKET_PROPERTIES, ...explicit };
  return { name, prefix: bucketPrefix(name), properties, explicit, isListed };
}

function decodeStoredEntry(name: string, value: Uint8Array): BucketEntry {
  try {
    const entry = decodeEntry(name, value);
    checkValues({ ...DEFAULT_BUCKET_PROPERTIES, ...entry.explicit });
    return entry;
  } catch (cause) {
    throw new CorruptionError(`Cannot read properties of bucket "${name}"`, "", -1, cause);
  }
}

/** Each by itself: n and the others may have been set by two people who did not know of each other. What is too much for n is clamped where it is used. */
function checkValues(properties: BucketProperties): void {
  checkInteger("n", properties.n, 1, N_MAX);
  checkProperties({ ...properties, n: N_MAX });
}

/** Throws `bad-property` for values that no bucket can have. */
export function checkProperties(properties: BucketProperties): void {
  checkInteger("n", properties.n, 1, N_MAX);
  checkInteger("siblingsMax", properties.siblingsMax, 1, SIBLINGS_MAX_MAX);
  checkInteger("valueBytesMax", properties.valueBytesMax, 1, VALUE_BYTES_MAX_MAX);
  checkInteger("ttl", properties.ttl, 0, TTL_MAX_SECONDS);
  checkWord("conflicts", properties.conflicts, ["siblings", "lww"]);
  checkWord("blindPut", properties.blindPut, ["supersede", "sibling"]);
  if (typeof properties.strict !== "boolean") throw badProperty("strict", "true or false");
  try {
    checkDefaultConsistency(properties.consistency, properties.n, properties.strict);
  } catch (thrown) {
    if (!(thrown instanceof HutchError)) throw thrown;
    throw badProperty("consistency", "a consistency that n allows", thrown);
  }
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw badProperty(name, `an integer in ${min}..${max}`);
}

function checkWord(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw badProperty(name, allowed.join(" or "));
}

function badProperty(name: string, expected: string, cause?: unknown): HutchError {
  return new HutchError("bad-property", `Cannot set bucket property "${name}": want ${expected}`, {
    cause,
    data: { property: name },
  });
}
