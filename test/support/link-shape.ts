/**
 * What a bad link does to what passes it, in one direction: for relays in user space, which stand in for a kernel without `netem`.
 *
 * A datagram has *fates*: none when it is lost, two when it is doubled, each a delay. A stream keeps its order and loses nothing; what a datagram
 * loses is sent again there, so a loss shows as a delay of one retransmission.
 */
import type { Prng } from "../../src/base/prng.ts";

export interface LinkShape {
  readonly delayMs?: number;
  /** Up to so much more, drawn for each. */
  readonly jitterMs?: number;
  readonly lossChance?: number;
  readonly duplicateChance?: number;
  /** Of being overtaken: held back by `REORDER_MS` more. */
  readonly reorderChance?: number;
  /** Bits in a second, of everything that passes; 0 or nothing for no limit. */
  readonly bitsPerSecond?: number;
}

const REORDER_MS = 20;
/** What TCP waits at least before it sends again. */
const RETRANSMIT_MS = 200;
/** What waits longer than this for its turn is dropped, as by a full queue of a router. */
const QUEUE_MS_MAX = 2000;

/** One direction of one link; `undefined` as its shape is a perfect one. */
export class ShapedLink {
  private readonly prng: Prng;
  private shape: LinkShape | undefined;
  /** When the last of what was sent has left, under a limit of bits. */
  private freeMs = 0;
  /** Before this nothing of a stream arrives, or it would overtake. */
  private streamMs = 0;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  get isPerfect(): boolean {
    return this.shape === undefined;
  }

  become(shape: LinkShape | undefined): void {
    this.shape = shape;
    this.freeMs = 0;
  }

  /** After how many milliseconds each copy of a datagram, or a packet, arrives. */
  fatesOf(byteCount: number, nowMs: number): readonly number[] {
    const { shape, prng } = this;
    if (shape === undefined) return [0];
    const { lossChance = 0, duplicateChance = 0, reorderChance = 0 } = shape;
    if (prng.chance(lossChance)) return [];
    const queuedMs = this.queue(byteCount, nowMs);
    if (queuedMs === undefined) return [];
    const copies = prng.chance(duplicateChance) ? 2 : 1;
    return Array.from(
      { length: copies },
      () => queuedMs + this.travelMs(shape) + (prng.chance(reorderChance) ? REORDER_MS : 0),
    );
  }

  /** When a piece of a stream that is sent at `nowMs` arrives; never before the piece ahead of it. */
  arrivalOf(byteCount: number, nowMs: number): number {
    const { shape, prng } = this;
    // What is ahead was sent over a worse link, perhaps.
    if (shape === undefined) return Math.max(this.streamMs, nowMs);
    const againMs = prng.chance(shape.lossChance ?? 0) ? RETRANSMIT_MS : 0;
    const queuedMs = this.queue(byteCount, nowMs) ?? QUEUE_MS_MAX;
    const dueMs = nowMs + queuedMs + this.travelMs(shape) + againMs;
    this.streamMs = Math.max(this.streamMs, dueMs);
    return this.streamMs;
  }

  private travelMs({ delayMs = 0, jitterMs = 0 }: LinkShape): number {
    return delayMs + this.prng.float() * jitterMs;
  }

  /** How long it waits for what was sent before it, and is sent itself; `undefined` where the queue is full. */
  private queue(byteCount: number, nowMs: number): number | undefined {
    const { bitsPerSecond = 0 } = this.shape ?? {};
    if (bitsPerSecond === 0) return 0;
    const leavesMs = Math.max(this.freeMs, nowMs) + (byteCount * 8 * 1000) / bitsPerSecond;
    if (leavesMs - nowMs > QUEUE_MS_MAX) return undefined;
    this.freeMs = leavesMs;
    return leavesMs - nowMs;
  }
}
