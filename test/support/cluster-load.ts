/**
 * Clients of a cluster of real nodes that know what they were told, and notice when they are told otherwise.
 *
 * Each writer owns some keys and writes growing numbers into each, one request at a time for a key, through one node after the other. What was
 * acknowledged is the key's floor, what was sent its ceiling. Readers read all the time, through all nodes: the greatest value in an answer is
 * never below the floor of the moment when the read was sent (S1, S2), but for a write whose outcome nobody knows, and never above the ceiling. Siblings may be there, where two nodes
 * disagreed for a moment about who mints (R9); they are counted.
 */
import { Prng } from "../../src/base/prng.ts";
import type { ClusterProcess } from "../e2e/node-process.ts";
import { nameOf, type Sibling } from "./cluster-eyes.ts";

export interface LoadOptions {
  readonly seed: number | string;
  readonly writers?: number;
  readonly readers?: number;
  readonly keysPerWriter?: number;
  /** Between two requests of one client. */
  readonly pauseMs?: number;
  /** Consistency of every request. Default: `QUORUM` for half of the writers and all readers, none for the others, which is the same. */
  readonly level?: string;
  /** Default `load`. */
  readonly bucket?: string;
  /** The nodes that clients talk to. */
  readonly through: readonly number[];
}

export interface LoadKey {
  readonly name: string;
  /** Of the last acknowledged write; 0 for none. */
  floor: number;
  /** Of the last write that was sent. */
  ceiling: number;
  /** Writes of which nobody knows: they may take effect late, over what was acknowledged meanwhile (R5). */
  readonly doubtful: Set<number>;
}

/** An answer that is not the usual one. */
export interface Unusual {
  readonly atMs: number;
  readonly what: string;
}

/** Longer than the node's own limit, so that a node that hangs shows as that. */
const CLIENT_TIMEOUT_MS = 10_000;
const CHECKS_AT_ONCE = 8;
const EVERYWHERE_READ = ["QUORUM", undefined] as const;

export class ClusterLoad {
  readonly keys: readonly LoadKey[][];
  acknowledged = 0;
  reads = 0;
  slowestWriteMs = 0;
  readonly unusualWrites: Unusual[] = [];
  readonly unusualReads: Unusual[] = [];
  /** What must never be: an answer below what was acknowledged, or above what was sent. */
  readonly violations: string[] = [];
  siblings = 0;
  readonly bucket: string;
  private readonly cluster: ClusterProcess;
  private readonly prng: Prng;
  private readonly options: LoadOptions;
  private readonly pauseMs: number;
  private through: readonly number[];
  private startedMs = 0;
  private isOver = false;
  private running: Promise<unknown> = Promise.resolve();

  constructor(cluster: ClusterProcess, options: LoadOptions) {
    const { writers = 8, keysPerWriter = 6, pauseMs = 20, seed, through } = options;
    this.cluster = cluster;
    this.options = options;
    this.pauseMs = pauseMs;
    this.bucket = options.bucket ?? "load";
    this.through = through;
    this.prng = new Prng(`cluster-load/${seed}`);
    this.keys = Array.from({ length: writers }, (_, writer) =>
      Array.from({ length: keysPerWriter }, (_, key) => ({
        name: `w${writer}-${key}`,
        floor: 0,
        ceiling: 0,
        doubtful: new Set<number>(),
      })),
    );
  }

  get allKeys(): readonly LoadKey[] {
    return this.keys.flat();
  }

  /** Milliseconds since the load began, for what happens to the cluster meanwhile. */
  get nowMs(): number {
    return Math.round(performance.now() - this.startedMs);
  }

  start(): void {
    this.isOver = false;
    if (this.startedMs === 0) this.startedMs = performance.now();
    const writing = this.keys.map((own, writer) => this.write(own, writer));
    const readers = Array.from({ length: this.options.readers ?? 4 });
    this.running = Promise.all([...writing, ...readers.map((_, reader) => this.readOn(reader))]);
  }

  /** Clients talk to these nodes from now on. */
  talkTo(through: readonly number[]): void {
    this.through = through;
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
  }

  private async write(own: readonly LoadKey[], writer: number): Promise<void> {
    const prng = this.prng.fork(`writer/${writer}/${this.acknowledged}`);
    const level = this.options.level ?? (writer % 2 === 0 ? "QUORUM" : undefined);
    const headers: Record<string, string> = level === undefined ? {} : { "X-Consistency": level };
    while (!this.isOver) {
      await this.writeOne(prng.pick(own), prng.pick(this.through), headers);
      await Bun.sleep(prng.between(0, 2 * this.pauseMs));
    }
  }

