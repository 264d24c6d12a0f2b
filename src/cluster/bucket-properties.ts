/**
 * The properties of every bucket, and which buckets there are.
 *
 * A bucket exists for everybody at once with the defaults. It is written down, with what was set explicitly, when properties are set or at
 * the first write into it (in that write's own batch), so that a list of buckets is complete after a restart.
 *
 *   key     system key `bucket/<name>`        value   u8 1 | JSON of the explicitly set properties
 */
import { compareBytes, concatBytes, prefixSuccessor, utf8, utf8Text } from "../base/bytes.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { BucketProperties } from "../quorum/operation.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../quorum/operation.ts";
import { checkDefaultConsistency } from "../quorum/parse-consistency.ts";
import { bucketPrefix } from "../ring/partition.ts";
import { type EntryIterator, type LostRange, WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const KEY_PREFIX = "bucket/";
const VERSION = 1;
/** Buckets that are written down; later ones work, with the defaults, and are not listed. */
export const LISTED_BUCKETS_MAX = 10_000;
/** Buckets kept in memory that nobody has written to. */
const UNLISTED_BUCKETS_MAX = 10_000;

const N_MAX = 16;
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
  private readonly store: ReplicaStore;
  private readonly listed = new Map<string, Bucket>();
  private readonly unlisted = new Map<string, Bucket>();

  /** Some of what was written down cannot be read: a bucket that is not listed may have had properties. */
  private readonly isIncomplete: boolean;

  constructor(store: ReplicaStore) {
    this.store = store;
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
        this.listed.set(name, makeBucket(name, decodeExplicit(name, value), true));
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
    const bucket = makeBucket(name, {}, false);
    this.unlisted.set(name, bucket);
    return bucket;
  }

  names(): readonly string[] {
    return [...this.listed.keys()].sort();
  }

  /** Adds the bucket's own entry to the batch of its first write. Undo with `forget` if the batch is taken back. */
  listIn(batch: WriteBatch, bucket: Bucket): void {
    if (this.listed.size >= LISTED_BUCKETS_MAX) return;
    batch.put(systemKey(KEY_PREFIX + bucket.name), encodeExplicit(bucket.explicit));
    this.unlisted.delete(bucket.name);
    this.listed.set(bucket.name, { ...bucket, isListed: true });
  }

  forget(bucket: Bucket): void {
    // Properties that were set since then are in a batch of their own.
    if (this.listed.get(bucket.name)?.explicit === bucket.explicit) this.listed.delete(bucket.name);
  }

  async set(
    name: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties> {
    const before = this.get(name);
    const explicit = mode === "put" ? properties : { ...before.explicit, ...properties };
    checkProperties({ ...DEFAULT_BUCKET_PROPERTIES, ...explicit });
    const after = makeBucket(name, explicit, true);
    const durable = this.store.apply(
      new WriteBatch().put(systemKey(KEY_PREFIX + name), encodeExplicit(explicit)),
    );
    this.listed.set(name, after);
    await durable.catch((thrown: unknown) => {
      if (this.listed.get(name) === after) this.restore(before);
      throw thrown;
    });
    return after.properties;
  }

  private restore(before: Bucket): void {
    if (before.isListed) this.listed.set(before.name, before);
    else this.listed.delete(before.name);
  }

  async delete(name: string): Promise<void> {
    this.listed.delete(name);
    this.unlisted.delete(name);
    await this.store.apply(new WriteBatch().delete(systemKey(KEY_PREFIX + name)));
  }
}

function makeBucket(name: string, explicit: Partial<BucketProperties>, isListed: boolean): Bucket {
  const properties = { ...DEFAULT_BUCKET_PROPERTIES, ...explicit };
  return { name, prefix: bucketPrefix(name), properties, explicit, isListed };
}

function encodeExplicit(explicit: Partial<BucketProperties>): Uint8Array {
  return concatBytes(new Uint8Array([VERSION]), utf8(JSON.stringify(explicit)));
}

function decodeExplicit(name: string, value: Uint8Array): Partial<BucketProperties> {
  try {
    if (value[0] !== VERSION) throw new RangeError(`version ${value[0]}`);
    // Written by `encodeExplicit` and protected by the store's checksums.
    const explicit = JSON.parse(utf8Text(value.subarray(1)) ?? "") as Partial<BucketProperties>;
    checkProperties({ ...DEFAULT_BUCKET_PROPERTIES, ...explicit });
    return explicit;
  } catch (cause) {
    throw new CorruptionError(`Cannot read properties of bucket "${name}"`, "", -1, cause);
  }
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
