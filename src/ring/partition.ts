/**
 * Where a key lives: its partition and its internal key (D1, D12).
 *
 *   internal key = partition u16 big-endian | bucket | 0x00 | key
 *
 * So a partition is one contiguous range of the store, and a bucket is one contiguous range of each partition. No bucket name has a byte
 * below 0x2d, so 0x00 ends it without doubt and the marks of system entries (0x01, 0x02) cannot collide with it.
 */
import { assert } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { partitionOf, tokenOf } from "./token.ts";

export const PARTITION_COUNT_MIN = 16;
export const PARTITION_COUNT_MAX = 65_536;
const PARTITION_BYTES = 2;
const BUCKET_NAME_BYTES_MAX = 63;

/** log2 of a partition count. */
export function partitionBitsOf(partitionCount: number): number {
  const bits = Math.log2(partitionCount);
  assert(
    Number.isInteger(bits) &&
      partitionCount >= PARTITION_COUNT_MIN &&
      partitionCount <= PARTITION_COUNT_MAX,
    "Q is a power of two in 16..65536",
  );
  return bits;
}

/** The bytes between partition and key in every internal key of a bucket. */
export function bucketPrefix(bucket: string): Uint8Array {
  return utf8(`${bucket}\0`);
}

/** Bucket and key, hashed once. */
export class KeyAddress {
  readonly partition: number;
  readonly internalKey: Uint8Array;
  /** Two words that identify bucket and key in session tokens. */
  readonly hashLow: number;
  readonly hashHigh: number;

  constructor(partition: number, internalKey: Uint8Array, hashLow: number, hashHigh: number) {
    this.partition = partition;
    this.internalKey = internalKey;
    this.hashLow = hashLow;
    this.hashHigh = hashHigh;
  }

  /** One word that identifies bucket and key in context tokens. */
  get fingerprint(): number {
    return this.hashLow;
  }
}

/** @param prefix `bucketPrefix` of the bucket */
export function addressOf(prefix: Uint8Array, key: Uint8Array, partitionBits: number): KeyAddress {
  const internalKey = new Uint8Array(PARTITION_BYTES + prefix.length + key.length);
  let at = PARTITION_BYTES;
  for (let i = 0; i < prefix.length; i++) internalKey[at++] = prefix[i]!;
  for (let i = 0; i < key.length; i++) internalKey[at++] = key[i]!;
  const token = tokenOf(internalKey, PARTITION_BYTES, at);
  const partition = partitionOf(token, partitionBits);
  internalKey[0] = partition >>> 8;
  internalKey[1] = partition;
  return new KeyAddress(partition, internalKey, token[2]!, token[3]!);
}

/** The address of a key that came from another node; `undefined` where its partition is not the one that its hash says. The array is kept. */
export function addressOfInternalKey(
  internalKey: Uint8Array,
  partitionBits: number,
): KeyAddress | undefined {
  const token = tokenOf(internalKey, PARTITION_BYTES, internalKey.length);
  const partition = partitionOf(token, partitionBits);
  if (internalKey[0] !== partition >>> 8 || internalKey[1] !== (partition & 0xff)) return undefined;
  return new KeyAddress(partition, internalKey, token[2]!, token[3]!);
}

/** The bucket's name in an internal key, "" where there is none. */
export function bucketNameOf(internalKey: Uint8Array): string {
  const end = internalKey.indexOf(0, PARTITION_BYTES);
  if (end < 0 || end - PARTITION_BYTES > BUCKET_NAME_BYTES_MAX) return "";
  let name = "";
  for (let at = PARTITION_BYTES; at < end; at++) name += String.fromCharCode(internalKey[at]!);
  return name;
}

/** The start of everything that `partition` holds of a bucket, then `key`. */
export function internalKeyOf(partition: number, prefix: Uint8Array, key: Uint8Array): Uint8Array {
  const internalKey = new Uint8Array(PARTITION_BYTES + prefix.length + key.length);
  internalKey[0] = partition >>> 8;
  internalKey[1] = partition;
  internalKey.set(prefix, PARTITION_BYTES);
  internalKey.set(key, PARTITION_BYTES + prefix.length);
  return internalKey;
}

/** Length of what stands before the key in an internal key of a bucket with this prefix. */
export function internalPrefixBytes(prefix: Uint8Array): number {
  return PARTITION_BYTES + prefix.length;
}
