/**
 * One log line for each single-key operation that took longer than it should, with the reason: which of its waits was how long, and for whom.
 *
 *   slow_request operation=write ms=1240 reason=replicas node=n3 replicasMs=1180 syncMs=30 key=5f1c... requestId=...
 *
 *   admission   back-pressure of the own storage           replicas   answers of other nodes; `node` is whose was waited for
 *   forward     another node coordinates                   sync       the own disk
 *   repair      lagging copies are mended before a read    local      nothing of these: this node was busy, or reading its disk
 *
 * Keys are hashed (FAULTS.md Q21). At most `LINES_PER_SECOND` lines; the next one says how many there were besides. Waits shorter than an
 * eighth of the threshold are not kept, so that a request which is quick costs nothing here.
 */
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { WaitPhase } from "../quorum/operation.ts";
import type { Exchange } from "./exchange.ts";

const LINES_PER_SECOND = 5;
const WINDOW_MS = 1000;
const TELLING_SHARE = 1 / 8;

export interface SlowRequestOptions {
  /** Milliseconds; 0 for none. */
  readonly slowRequestMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What stands for a key where keys must not be told. */
  readonly keyHash: (bucket: string, key: Uint8Array) => string;
}

/** Milliseconds by phase, and whose answer the longest wait was for. */
export class Waits {
  readonly byPhase = new Map<WaitPhase, number>();
  longestMs = 0;
  reason: WaitPhase | "local" = "local";
  node = "";

  add(phase: WaitPhase, durationMs: number, node: string): void {
    this.byPhase.set(phase, (this.byPhase.get(phase) ?? 0) + durationMs);
    if (durationMs <= this.longestMs) return;
    this.longestMs = durationMs;
    this.reason = phase;
    this.node = node;
  }
}

export class SlowRequests {
  /** `Infinity` where nobody wants to know. */
  readonly thresholdMs: number;
  readonly hashOf: (bucket: string, key: Uint8Array) => string;
  /** Shorter waits are not kept. */
  readonly tellingMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #windowStartMs = -Infinity;
  #lines = 0;
  #suppressed = 0;
  /** Of requests, for the metrics. */
  count = 0;

  constructor({ slowRequestMs, clock, logger, keyHash }: SlowRequestOptions) {
    this.thresholdMs = slowRequestMs > 0 ? slowRequestMs : Infinity;
    this.tellingMs = this.thresholdMs * TELLING_SHARE;
    this.hashOf = keyHash;
    this.#clock = clock;
    this.#logger = logger;
  }

  get isOn(): boolean {
    return this.thresholdMs !== Infinity;
  }

  waited(exchange: Exchange, phase: WaitPhase, durationMs: number, node: string): void {
    if (durationMs < this.tellingMs) return;
    exchange.waits ??= new Waits();
    exchange.waits.add(phase, durationMs, node);
  }

  /** @param code of the problem that it became, "" for none */
  log(exchange: Exchange, durationMs: number, code: string): void {
    this.count++;
    if (!this.#mayWrite()) {
      this.#suppressed++;
      return;
    }
    const { operation, bucket, key, id } = exchange;
    this.#logger.warn("slow_request", {
      operation,
      ms: Math.round(durationMs),
      ...waitFields(exchange.waits),
      bucket,
      key: key === undefined ? undefined : this.hashOf(bucket, key),
      code: code === "" ? undefined : code,
      requestId: id,
      suppressed: this.#suppressed === 0 ? undefined : this.#suppressed,
    });
    this.#suppressed = 0;
  }

  #mayWrite(): boolean {
    const nowMs = this.#clock.monoMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#lines = 0;
    }
    return this.#lines++ < LINES_PER_SECOND;
  }
}

function waitFields(waits: Waits | undefined): Record<string, string | number | undefined> {
  if (waits === undefined) return { reason: "local" };
  const times = [...waits.byPhase].map(([phase, ms]) => [`${phase}Ms`, Math.round(ms)] as const);
  const node = waits.node === "" ? undefined : waits.node;
  return { reason: waits.reason, node, ...Object.fromEntries(times) };
}
