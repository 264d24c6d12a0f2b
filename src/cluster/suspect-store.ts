/**
 * The side table of states that nobody could vouch for (R42): kept for 30 days, shown to nobody but the operator, who may accept them.
 *
 *   key     system key `suspect/` + internal key       value   u8 1 | since, Unix ms u64 | node id 8, who brought it | record
 *
 * One entry for each key; a second state is joined with the first. At `COUNT_MAX` or `BYTES_MAX` nothing more is taken: it stays with whoever brought it.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes, concatBytes, prefixSuccessor } from "../base/bytes.ts";
import { CorruptionError } from "../base/errors.ts";
import { readNode } from "../causality/actor.ts";
import { type Record, encodeRecord } from "../causality/record.ts";
import { merge } from "../causality/siblings.ts";
import type { NodeId } from "../gossip/member.ts";
import { type EntryIterator, VALUE_BYTES_MAX, WriteBatch } from "../storage/store.ts";
import { writeNodeId } from "./peer-codec-fields.ts";
import { type ReplicaStore, asCorruption, decodeStored, systemKey } from "./replica-store.ts";

export const SUSPECTS_COUNT_MAX = 10_000;
export const SUSPECTS_BYTES_MAX = 64 * 1024 * 1024;
export const SUSPECTS_KEPT_MS = 30 * 86_400_000;
const VERSION = 1;
const RANGE_START = systemKey("suspect/");
const RANGE_END = prefixSuccessor(RANGE_START)!; // a system key has bytes below 0xff

export interface SuspectEntry {
  readonly internalKey: Uint8Array;
  /** Unix ms. */
  readonly sinceMs: number;
  readonly broughtBy: NodeId;
  readonly record: Record;
}

export class SuspectStore {
  private readonly store: ReplicaStore;
  private count = 0;
  private bytes = 0;

  constructor(store: ReplicaStore) {
    this.store = store;
    this.recount();
  }

  get held(): { readonly count: number; readonly bytes: number } {
    return { count: this.count, bytes: this.bytes };
  }

  private recount(): void {
    let count = 0;
    let bytes = 0;
    this.each((_, value, key) => {
      count++;
      bytes += key.length + value.length;
    });
    this.count = count;
    this.bytes = bytes;
  }

  /** False where there is no room, and nothing added. The caller applies the batch before its next `await`. */
  addTo(batch: WriteBatch, { internalKey, sinceMs, broughtBy, record }: SuspectEntry): boolean {
    const before = this.get(internalKey);
    const joined = before === undefined ? record : merge(before.record, record);
    const value = encode(before?.sinceMs ?? sinceMs, broughtBy, joined);
    const bytes = this.bytes + value.length + keyOf(internalKey).length;
    const isFull = bytes > SUSPECTS_BYTES_MAX || this.count >= SUSPECTS_COUNT_MAX;
    if ((before === undefined && isFull) || value.length > VALUE_BYTES_MAX) return false;
    batch.put(keyOf(internalKey), value);
    // A little too much after a batch that was taken back, until the next sweep counts again.
    if (before === undefined) this.count++;
    this.bytes = bytes;
    return true;
  }

  /** `undefined` for none, and for one that cannot be read any more. */
  get(internalKey: Uint8Array): SuspectEntry | undefined {
    try {
      const stored = this.store.get(keyOf(internalKey));
      return stored && decode(internalKey, stored.value.slice());
    } catch (thrown) {
      if (thrown instanceof CorruptionError) return undefined;
      throw thrown;
    }
  }

  async remove(internalKey: Uint8Array): Promise<void> {
    if (this.store.get(keyOf(internalKey)) === undefined) return;
    await this.store.apply(new WriteBatch().delete(keyOf(internalKey)));
    this.recount();
  }

  /** The first entries behind key `after`, in key order. */
  list(after: Uint8Array | undefined, countMax: number): SuspectEntry[] {
    const entries: SuspectEntry[] = [];
    this.each((internalKey, value) => {
      if (after !== undefined && compareBytes(internalKey, after) <= 0) return true;
      if (entries.length >= countMax) return false;
      entries.push(decode(internalKey, value.slice()));
      return true;
    });
    return entries;
  }

  /** Drops what has been kept for long enough. */
  async sweep(nowMs: number): Promise<number> {
    const batch = new WriteBatch();
    this.each((internalKey, value) => {
      if (decode(internalKey, value).sinceMs < nowMs - SUSPECTS_KEPT_MS)
        batch.delete(keyOf(internalKey));
    });
    if (batch.count > 0) await this.store.apply(batch);
    this.recount();
    return batch.count;
  }

  /** Until `visit` says false. Damage ends it: what is lost of the table is lost. */
  private each(
    visit: (internalKey: Uint8Array, value: Uint8Array, key: Uint8Array) => boolean | void,
  ): void {
    const snapshot = this.store.snapshot();
    try {
      visitAll(snapshot.iterator(), visit);
    } catch (thrown) {
      const error = asCorruption(thrown);
      if (!(error instanceof CorruptionError)) throw error;
      this.store.reportDamage(error);
    } finally {
      snapshot.close();
    }
  }
}

function visitAll(
  iterator: EntryIterator,
  visit: (internalKey: Uint8Array, value: Uint8Array, key: Uint8Array) => boolean | void,
): void {
  for (iterator.seek(RANGE_START); iterator.isValid; iterator.next()) {
    const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = iterator;
    const key = keyBytes.slice(keyStart, keyEnd);
    if (compareBytes(key, RANGE_END) >= 0) return;
    const value = valueBytes.subarray(valueStart, valueEnd);
    if (visit(key.subarray(RANGE_START.length), value, key) === false) return;
  }
}

function keyOf(internalKey: Uint8Array): Uint8Array {
  return concatBytes(RANGE_START, internalKey);
}

function encode(sinceMs: number, broughtBy: NodeId, record: Record): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(VERSION);
  writer.u64(sinceMs);
  writeNodeId(writer, broughtBy);
  encodeRecord(writer, record);
  return writer.finish();
}

function decode(internalKey: Uint8Array, value: Uint8Array): SuspectEntry {
  try {
    const reader = new ByteReader(value);
    reader.u8();
    const sinceMs = reader.u64();
    const broughtBy = readNode(reader);
    return { internalKey, sinceMs, broughtBy, record: decodeStored(reader.raw(reader.remaining)) };
  } catch (thrown) {
    throw asCorruption(thrown);
  }
}
