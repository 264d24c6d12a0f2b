/**
 * What this node's own store says to a scan: one page of records in key order, bounded in keys and bytes, durable when it is answered.
 *
 * The page is from one snapshot; the asker goes on behind its last key with another. Opening costs about a seek per partition, so pages should
 * not be small where many are wanted.
 */
import { type Clock } from "../ports/clock.ts";
import { bucketPrefix } from "../ring/partition.ts";
import { BucketScan } from "./bucket-scan.ts";
import { CHUNK_KEYS, type KeyRange } from "./key-scan.ts";
import { PartitionScan } from "./partition-scan.ts";
import { PartitionSet } from "./partition-set.ts";
import type { ScanMessage, ScanReply, ScannedEntry } from "./peer-messages.ts";
import type { ReplicaStore } from "./replica-store.ts";

/** Whatever is asked for, a page holds no more; beyond the bytes, one entry of any size. */
export const PAGE_KEYS_MAX = 4096;
export const PAGE_BYTES_MAX = 1024 * 1024;

export interface ScanAnswerOptions {
  readonly store: ReplicaStore;
  readonly clock: Clock;
  readonly partitionCount: number;
}

/** Throws `CorruptionError` where an entry cannot be read; the table is then taken out of service, and what it lost is told from then on. */
export async function answerScan(
  options: ScanAnswerOptions,
  message: ScanMessage,
): Promise<ScanReply> {
  let scan: BucketScan | PartitionScan | undefined;
  try {
    scan = openScan(options, message);
    return await answerFrom(scan, options, message);
  } catch (thrown) {
    options.store.reportDamage(thrown);
    throw thrown;
  } finally {
    scan?.close();
  }
}

function openScan(
  { store, partitionCount }: ScanAnswerOptions,
  { bucket, partitions, lower, upper, isReverse }: ScanMessage,
): BucketScan | PartitionScan {
  const set = new PartitionSet(partitions);
  const range: KeyRange = { lower, upper: upper.length === 0 ? undefined : upper };
  if (bucket !== "")
    return new BucketScan(store, bucketPrefix(bucket), partitionCount, range, isReverse, set);
  const known = set.members().filter((partition) => partition < partitionCount);
  return new PartitionScan(store, known, range, isReverse);
}

async function answerFrom(
  scan: BucketScan | PartitionScan,
  { store, clock }: ScanAnswerOptions,
  message: ScanMessage,
): Promise<ScanReply> {
  const keysMax = Math.min(message.keysMax, PAGE_KEYS_MAX);
  const bytesMax = Math.min(message.bytesMax, PAGE_BYTES_MAX);
  const entries: ScannedEntry[] = [];
  let bytes = 0;
  let sequenceMax = 0;
  for (; scan.isValid; scan.next()) {
    const entryBytes = scan.key.length + scan.value.length;
    const isFull = entries.length >= keysMax || bytes + entryBytes > bytesMax;
    if (isFull && entries.length > 0) break;
    entries.push({ key: scan.key.slice(), record: scan.value.slice() });
    bytes += entryBytes;
    if (scan.sequence > sequenceMax) sequenceMax = scan.sequence;
    if (entries.length % CHUNK_KEYS === 0) await clock.sleep(0);
  }
  const { isValid: hasMore, isIncomplete } = scan;
  const durable = store.whenDurable(sequenceMax);
  if (durable !== undefined) await durable;
  return { kind: "scan", entries, hasMore, isIncomplete };
}
