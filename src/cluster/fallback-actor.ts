/**
 * The actor under which this node mints for owners that are all down (D6).
 *
 * What a fallback has minted it hands over and forgets, so it must not go on under the same name: a later dot would claim that the forgotten ones
 * are superseded (R12). Its incarnations have the highest bit set, which no incarnation of the node itself reaches, and a new one is taken whenever a hint
 * has gone since the last mint. They come from a lease that is on disk before the first of them is used. Where the lease is lost with a damaged table they go
 * on from the time in seconds, which no lease has reached.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { CorruptionError } from "../base/errors.ts";
import { type Actor, makeActor } from "../causality/actor.ts";
import { HLC_EPOCH_MS } from "../causality/hlc.ts";
import { WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, asCorruption, systemKey } from "./replica-store.ts";

const KEY = systemKey("fallback-incarnation");
const VERSION = 1;
const LEASE = 1024;
const FIRST = 0x80000000;
const LAST = 0xffffffff;

export class FallbackActor {
  private readonly store: ReplicaStore;
  private readonly nodeId: Uint8Array;
  /** Hints that have gone so far. */
  private readonly removals: () => number;
  private readonly nowMs: () => number;
  /** 0 before the first lease. */
  private next = 0;
  private leaseEnd = 0;
  private current: Actor | undefined;
  private removalsAtMint = -1;
  private renewal: Promise<void> | undefined;

  constructor(
    store: ReplicaStore,
    nodeId: Uint8Array,
    nowMs: () => number,
    removals: () => number,
  ) {
    this.store = store;
    this.nodeId = nodeId;
    this.nowMs = nowMs;
    this.removals = removals;
  }

  /** Settles when `take` can be called; `undefined` where it can be now. */
  prepare(): Promise<void> | undefined {
    if (this.next < this.leaseEnd) return undefined;
    this.renewal ??= this.renew().finally(() => (this.renewal = undefined));
    return this.renewal;
  }

  private async renew(): Promise<void> {
    // What an earlier process leased it may have used.
    if (this.next === 0) this.next = this.lastLeaseEnd();
    const end = Math.min(this.next + LEASE, LAST);
    const writer = new ByteWriter(9);
    writer.u8(VERSION);
    writer.u64(end);
    await this.store.apply(new WriteBatch().put(KEY, writer.finish()));
    this.leaseEnd = end;
  }

  /** Damage has taken the lease: names go on from where they are, under a new one. Settles when that is on disk. */
  async leaseAnew(): Promise<void> {
    if (this.next === 0) this.next = this.afterLoss();
    this.leaseEnd = 0;
    await this.prepare();
  }

  private lastLeaseEnd(): number {
    try {
      const stored = this.store.get(KEY);
      return stored === undefined ? FIRST : readLease(stored.value);
    } catch (thrown) {
      const error = asCorruption(thrown);
      if (!(error instanceof CorruptionError)) throw error;
      return this.afterLoss();
    }
  }

  /** No lease has reached as far as the time in seconds. */
  private afterLoss(): number {
    return FIRST + Math.floor((this.nowMs() - HLC_EPOCH_MS) / 1000);
  }

  /** Requires `prepare`. */
  take(): Actor {
    const removals = this.removals();
    if (this.current === undefined || removals !== this.removalsAtMint) {
      this.current = makeActor(this.nodeId, this.next++);
      this.removalsAtMint = removals;
    }
    return this.current;
  }
}

function readLease(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes);
  reader.u8();
  return reader.u64();
}
