/**
 * Steady reads and writes of the records of a ledger at QUORUM, through all nodes that clients are told of, over raw connections.
 *
 * Open loop (`pace`): operations are due at even intervals, and the latency of each counts from the moment it was due, so a cluster that stalls is not spared
 * what it kept waiting. Closed loop without a pace. Every answer is held against the ledger at once.
 */
import { Lane, type LaneOwner, type Target } from "../../src/load/lane.ts";
import { Tally } from "../../src/load/tally.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Sibling } from "./cluster-eyes.ts";
import type { Asked, Outcome, RecordLedger } from "./record-ledger.ts";

export interface LedgerLoadOptions {
  readonly ledger: RecordLedger;
  readonly bucket: string;
  readonly seed: string;
  readonly connections: number;
  /** Of all operations; the rest are reads. */
  readonly writeShare: number;
  readonly deleteShare: number;
}

interface Sent {
  readonly kind: "read" | "write" | "delete";
  readonly record: number;
  /** Of reads. */
  readonly asked: Asked;
}

const WAKE_MS = 1;
const DRAIN_MS = 5000;
/** One read in so many is of a deleted record. */
const DELETED_READ_EVERY = 20;
const PICKS_MAX = 20;
const CONNECTION_CLOSE = Buffer.from("\r\nConnection: close\r\n");
const NOTHING_KNOWN: Asked = { floor: 0, isGone: false };

export class LedgerLoad implements LaneOwner {
  tally = new Tally();
  /** What must never be. */
  readonly violations: string[] = [];
  private readonly options: LedgerLoadOptions;
  private readonly prng: Prng;
  /** As many as connections: each has a place of its own. */
  private readonly targets: Target[] = [];
  private readonly lanes: Lane[];
  private readonly sent = new Map<Lane, Sent>();
  private readonly idle: Lane[] = [];
  private wake: ReturnType<typeof setInterval> | undefined;
  private intervalMs = 0;
  private pacedMs = 0;
  private issued = 0;
  private reads = 0;
  private isOver = false;

  constructor(options: LedgerLoadOptions, urls: readonly string[]) {
    this.options = options;
    this.prng = new Prng(`ledger-load/${options.seed}`);
    this.lanes = Array.from(
      { length: options.connections },
      (_, place) => new Lane(this, this.targets, place),
    );
    this.talkTo(urls);
  }

  /** Clients use these nodes from now on. */
  talkTo(urls: readonly string[]): void {
    this.lanes.forEach((lane, place) => {
      const { hostname, port } = new URL(urls[place % urls.length]!);
      const old = this.targets[place];
      this.targets[place] = { hostname, port: Number(port) };
      lane.wantsHome = old !== undefined && (old.port !== Number(port) || !lane.isHome);
    });
    // What is idle moves at its next turn.
    this.serveIdle();
  }

