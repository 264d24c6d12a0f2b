/**
 * Deadlines of many operations with one timer: a timer per request would cost more than the request.
 *
 * `within` settles as its promise does, or rejects at the first look after the deadline; looks are `LOOK_EVERY_MS` apart and happen only
 * while something is waiting. The operation itself goes on: nothing here cancels it.
 *
 * `alarm` is the same without a promise: something to do unless it is called off before.
 */
import type { Clock, Timer } from "../ports/clock.ts";

const LOOK_EVERY_MS = 10;

interface Waiting {
  readonly deadlineMonoMs: number;
  readonly expire: () => void;
}

export class Deadlines {
  private readonly clock: Clock;
  /** Bounded by the operations in flight, which the server limits. */
  private readonly waiting = new Set<Waiting>();
  private timer: Timer | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @param late makes the error that `within` rejects with after `deadlineMonoMs` */
  within<T>(promise: Promise<T>, deadlineMonoMs: number, late: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting = { deadlineMonoMs, expire: () => reject(late()) };
      this.add(waiting);
      promise.then(
        (value) => {
          this.remove(waiting);
          resolve(value);
        },
        (thrown: unknown) => {
          this.remove(waiting);
          reject(thrown);
        },
      );
    });
  }

  /** Runs `expire` at the first look after `deadlineMonoMs`; the function that comes back calls it off. */
  alarm(deadlineMonoMs: number, expire: () => void): () => void {
    const waiting = { deadlineMonoMs, expire };
    this.add(waiting);
    return () => this.remove(waiting);
  }

  private add(waiting: Waiting): void {
    this.waiting.add(waiting);
    this.timer ??= this.clock.after(LOOK_EVERY_MS, () => this.look());
  }

  private remove(waiting: Waiting): void {
    this.waiting.delete(waiting);
  }

  private look(): void {
    this.timer = undefined;
    const nowMs = this.clock.monoMs();
    for (const waiting of this.waiting) {
      if (waiting.deadlineMonoMs > nowMs) continue;
      this.waiting.delete(waiting);
      waiting.expire();
    }
    if (this.waiting.size > 0) this.timer = this.clock.after(LOOK_EVERY_MS, () => this.look());
  }

  /** Nothing more will expire. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.waiting.clear();
  }
}
