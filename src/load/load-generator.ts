/**
 * Load from one process that takes little of the machine: raw connections with one request in flight each, requests from templates, answers checked.
 *
 * Closed loop: a connection sends its next operation when the last one is answered. Open loop (`ratePerSecond`): operations are due at even intervals,
 * and the latency of each counts from the moment it was due, so that a server that stalls is not spared the operations it kept waiting (coordinated
 * omission). A wake-up comes every millisecond, which open-loop figures include.
 *
 * Every answer must be 2xx, every read as long as a value, and every 16th is compared byte for byte.
 */
import { Lane, type LaneOwner, type Target } from "./lane.ts";
import type { Protocol } from "./protocol.ts";
import { Tally } from "./tally.ts";
import type { Workload } from "./workload.ts";

export interface LoadOptions {
  /** Connections are dealt out in turn. */
  readonly targets: readonly Target[];
  readonly protocol: Protocol;
  readonly workload: Workload;
  readonly connections: number;
  /** Open loop at this rate; a closed loop without it. */
  readonly ratePerSecond?: number;
}

const WAKE_MS = 1;
/** One read in so many is compared byte for byte. */
const CHECK_EVERY = 16;
/** How long the last operations may take after the end. */
const DRAIN_MS = 5000;

export class Load implements LaneOwner {
  /** Where things are counted now; whoever wants figures by the second puts a new one in. */
  tally = new Tally();
  readonly #options: LoadOptions;
  readonly #lanes: Lane[];
  /** In the order in which they came free, so that no connection is idle for long. */
  readonly #idle: Lane[] = [];
  readonly #intervalMs: number;
  #wake: ReturnType<typeof setInterval> | undefined;
  #startedMs = 0;
  #issued = 0;
  #reads = 0;
  #isStarted = false;
  #isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    const { ratePerSecond, connections, targets } = options;
    this.#intervalMs = ratePerSecond === undefined ? 0 : 1000 / ratePerSecond;
    this.#lanes = Array.from(
      { length: connections },
      (_, index) => new Lane(this, targets, index % targets.length),
    );
  }

  async start(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.connect()));
    this.tally = new Tally();
    this.#startedMs = performance.now();
    this.#isStarted = true;
    if (this.#intervalMs > 0) this.#wake = setInterval(() => this.#serveIdle(), WAKE_MS);
    this.#serveIdle();
  }

  /** All operations of a workload that ends by itself are answered. */
  async finished(): Promise<void> {
    while (!this.#isOver || this.#isBusy) await Bun.sleep(5);
  }

  /** Ends the load, waits for the last answers and closes the connections. */
  async stop(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#wake);
    const deadlineMs = performance.now() + DRAIN_MS;
    while (this.#isBusy && performance.now() < deadlineMs) await Bun.sleep(1);
    for (const lane of this.#lanes) {
      if (lane.isBusy) this.tally.problem("unanswered");
      lane.close();
    }
  }

  /** Connections that went elsewhere when their target died return to it. */
  sendHome(): void {
    for (const lane of this.#lanes) lane.wantsHome = !lane.isHome;
  }

  /** Operations of an open loop that were due by `nowMs` and have not begun: the server does not keep up. */
  overdue(nowMs: number): number {
    if (this.#intervalMs === 0 || !this.#isStarted) return 0;
    const due = Math.floor((nowMs - this.#startedMs) / this.#intervalMs) + 1;
    return Math.max(0, due - this.#issued);
  }

  get #isBusy(): boolean {
    return this.#lanes.some((lane) => lane.isBusy);
  }

  connected(lane: Lane): void {
    if (this.#isStarted) this.#serve(lane, performance.now());
    else this.#idle.push(lane);
  }

  lost(lane: Lane, wasBusy: boolean): void {
    if (wasBusy) return this.tally.problem("connection lost");
    const place = this.#idle.indexOf(lane);
    if (place >= 0) this.#idle.splice(place, 1);
  }

  answered(lane: Lane): void {
    const nowMs = performance.now();
    const { operation, reader } = lane;
    this.tally.bytesReceived += reader.bytes.length;
    const problem = this.#problemOf(lane);
    if (problem !== undefined) this.tally.problem(problem);
    else if (operation.kind === "modify" && !lane.isModifying) {
      lane.isModifying = true;
      return this.#send(lane, this.#options.protocol.write(operation.key));
    } else {
      this.tally.latencies[operation.kind].record(nowMs - lane.dueMs);
      if (operation.kind === "insert") this.#options.workload.inserted(operation.key);
    }
    this.#serve(lane, nowMs);
  }

  #problemOf({ operation, reader, isModifying }: Lane): string | undefined {
    const { status } = reader;
    if (status < 200 || status > 299) return `${status}${codeIn(reader.body())}`;
    const isRead = operation.kind === "read" || (operation.kind === "modify" && !isModifying);
    if (!isRead) return undefined;
    const { protocol } = this.#options;
    if (!protocol.isPlausible(reader)) return "wrong length";
    if (++this.#reads % CHECK_EVERY !== 0) return undefined;
    return protocol.isRight(reader, operation.key) ? undefined : "wrong body";
  }

  #serveIdle(): void {
    const nowMs = performance.now();
    while (this.#idle.length > 0 && !this.#isOver && this.#dueMs(nowMs) <= nowMs)
      this.#serve(this.#idle.shift()!, nowMs);
  }

  /** When the next operation is due: at once in a closed loop. */
  #dueMs(nowMs: number): number {
    return this.#intervalMs === 0 ? nowMs : this.#startedMs + this.#issued * this.#intervalMs;
  }

  /** Gives a free lane its next operation, if one is due. */
  #serve(lane: Lane, nowMs: number): void {
    if (this.#isOver) return;
    if (lane.wantsHome) return lane.goHome();
    const dueMs = this.#dueMs(nowMs);
    if (dueMs > nowMs) return void this.#idle.push(lane);
    const { workload, protocol } = this.#options;
    const { operation } = lane;
    if (!workload.next(operation)) {
      this.#isOver = true;
      return;
    }
    this.#issued++;
    lane.dueMs = dueMs;
    lane.isModifying = false;
    const isRead = operation.kind === "read" || operation.kind === "modify";
    this.#send(lane, isRead ? protocol.read(operation.key) : protocol.write(operation.key));
  }

  #send(lane: Lane, request: Buffer): void {
    this.tally.bytesSent += request.length;
    this.tally.requests++;
    lane.send(request);
  }
}

/** ` overloaded` of a problem document or ` 14` of etcd's gateway, where there is one. */
function codeIn(body: Buffer): string {
  const found = /"code":"?([\w-]{1,40})/.exec(body.toString("latin1", 0, 2048));
  return found === null ? "" : ` ${found[1]}`;
}

export interface Stretch {
  readonly seconds: number;
  readonly warmupSeconds: number;
}

/** Runs a load for a while; what happened before the end of the warm-up is not in the tally. */
export async function runLoad(options: LoadOptions, stretch: Stretch): Promise<Tally> {
  const load = new Load(options);
  try {
    await load.start();
    await Bun.sleep(stretch.warmupSeconds * 1000);
    const tally = (load.tally = new Tally());
    await Bun.sleep(stretch.seconds * 1000);
    tally.end();
    const drained = (load.tally = new Tally());
    await load.stop();
    for (const [name, count] of drained.problems) tally.problem(name, count);
    return tally;
  } finally {
    await load.stop();
  }
}

/** Runs a workload that ends by itself; a problem is an error. */
export async function runThrough(options: LoadOptions): Promise<Tally> {
  const load = new Load(options);
  try {
    await load.start();
    await load.finished();
  } finally {
    await load.stop();
  }
  const { tally } = load;
  if (tally.failed > 0) throw new Error(`Cannot prepare the data${tally.problemText()}`);
  return tally.end();
}
