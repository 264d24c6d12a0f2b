/** A real node under load, killed with SIGKILL again and again (row 75). What must be there afterwards is said in `writer-keys.ts`. */
import { Prng } from "../../src/base/prng.ts";
import { NodeProcess } from "../e2e/node-process.ts";
import { WriterKeys } from "./writer-keys.ts";

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

/** Small sizes: flushes, rotations and compactions happen all the time. */
export const SMALL_SIZES: readonly string[] = [
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
  private readonly keys: WriterKeys;
  private slowestStartMs = 0;

  constructor(options: KillRunOptions) {
    this.options = options;
    this.prng = new Prng(`kill/${options.seed}`);
    this.keys = new WriterKeys(`kill/${options.seed}`);
  }

  async run(): Promise<KillRunResult> {
    const { kills, log } = this.options;
    for (let kill = 1; kill <= kills; kill++) {
      const node = await this.start();
      await this.keys.check(node);
      const load = this.keys.write(node);
      await Bun.sleep(this.prng.between(10, 180));
      await node.end("SIGKILL");
      await load;
      if (log !== undefined && kill % 50 === 0)
        log(`${kill} kills, ${this.keys.acknowledged} acknowledged writes, none lost`);
    }
    const node = await this.start();
    await this.keys.check(node);
    await node.end("SIGTERM");
    const { acknowledged, unanswered, checkedReads } = this.keys;
    return { kills, acknowledged, unanswered, slowestStartMs: this.slowestStartMs, checkedReads };
  }

  private async start(): Promise<NodeProcess> {
    const started = performance.now();
    const node = await NodeProcess.start(this.options.dataDir, {
      args: [...SMALL_SIZES, "--fsync", this.options.fsync],
    });
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(performance.now() - started));
    return node;
  }
}

export function killRun(options: KillRunOptions): Promise<KillRunResult> {
  return new KillRun(options).run();
}