  async start(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.connect()));
    this.wake = setInterval(() => this.serveIdle(), WAKE_MS);
    this.serveIdle();
  }

  /** So many operations a second; 0: as many as are answered. */
  pace(ratePerSecond: number): void {
    this.intervalMs = ratePerSecond === 0 ? 0 : 1000 / ratePerSecond;
    this.dropBacklog();
  }

  /** What was due and is not sent yet will not be: what is measured from now on does not pay for what was before. */
  dropBacklog(): void {
    this.pacedMs = performance.now();
    this.issued = 0;
  }

  /** What was counted since the last time. */
  takeTally(): Tally {
    const { tally } = this;
    this.tally = new Tally();
    return tally.end();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    clearInterval(this.wake);
    const deadlineMs = performance.now() + DRAIN_MS;
    while (this.lanes.some((lane) => lane.isBusy) && performance.now() < deadlineMs)
      await Bun.sleep(1);
    for (const lane of this.lanes) {
      if (lane.isBusy) this.tally.problem("unanswered");
      lane.close();
    }
  }

  connected(lane: Lane): void {
    this.serve(lane, performance.now());
  }

  lost(lane: Lane, wasBusy: boolean): void {
    const place = this.idle.indexOf(lane);
    if (place >= 0) this.idle.splice(place, 1);
    if (wasBusy) this.end(lane, "unknown", "connection lost");
  }

  answered(lane: Lane): void {
    const nowMs = performance.now();
    const { status } = lane.reader;
    const { kind } = this.sent.get(lane)!; // it was busy
    const isRead = kind === "read" && [200, 300, 404].includes(status);
    if (isRead) this.judge(lane, status);
    if (isRead || status === 204) {
      this.tally.latencies[kind === "read" ? "read" : "write"].record(nowMs - lane.dueMs);
      this.end(lane, "acknowledged");
    } else {
      const code = /"code":"([\w-]+)"/.exec(lane.reader.body().toString())?.[1] ?? "";
      this.end(lane, status === 503 ? "refused" : "unknown", `${status} ${code}`);
    }
    if (isLastAnswer(lane.reader)) lane.goOn();
    else this.serve(lane, nowMs);
  }

  private judge(lane: Lane, status: number): void {
    const { record, asked } = this.sent.get(lane)!;
    const { reader } = lane;
    const values = valuesOf(status, reader.body().toString());
    const complaint = this.options.ledger.complaint(record, asked, values);
    if (complaint === undefined) return;
    const head = reader.bytes.toString("latin1", 0, reader.bodyStart);
    const node = /^X-Node: (\S+)/im.exec(head)?.[1];
    this.violations.push(`${new Date().toISOString()} through ${node}: ${complaint}`);
  }

  private end(lane: Lane, outcome: Outcome, problem?: string): void {
    const { kind, record } = this.sent.get(lane)!;
    this.sent.delete(lane);
    if (kind !== "read") this.options.ledger.end(record, outcome);
    if (problem !== undefined) this.tally.problem(`${kind} ${problem}`);
  }

  private serveIdle(): void {
    const nowMs = performance.now();
    // Each at most once: whoever has nothing to do is idle again.
    for (let left = this.idle.length; left > 0; left--) {
      const isDue = this.dueMs(nowMs) <= nowMs;
      if (!isDue && !this.idle.some((lane) => lane.wantsHome)) return;
      this.serve(this.idle.shift()!, nowMs);
    }
  }

  private dueMs(nowMs: number): number {
    return this.intervalMs === 0 ? nowMs : this.pacedMs + this.issued * this.intervalMs;
  }

  private serve(lane: Lane, nowMs: number): void {
    if (this.isOver) return;
    if (lane.wantsHome) return lane.goHome();
    const dueMs = this.dueMs(nowMs);
    if (dueMs > nowMs) return void this.idle.push(lane);
    this.issued++;
    lane.dueMs = dueMs;
    lane.send(this.next(lane));
    this.tally.requests++;
  }

  private next(lane: Lane): Buffer {
    const { ledger, writeShare, deleteShare } = this.options;
    const draw = this.prng.float();
    const record = draw < writeShare + deleteShare ? this.pickChangeable() : undefined;
    if (record === undefined) {
      const read = this.pickRead();
      this.sent.set(lane, { kind: "read", record: read, asked: ledger.asked(read) });
      return this.request("GET", read);
    }
    const kind = draw < writeShare ? "write" : "delete";
    this.sent.set(lane, { kind, record, asked: NOTHING_KNOWN });
    if (kind === "write")
      return this.request("PUT", record, ledger.value(record, ledger.beginWrite(record)));
    ledger.beginDelete(record);
    return this.request("DELETE", record);
  }

  private pickChangeable(): number | undefined {
    const { ledger } = this.options;
    for (let pick = 0; pick < PICKS_MAX; pick++) {
      const record = this.prng.below(ledger.count);
      if (ledger.mayChange(record)) return record;
    }
    return undefined;
  }

  private pickRead(): number {
    const { deleted, count } = this.options.ledger;
    const isDeleted = ++this.reads % DELETED_READ_EVERY === 0 && deleted.length > 0;
    return isDeleted ? this.prng.pick(deleted) : this.prng.below(count);
  }

  private request(method: string, record: number, body?: string): Buffer {
    const { ledger, bucket } = this.options;
    const length = body === undefined ? "" : `Content-Length: ${body.length}\r\n`;
    return Buffer.from(
      `${method} /v1/kv/${bucket}/${ledger.name(record)} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Consistency: QUORUM\r\n${length}\r\n${body ?? ""}`,
      "latin1",
    );
  }
}

/** A node that goes away says so: nothing more is to be sent on this connection. */
function isLastAnswer({ bytes, bodyStart }: Lane["reader"]): boolean {
  const at = bytes.indexOf(CONNECTION_CLOSE);
  return at >= 0 && at < bodyStart;
}

function valuesOf(status: number, body: string): readonly string[] {
  if (status === 404) return [];
  if (status === 200) return [body];
  const { siblings } = JSON.parse(body) as { siblings: readonly Partial<Sibling>[] };
  return siblings.flatMap(({ value }) => value ?? []);
}
