/**
 * May a write go on? Back-pressure in one visible place (C17, C18).
 *
 *   stopped                        -> refused: the error that stopped the store
 *   disk below its reserve         -> puts refused with disk-full; deletes go on until half of the reserve is left
 *   level 0 at its stop            -> refused: overloaded
 *   memtables waiting for a flush  -> wait for the flush, at most `WAITING_WRITERS_MAX` at a time, then overloaded
 *   level 0 at its slowdown        -> wait 1 to 10 ms, longer as it fills
 */
import { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import { FROZEN_MEMTABLES_MAX } from "./options.ts";
import type { StoreOptions } from "./options.ts";

/** Writers that may wait for a flush; one more is refused. */
export const WAITING_WRITERS_MAX = 4096;
const DELAY_MS_MAX = 10;

export interface Pressure {
  readonly level0Count: number;
  readonly frozenCount: number;
  readonly isMemtableFull: boolean;
  /** Of the file system; refreshed by the space guard. */
  readonly space: "ok" | "low" | "exhausted";
}

export class Admission {
  private readonly clock: Clock;
  private readonly options: StoreOptions;
  private waiting: (() => void)[] = [];
  /** Writes that were made to wait or refused, for the metrics. */
  delayedCount = 0;
  refusedCount = 0;

  constructor(clock: Clock, options: StoreOptions) {
    this.clock = clock;
    this.options = options;
  }

  /** `undefined`: go on at once. A promise: wait, then ask again. Throws when the write cannot be taken. */
  admit(pressure: Pressure, purpose: "put" | "delete"): Promise<void> | undefined {
    if (pressure.space !== "ok") this.refuseFull(pressure, purpose);
    if (pressure.level0Count >= this.options.level0Stop) this.refuse("compaction is behind");
    if (pressure.frozenCount >= FROZEN_MEMTABLES_MAX && pressure.isMemtableFull)
      return this.waitForFlush();
    if (pressure.level0Count >= this.options.level0Slowdown)
      return this.delay(pressure.level0Count);
    return undefined;
  }

  /** A flush ended, or the store stopped: everybody asks again. */
  wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  private waitForFlush(): Promise<void> {
    if (this.waiting.length >= WAITING_WRITERS_MAX) this.refuse("too many writes wait for a flush");
    this.delayedCount++;
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private delay(level0Count: number): Promise<void> {
    const { level0Slowdown, level0Stop } = this.options;
    const fullness = (level0Count - level0Slowdown + 1) / Math.max(1, level0Stop - level0Slowdown);
    this.delayedCount++;
    return this.clock.sleep(Math.max(1, Math.min(DELAY_MS_MAX, DELAY_MS_MAX * fullness)));
  }

  private refuseFull(pressure: Pressure, purpose: "put" | "delete"): void {
    if (purpose === "delete" && pressure.space === "low") return;
    this.refusedCount++;
    throw new HutchError(
      "disk-full",
      "Cannot take the write: the disk is below its reserve, nothing was written",
      {
        retry: "safe",
      },
    );
  }

  private refuse(reason: string): never {
    this.refusedCount++;
    throw new HutchError("overloaded", `Cannot take the write: ${reason}, nothing was written`, {
      retry: "safe",
    });
  }
}
