/**
 * A real node under load, killed with SIGKILL again and again (row 75).
 *
 * Each writer owns some keys and writes a growing number into each, one request at a time for a key; now and then it deletes one. What the
 * node acknowledged is a floor, what was sent is a ceiling: after every restart each key must hold a value from floor to ceiling, byte-exact,
 * with status 200 (never 300: one writer a key, no siblings), or be absent where the last acknowledged or an unanswered operation was a delete.
 */
import { Prng } from "../../src/base/prng.ts";
import { NodeProcess } from "../e2e/node-process.ts";

export interface KillRunOptions {
  readonly seed: number | string;
  readonly kills: number;
  readonly dataDir: string;
  readonly fsync: "group" | "always";
  readonly log?: (line: string) => void;
}

export interface KillRunResult {
  readonly kills: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly slowestStartMs: number;
  readonly checkedReads: number;
}

interface KeyState {
  readonly name: string;
  /** Of the last acknowledged operation; 0 for none. */
  floor: number;
  /** Of the last operation that was sent. */
  ceiling: number;
  /** Operations by number: true for a delete. */
  readonly deletes: Set<number>;
}

const WRITERS = 24;
const KEYS_PER_WRITER = 12;
/** Small sizes: flushes, rotations and compactions happen all the time. */
const SMALL = [
  "--memtable-bytes",
  "64KiB",
  "--wal-segment-bytes",
  "256KiB",
  "--memtable-age",
  "1s",
];

class KillRun {
  private readonly prng: Prng;
  private readonly options: KillRunOptions;
  private readonly keys: KeyState[][];
  private acknowledged = 0;
  private unanswered = 0;
  private checkedReads = 0;
  private slowestStartMs = 0;

  constructor(options: KillRunOptions) {
    this.options = options;
    this.prng = new Prng(`kill/${options.seed}`);
    this.keys = Array.from({ length: WRITERS }, (_, writer) =>
      Array.from({ length: KEYS_PER_WRITER }, (_, i) => ({
        name: `w${writer}/k${i}`,
        floor: 0,
        ceiling: 0,
        deletes: new Set<number>(),
      })),
    );
  }

  async run(): Promise<KillRunResult> {
    const { kills, log } = this.options;
    for (let kill = 1; kill <= kills; kill++) {
      const node = await this.start();
      await this.check(node);
      const load = this.keys.map((own, writer) =>
        this.write(node, own, this.prng.fork(`${kill}/${writer}`)),
      );
      await Bun.sleep(this.prng.between(10, 180));
      await node.end("SIGKILL");
      await Promise.all(load);
      if (log !== undefined && kill % 50 === 0)
        log(`${kill} kills, ${this.acknowledged} acknowledged writes, none lost`);
    }
    const node = await this.start();
    await this.check(node);
    await node.end("SIGTERM");
    const { acknowledged, unanswered, slowestStartMs, checkedReads } = this;
    return { kills, acknowledged, unanswered, slowestStartMs, checkedReads };
  }

  private async start(): Promise<NodeProcess> {
    const started = performance.now();
    const node = await NodeProcess.start(this.options.dataDir, {
      args: [...SMALL, "--fsync", this.options.fsync],
    });
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(performance.now() - started));
    return node;
  }

  /** Until the node is gone. */
  private async write(node: NodeProcess, own: readonly KeyState[], prng: Prng): Promise<void> {
    for (;;) {
      const key = prng.pick(own);
      const number = ++key.ceiling;
      const isDelete = prng.chance(0.1);
      if (isDelete) key.deletes.add(number);
      const request = isDelete
        ? { method: "DELETE" }
        : { method: "PUT", body: valueOf(key.name, number) };
      const status = await fetch(node.key("torture", key.name), request).then(
        (answer) => answer.status,
        () => 0,
      );
      if (status === 204) {
        key.floor = number;
        this.acknowledged++;
      } else if (status === 0) {
        this.unanswered++;
        return;
      } else throw new Error(`${request.method} ${key.name} was answered with ${status}`);
    }
  }

  private async check(node: NodeProcess): Promise<void> {
    await Promise.all(this.keys.flat().map((key) => this.checkKey(node, key)));
  }

  private async checkKey(node: NodeProcess, key: KeyState): Promise<void> {
    const answer = await fetch(node.key("torture", key.name));
    const text = await answer.text();
    this.checkedReads++;
    const possible = new Set<string>();
    for (let number = key.floor; number <= key.ceiling; number++)
      possible.add(
        number === 0 || key.deletes.has(number) ? "404" : `200 ${valueOf(key.name, number)}`,
      );
    const found = answer.status === 404 ? "404" : `${answer.status} ${text}`;
    if (!possible.has(found))
      throw new Error(
        `seed ${this.options.seed}: ${key.name} is "${found.slice(0, 80)}", acknowledged up to ${key.floor}, sent up to ${key.ceiling}`,
      );
    this.settle(key, found);
  }

  /** What is there now stays there: it was read after a restart. */
  private settle(key: KeyState, found: string): void {
    for (let number = key.floor; number <= key.ceiling; number++) {
      const isIt =
        number === 0 || key.deletes.has(number)
          ? found === "404"
          : found === `200 ${valueOf(key.name, number)}`;
      if (isIt) key.floor = number;
    }
    for (const number of key.deletes) if (number < key.floor) key.deletes.delete(number);
  }
}

/** 20 to 1,500 bytes that say whose and which they are. */
function valueOf(name: string, number: number): string {
  return `${name}#${number}#`.padEnd(20 + ((number * 97) % 1480), `${number % 10}`);
}

export function killRun(options: KillRunOptions): Promise<KillRunResult> {
  return new KillRun(options).run();
}
