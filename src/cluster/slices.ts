/** Cuts work on many entries into slices of about a millisecond, with a rest after each (R34), so that nobody else waits long for the event loop. */
import type { Clock } from "../ports/clock.ts";
import type { Rests } from "./repair-pace.ts";

/** Entries and bytes that are looked at in one turn. */
const SLICE_KEYS_MAX = 512;
const SLICE_BYTES_MAX = 512 * 1024;
/** And time, asked for once in so many entries. */
const SLICE_MS_MAX = 1.5;
const KEYS_PER_LOOK = 32;

export class Slices {
  private readonly clock: Clock;
  private readonly pace: Rests;
  private keys = 0;
  private bytes = 0;
  private startMs: number;

  constructor(clock: Clock, pace: Rests) {
    this.clock = clock;
    this.pace = pace;
    this.startMs = clock.monoMs();
  }

  /** One entry more is done. A promise where the slice is full: to be awaited before the next. */
  add(entryBytes: number): Promise<void> | undefined {
    this.keys++;
    this.bytes += entryBytes;
    const isFull = this.keys >= SLICE_KEYS_MAX || this.bytes >= SLICE_BYTES_MAX;
    if (!isFull && (this.keys % KEYS_PER_LOOK !== 0 || this.passedMs < SLICE_MS_MAX))
      return undefined;
    return this.rest();
  }

  /** Ends the slice; what was done since is accounted for. */
  async rest(): Promise<void> {
    const workMs = this.passedMs;
    this.keys = 0;
    this.bytes = 0;
    await this.pace.rest(workMs, 0);
    this.startMs = this.clock.monoMs();
  }

  private get passedMs(): number {
    return this.clock.monoMs() - this.startMs;
  }
}