  private async writeOne(
    key: LoadKey,
    index: number,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const number = ++key.ceiling;
    const sentMs = performance.now();
    const atMs = this.nowMs;
    const { status, body } = await this.send(index, key, {
      method: "PUT",
      body: valueOf(key, number),
      headers,
    });
    this.slowestWriteMs = Math.max(this.slowestWriteMs, Math.round(performance.now() - sentMs));
    if (status === 204) {
      key.floor = number;
      this.acknowledged++;
      return;
    }
    // A 503 is certain: nothing was written (R5).
    if (status !== 503) key.doubtful.add(number);
    this.unusualWrites.push({ atMs, what: `${nameOf(index)} ${codeOf(status, body)}` });
  }

  private async readOn(reader: number): Promise<void> {
    const prng = this.prng.fork(`reader/${reader}/${this.reads}`);
    while (!this.isOver) {
      const key = prng.pick(this.allKeys);
      const atMs = this.nowMs;
      const index = prng.pick(this.through);
      const wrong = await this.readOne(index, key);
      if (wrong !== undefined) this.unusualReads.push({ atMs, what: wrong });
      await Bun.sleep(prng.between(0, 2 * this.pauseMs));
    }
  }

  /** What was unusual about the answer; a violation is noted besides. */
  async readOne(
    index: number,
    key: LoadKey,
    consistency: string | undefined = this.options.level ?? "QUORUM",
  ): Promise<string | undefined> {
    const { floor } = key;
    const headers: Record<string, string> =
      consistency === undefined ? {} : { "X-Consistency": consistency };
    const { status, body } = await this.send(index, key, { headers });
    this.reads++;
    const found = numbersIn(key, status, body);
    if (found === undefined) return `${nameOf(index)} ${codeOf(status, body)}`;
    if (found.length > 1) this.siblings++;
    const greatest = Math.max(...found);
    const isPossible = greatest >= floor || key.doubtful.has(greatest);
    if (isPossible && greatest <= key.ceiling) return undefined;
    const violation = `${nameOf(index)} answered ${greatest} for ${key.name}, acknowledged up to ${floor}, sent up to ${key.ceiling}, at ${this.nowMs} ms`;
    this.violations.push(violation);
    return violation;
  }

  /** Reads every key through each of `indexes`; whatever is unusual. */
  async checkAll(indexes: readonly number[]): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const index of indexes)
      for (const consistency of EVERYWHERE_READ)
        await eachOf(this.allKeys, async (key) => {
          const answer = await this.readOne(index, key, consistency);
          if (answer !== undefined) wrong.push(answer);
        });
    return wrong;
  }

  private async send(
    index: number,
    key: LoadKey,
    request: RequestInit,
  ): Promise<{ status: number; body: string }> {
    const signal = AbortSignal.timeout(CLIENT_TIMEOUT_MS);
    try {
      const answer = await fetch(this.cluster.key(index, this.bucket, key.name), {
        ...request,
        signal,
      });
      return { status: answer.status, body: await answer.text() };
    } catch (thrown) {
      return { status: 0, body: String(thrown) };
    }
  }
}

/** A few at a time. */
export async function eachOf<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < all.length) await work(all[next++]!);
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, worker));
}

/** 20 to 900 bytes that say whose and which they are. */
function valueOf(key: LoadKey, number: number): string {
  return `${key.name}#${number}#`.padEnd(20 + ((number * 97) % 880), `${number % 10}`);
}

/** The number of each value in an answer; 0 for an absent key, `undefined` for an answer that says nothing about it. */
function numbersIn(key: LoadKey, status: number, body: string): readonly number[] | undefined {
  if (status === 404) return [0];
  if (status === 200) return [numberOf(key, body)];
  if (status !== 300) return undefined;
  const { siblings } = JSON.parse(body) as { siblings: readonly Sibling[] };
  return siblings.map(({ value }) => numberOf(key, value));
}

/** -1 where the value is not byte for byte one that was written. */
function numberOf(key: LoadKey, value: string): number {
  const number = Number(value.split("#")[1]);
  return value === valueOf(key, number) ? number : -1;
}

function codeOf(status: number, body: string): string {
  if (status === 0) return body;
  const code = /"code":"([^"]*)"/.exec(body)?.[1] ?? "";
  const detail = /"detail":"([^"]*)"/.exec(body)?.[1] ?? "";
  return `${status} ${code} (${detail})`;
}
