/**
 * What a node tells those who look at it, once a second (`live-api.ts`), as server-sent events.
 *
 *   first listener -> sample, wait a second, sample, ...   -> last listener gone: nothing
 *
 * There is one sampler however many listen, and its text is made once for all. A listener that does not take what it is told misses samples, and is let go
 * after `MISSED_MAX` of them. A node that drains ends all streams: they would keep it from ending.
 */
import { Histogram } from "../base/metrics.ts";
import { utf8 } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { AdminApi } from "./admin-api.ts";
import type { HotKeys } from "./hot-keys.ts";
import { type HttpCounters, OPERATIONS, type Operation } from "./http-counters.ts";
import type { LiveLatency, LiveRates, LiveRepair, LiveSample } from "./live-api.ts";

/** Each costs a frame a second; people with a page open are few. */
export const LISTENERS_MAX = 32;
/** Of one token: whoever opens them and does not read must not keep all others out (Q25). */
export const LISTENERS_OF_TOKEN_MAX = LISTENERS_MAX / 2;
const SAMPLE_MS = 1000;
/** Repair and layout are looked at in every so many samples: their reports walk all partitions. */
const PARTITIONS_EVERY = 5;
/** Of a ring with more than `LARGE_Q` partitions, where such a walk takes tens of milliseconds. */
const MANY_PARTITIONS_EVERY = 60;
const LARGE_Q = 4096;
const CHANGE_EVERY = 30;
const MISSED_MAX = 30;

export interface LiveFeedParts {
  readonly nodeId: string;
  readonly admin: AdminApi;
  readonly counters: HttpCounters;
  readonly hotKeys: HotKeys;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Listener {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly mayListen: () => boolean;
  readonly token: string | undefined;
  missed: number;
}

type Frame = Uint8Array<ArrayBuffer>;

const EVERYBODY = (): boolean => true;

export class LiveFeed {
  readonly #parts: LiveFeedParts;
  readonly #listeners = new Set<Listener>();
  #rates: RateMeter;
  #timer: Timer | undefined;
  #isSampling = false;
  #count = 0;
  #change: LiveSample["change"] = null;
  #repair: LiveRepair = repairOf({});
  #layoutVersion = -1;
  #last: Frame | undefined;

  constructor(parts: LiveFeedParts) {
    this.#parts = parts;
    this.#rates = new RateMeter(parts.counters, parts.clock.monoMs());
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /**
   * The events of one listener, until it cancels. Throws `overloaded` and `shutting-down`.
   *
   * @param mayListen asked before each sample: a token may be withdrawn, or be over, and the stream ends
   * @param token its id, `undefined` where there are none
   */
  open(mayListen: () => boolean = EVERYBODY, token?: string): ReadableStream<Uint8Array> {
    this.#requirePlace(token);
    if (isDraining(this.#parts.admin))
      throw new HutchError("shutting-down", "Cannot tell more: the node is draining");
    let listener: Listener;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          listener = { controller, mayListen, token, missed: 0 };
          this.#add(listener);
        },
        cancel: () => this.#remove(listener),
      },
      { highWaterMark: 2 },
    );
  }

  #requirePlace(token: string | undefined): void {
    if (this.#listeners.size >= LISTENERS_MAX)
      throw overloaded(`Cannot tell more: ${LISTENERS_MAX} listen already`);
    if (token === undefined) return;
    let held = 0;
    for (const listener of this.#listeners) if (listener.token === token) held++;
    if (held >= LISTENERS_OF_TOKEN_MAX)
      throw overloaded(`Cannot tell token "${token}" more: ${held} listen with it already`);
  }

  #add(listener: Listener): void {
    this.#listeners.add(listener);
    if (this.#last !== undefined) listener.controller.enqueue(this.#last);
    if (this.#listeners.size > 1) return;
    this.#rates = new RateMeter(this.#parts.counters, this.#parts.clock.monoMs());
    this.#count = 0;
    this.#wait(0);
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#last = undefined;
  }

  #wait(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(ms, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    // A sample that waits for a slow node is not overtaken by the next one.
    if (this.#isSampling) return this.#wait(SAMPLE_MS);
    this.#isSampling = true;
    const { admin, logger } = this.#parts;
    try {
      if (isDraining(admin)) return this.#endAll();
      const frame = utf8(`event: sample\ndata: ${JSON.stringify(await this.#sample())}\n\n`);
      this.#tell(frame as Frame);
    } catch (thrown) {
      logger.warn("live_sample_failed", { reason: messageOf(thrown) });
    } finally {
      this.#isSampling = false;
    }
    if (this.#listeners.size > 0) this.#wait(SAMPLE_MS);
  }

  #tell(frame: Frame): void {
    this.#last = this.#listeners.size === 0 ? undefined : frame;
    for (const listener of this.#listeners) {
      if (!listener.mayListen()) {
        this.#end(listener);
        continue;
      }
      const isFull = (listener.controller.desiredSize ?? 0) <= 0;
      listener.missed = isFull ? listener.missed + 1 : 0;
      if (!isFull) listener.controller.enqueue(frame);
      else if (listener.missed > MISSED_MAX) this.#end(listener);
    }
  }

  #endAll(): void {
    for (const listener of this.#listeners) this.#end(listener);
  }

  #end(listener: Listener): void {
    this.#remove(listener);
    listener.controller.close();
  }

  /** The layout is described only while it changes, or may have begun to: that takes a walk over all owners. */
  async #lookAtPartitions(layoutVersion: number): Promise<void> {
    const { admin } = this.#parts;
    this.#repair = repairOf(admin.repair());
    const isSettled = this.#change === null && layoutVersion === this.#layoutVersion;
    if (isSettled && this.#count % CHANGE_EVERY !== 0) return;
    this.#change = (await admin.layout.show()).change;
    this.#layoutVersion = layoutVersion;
  }

  async #sample(): Promise<LiveSample> {
    const { nodeId, admin, clock, hotKeys } = this.#parts;
    // Asked for together they share one survey of the other nodes.
    const [nodes, hints] = await Promise.all([admin.nodes(), admin.hints()]);
    const cluster = admin.cluster();
    const every = cluster.q > LARGE_Q ? MANY_PARTITIONS_EVERY : PARTITIONS_EVERY;
    if (this.#count % every === 0) await this.#lookAtPartitions(cluster.layoutVersion);
    this.#count++;
    const { rates, latency } = this.#rates.measure(clock.monoMs());
    return {
      node: nodeId,
      atMs: clock.wallMs(),
      cluster,
      nodes,
      rates,
      latency,
      hints,
      disk: diskOf(admin.storage()),
      repair: this.#repair,
      change: this.#change,
      hotKeys: hotKeys.report(),
    };
  }
}

function overloaded(message: string): HutchError {
  return new HutchError("overloaded", message, { retry: "safe" });
}

function isDraining(admin: AdminApi): boolean {
  return admin.readiness().checks["lifecycle"] === "draining";
}

/** Counts of operations made into rates: what came since it was asked last. */
class RateMeter {
  readonly #counters: HttpCounters;
  #before: Readonly<Record<Operation, OperationState>>;
  #beforeMs: number;

