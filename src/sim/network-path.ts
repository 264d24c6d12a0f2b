/**
 * The way from one machine to another, in one direction: how long it takes and what goes wrong on it.
 *
 * Every kind of fault draws from a stream of its own, once for each datagram or message while it is switched on, whatever
 * the other faults have decided: taking one fault away does not shift the others (FAULTS.md 2.8).
 */
import type { Prng } from "../base/prng.ts";

const LATENCY_US_MIN = 100;
const LATENCY_US_MAX = 500;
/** How far a reordered datagram falls behind. */
const REORDER_US_MAX = 20_000;
const DUPLICATE_US_MAX = 50_000;
/** What a lost segment costs a link: it is sent again. */
const RETRANSMIT_US = 200_000;
/** A datagram that would wait longer for a narrow path is dropped. */
const QUEUE_US_MAX = 1_000_000;

/** Chances are 0..1 for each datagram; links, which are reliable, only get later. */
export interface PathFaults {
  readonly lossChance?: number;
  /** Added to each. */
  readonly delayMs?: number;
  /** Up to this is added to each. */
  readonly jitterMs?: number;
  readonly duplicateChance?: number;
  readonly reorderChance?: number;
  /** One byte of it is changed. Datagrams only: links have checksums. */
  readonly corruptChance?: number;
  /** What passes in a second, datagrams and links together; 0 or left out for no bound. */
  readonly bytesPerSecond?: number;
}

/** What becomes of one datagram: one entry for each copy that arrives. */
export interface DatagramFate {
  readonly delaysUs: readonly number[];
  readonly isCorrupt: boolean;
}

export class SimPath {
  readonly from: string;
  readonly to: string;
  faults: PathFaults = {};
  /** How many faults cut this path just now. */
  blockCount = 0;
  /** When a narrow path has let through what waits for it. */
  private freeUs = 0;
  private readonly streams = new Map<string, Prng>();
  private readonly prng: Prng;

  constructor(prng: Prng, from: string, to: string) {
    this.prng = prng;
    this.from = from;
    this.to = to;
  }

  get isBlocked(): boolean {
    return this.blockCount > 0;
  }

  datagramFate(): DatagramFate {
    const {
      lossChance = 0,
      duplicateChance = 0,
      reorderChance = 0,
      corruptChance = 0,
    } = this.faults;
    const delayUs =
      this.latencyUs("latency") +
      this.extraUs("") +
      this.sometimes("reorder", reorderChance, REORDER_US_MAX);
    const copyUs = this.sometimes("duplicate", duplicateChance, DUPLICATE_US_MAX);
    const isCorrupt = this.happens("corrupt", corruptChance);
    const isLost = this.happens("loss", lossChance);
    if (isLost) return { delaysUs: [], isCorrupt };
    return { delaysUs: copyUs > 0 ? [delayUs, delayUs + copyUs] : [delayUs], isCorrupt };
  }

  /** How long one message of a link takes. */
  messageDelayUs(): number {
    const isLost = this.happens("link-loss", this.faults.lossChance ?? 0);
    return this.latencyUs("link-latency") + this.extraUs("link-") + (isLost ? RETRANSMIT_US : 0);
  }

  /** How long a message waits for those before it, and takes itself, where the path is narrow. */
  transferUs(nowUs: number, bytes: number): number {
    const { bytesPerSecond = 0 } = this.faults;
    const ownUs = bytesPerSecond > 0 ? Math.ceil((bytes * 1_000_000) / bytesPerSecond) : 0;
    this.freeUs = bytesPerSecond > 0 ? Math.max(this.freeUs, nowUs) + ownUs : nowUs;
    return this.freeUs - nowUs;
  }

  /** Has a narrow path so much to do that it drops datagrams? */
  isFull(nowUs: number): boolean {
    return (this.faults.bytesPerSecond ?? 0) > 0 && this.freeUs > nowUs + QUEUE_US_MAX;
  }

  /** Changes one byte. */
  corrupt(bytes: Uint8Array): void {
    const prng = this.stream("corrupt-byte");
    const index = prng.below(Math.max(1, bytes.length));
    const mask = prng.between(1, 255);
    if (bytes.length > 0) bytes[index]! ^= mask;
  }

  /** For choices that are not faults of their own. */
  stream(name: string): Prng {
    let stream = this.streams.get(name);
    if (stream === undefined) {
      stream = this.prng.fork(name);
      this.streams.set(name, stream);
    }
    return stream;
  }

  private latencyUs(name: string): number {
    return this.stream(name).between(LATENCY_US_MIN, LATENCY_US_MAX);
  }

  private extraUs(prefix: string): number {
    const { delayMs = 0, jitterMs = 0 } = this.faults;
    const jitterUs = jitterMs > 0 ? this.stream(`${prefix}jitter`).float() * jitterMs * 1000 : 0;
    return Math.round(delayMs * 1000 + jitterUs);
  }

  private happens(name: string, chance: number): boolean {
    return chance > 0 && this.stream(name).chance(chance);
  }

  /** 1..maxUs with the given chance, else 0. Draws twice whatever comes out. */
  private sometimes(name: string, chance: number, maxUs: number): number {
    if (chance <= 0) return 0;
    const prng = this.stream(name);
    const isSo = prng.chance(chance);
    const amountUs = prng.between(1, maxUs);
    return isSo ? amountUs : 0;
  }
}
