/**
 * When what waits on links is sent: everything that came up in one turn goes together, at its end. A link that is backed up is looked at again a
 * little later, and by then more has gathered for the same batch.
 */
import type { Clock, Timer } from "../ports/clock.ts";

/** How often a link that is backed up is looked at. */
const BACKED_UP_LOOK_MS = 1;
/** A link with more than this in its buffers is backed up: what waits here can still be put in order of priority. */
export const BACKED_UP_BYTES = 256 * 1024;
/** Batches are filled up to here; a longer frame travels alone. */
export const BATCH_BYTES_MAX = 1024 * 1024;

export interface Flushable {
  /** Set while it is in the list; nobody else touches it. */
  isDirty: boolean;
  flush(): void;
}

export class FlushTurn {
  private readonly clock: Clock;
  private readonly schedule: (run: () => void) => void;
  private dirty: Flushable[] = [];
  private isScheduled = false;
  private backedUp = new Set<Flushable>();
  private timer: Timer | undefined;
  private readonly run = (): void => this.flushAll();

  /** @param schedule calls back once, later in this turn or at the start of the next */
  constructor(clock: Clock, schedule: (run: () => void) => void) {
    this.clock = clock;
    this.schedule = schedule;
  }

  /** Flushes `flushable` at the end of this turn. */
  add(flushable: Flushable): void {
    if (flushable.isDirty) return;
    flushable.isDirty = true;
    this.dirty.push(flushable);
    if (this.isScheduled) return;
    this.isScheduled = true;
    this.schedule(this.run);
  }

  /** Flushes it when its link has had time to drain. */
  addLater(flushable: Flushable): void {
    this.backedUp.add(flushable);
    this.timer ??= this.clock.after(BACKED_UP_LOOK_MS, () => this.lookAgain());
  }

  private flushAll(): void {
    this.isScheduled = false;
    const { dirty } = this;
    this.dirty = [];
    for (const flushable of dirty) {
      flushable.isDirty = false;
      flushable.flush();
    }
  }

  private lookAgain(): void {
    this.timer = undefined;
    const { backedUp } = this;
    this.backedUp = new Set();
    for (const flushable of backedUp) this.add(flushable);
  }

  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.backedUp = new Set();
    this.dirty = [];
  }
}