  constructor(counters: HttpCounters, nowMs: number) {
    this.#counters = counters;
    this.#before = statesOf(counters);
    this.#beforeMs = nowMs;
  }

  measure(nowMs: number): {
    readonly rates: LiveRates;
    readonly latency: LiveSample["latency"];
  } {
    const now = statesOf(this.#counters);
    const before = this.#before;
    const seconds = Math.max(0.001, (nowMs - this.#beforeMs) / 1000);
    const rate = (
      count: (state: OperationState) => number,
      operations: readonly Operation[] = OPERATIONS,
    ): number => {
      const difference = operations.reduce(
        (sum, one) => sum + count(now[one]) - count(before[one]),
        0,
      );
      return Math.round((10 * difference) / seconds) / 10;
    };
    this.#before = now;
    this.#beforeMs = nowMs;
    const rates = {
      reads: rate(({ ok }) => ok.count, ["read"]),
      writes: rate(({ ok }) => ok.count, ["write"]),
      deletes: rate(({ ok }) => ok.count, ["delete"]),
      refused: rate(({ refused }) => refused),
      failed: rate(({ failed }) => failed),
    };
    const latency = {
      read: latencyOf(now.read.ok.since(before.read.ok)),
      write: latencyOf(now.write.ok.since(before.write.ok)),
    };
    return { rates, latency };
  }
}

interface OperationState {
  /** A copy. */
  readonly ok: Histogram;
  readonly refused: number;
  readonly failed: number;
}

const NOTHING = new Histogram();

function statesOf(counters: HttpCounters): Readonly<Record<Operation, OperationState>> {
  const stateOf = (operation: Operation): OperationState => {
    const { ok, refused, failed } = counters.outcomesOf(operation);
    return { ok: ok.since(NOTHING), refused: refused.count, failed: failed.count };
  };
  return { read: stateOf("read"), write: stateOf("write"), delete: stateOf("delete") };
}

function latencyOf(times: Histogram): LiveLatency {
  const { count } = times;
  if (count === 0) return { count, p50: 0, p95: 0, p99: 0 };
  return {
    count,
    p50: times.quantileMs(0.5),
    p95: times.quantileMs(0.95),
    p99: times.quantileMs(0.99),
  };
}

/** A report of the store is a bag of numbers to the REST face. */
function diskOf(storage: Readonly<Record<string, unknown>>): LiveSample["disk"] {
  const { tableBytes, walBytes, freeBytes } = storage;
  return { usedBytes: numberOf(tableBytes) + numberOf(walBytes), freeBytes: numberOf(freeBytes) };
}

function repairOf(report: Readonly<Record<string, unknown>>): LiveRepair {
  const { partitions, totals, running } = report as Partial<{
    readonly partitions: readonly { readonly lastVerifiedMs: number }[];
    readonly totals: { readonly keysSent: number; readonly keysReceived: number };
    readonly running: { readonly total: number; readonly done: number };
  }>;
  const verified = partitions ?? [];
  const oldestMs = verified.reduce((least, one) => Math.min(least, one.lastVerifiedMs), Infinity);
  return {
    verified: verified.length,
    oldestMs: verified.length === 0 ? 0 : oldestMs,
    progress: running === undefined || running.total === 0 ? null : running.done / running.total,
    keysMoved: numberOf(totals?.keysSent) + numberOf(totals?.keysReceived),
  };
}

const numberOf = (value: unknown): number => (typeof value === "number" ? value : 0);
