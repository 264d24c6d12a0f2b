/**
 * How far the node's clock may have gone, on disk (R11, R20): no tick above it is given to a write whose batch does not raise it, so the next life of the
 * node starts above every dot of this one.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { CorruptionError } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";
import { WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, asCorruption, systemKey } from "./replica-store.ts";

const CLOCK_KEY = systemKey("hlc-ceiling");
const VERSION = 1;
/** How far it is set ahead: about half a second of ticks. Smaller: more often stored; larger: a restart runs further ahead. */
const LEASE = 1_000_000;

export class ClockCeiling {
  stored: number;

  constructor(store: ReplicaStore, logger: Logger) {
    this.stored = readCeiling(store, logger);
  }

  /** Raises it in `batch` where `tick` has passed it. */
  raiseIn(batch: WriteBatch, tick: number): void {
    if (tick <= this.stored) return;
    this.stored = tick + LEASE;
    const writer = new ByteWriter(9);
    writer.u8(VERSION);
    writer.u64(this.stored);
    batch.put(CLOCK_KEY, writer.finish());
  }

  /** Damage has taken it. Settles when it is on disk again. */
  async rewrite(store: ReplicaStore, tick: number): Promise<void> {
    const batch = new WriteBatch();
    this.stored = 0;
    this.raiseIn(batch, Math.max(1, tick));
    await store.apply(batch);
  }

  /** The disk has taken a batch back: what it raised is not there. To store it once more is harmless. */
  takenBack(before: number): void {
    this.stored = Math.min(this.stored, before);
  }
}

/**
 * Where it is lost with a damaged table the clock starts anew: the node has a new incarnation then (R12), so no dot can
 * come again, and a write is stamped above everything that its key holds in any case (R21).
 */
function readCeiling(store: ReplicaStore, logger: Logger): number {
  try {
    const stored = store.get(CLOCK_KEY);
    if (stored === undefined) return 0;
    const reader = new ByteReader(stored.value);
    reader.u8();
    return reader.u64();
  } catch (thrown) {
    const error = asCorruption(thrown);
    if (!(error instanceof CorruptionError)) throw error;
    logger.error("clock_ceiling_lost", { reason: error.message });
    return 0;
  }
}
