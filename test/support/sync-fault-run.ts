/**
 * The n-th sync, or the n-th write, of a real node fails, for each n in turn (rows 85, 86); the n-th-failure loop of SQLite on the whole program.
 *
 * Each life of the node has its failure somewhere in its start, its log, its tables or its manifest, under load. It must end by itself with 74.
 * The next start finds what the page cache still shows; everything acknowledged is there. Then the power goes, where the machine has a disk
 * for that: what the failed sync left in the page cache is gone, and whatever the start before has shown to anybody must be there all the same (C15).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "../e2e/node-process.ts";
import { PowerLossDisk } from "../nemesis/power-loss-disk.ts";
import { SyncFaults } from "../nemesis/sync-faults.ts";
import { SMALL_SIZES } from "./kill-run.ts";
import { WriterKeys } from "./writer-keys.ts";

export interface SyncFaultRunOptions {
  readonly seed: number | string;
  readonly what: "sync" | "write";
  /** Which calls fail, one after the other, each in a life of its own. The first write is the note in the lock, which a node can do without. */
  readonly numbers: readonly number[];
  readonly log?: (line: string) => void;
}

export interface SyncFaultRunResult {
  /** Lives whose call failed before the node was ready, and after. */
  readonly failedStarts: number;
  readonly failedUnderLoad: number;
  /** Lives whose call failed on the mark of being alive, which a node can do without. */
  readonly tolerated: number;
  readonly powerLosses: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly refused: number;
  readonly checkedReads: number;
}

/** Under load a node makes hundreds of calls a second. */
const FAULT_TIMEOUT_MS = 20_000;
const SELF_END_TIMEOUT_MS = 3000;
const POLL_MS = 10;
const DISK_FAILED_EXIT_CODE = 74;
const LOG_EVERY = 20;

class SyncFaultRun {
  private readonly options: SyncFaultRunOptions;
  private readonly keys: WriterKeys;
  private readonly directory: string;
  /** Without one the power stays. */
  private readonly disk: PowerLossDisk | undefined;
  private failedStarts = 0;
  private failedUnderLoad = 0;
  private tolerated = 0;
  private powerLosses = 0;
  private node: NodeProcess | undefined;

  constructor(options: SyncFaultRunOptions, directory: string, disk: PowerLossDisk | undefined) {
    this.options = options;
    this.directory = directory;
    this.disk = disk;
    this.keys = new WriterKeys(`sync-fault/${options.seed}`);
  }

  async run(): Promise<SyncFaultRunResult> {
    const { numbers, what, log } = this.options;
    for (const number of numbers) {
      await this.round(number).catch((error: unknown) => {
        throw new Error(`the ${what} number ${number} fails`, { cause: error });
      });
      if (number % LOG_EVERY === 0)
        log?.(`${what}s up to number ${number} failed, ${this.keys.acknowledged} acknowledged`);
    }
    const { failedStarts, failedUnderLoad, tolerated, powerLosses } = this;
    const { acknowledged, unanswered, refused, checkedReads } = this.keys;
    return {
      failedStarts,
      failedUnderLoad,
      tolerated,
      powerLosses,
      acknowledged,
      unanswered,
      refused,
      checkedReads,
    };
  }

  /** Whatever happened. */
  async end(): Promise<void> {
    await this.node?.end("SIGKILL");
  }

  private async round(number: number): Promise<void> {
    const faults = SyncFaults.make({ under: this.directory });
    try {
      faults.set(this.options.what === "sync" ? { failAt: number } : { failWriteAt: number });
      await this.fail(faults);
    } finally {
      faults.close();
    }
    await this.look();
    if (this.disk === undefined) return;
    await this.disk.lose({ end: () => this.end() });
    this.powerLosses++;
    await this.look();
    await this.end();
  }

  private async fail(faults: SyncFaults): Promise<void> {
    const node = await this.start(faults.environment).catch(() => undefined);
    const load = node === undefined ? undefined : this.keys.write(node, () => true);
    const exitCode = await this.endAfter(faults);
    await load;
    if (exitCode === DISK_FAILED_EXIT_CODE) {
      if (load === undefined) this.failedStarts++;
      else this.failedUnderLoad++;
    } else if (exitCode === undefined && (await this.node!.log()).includes("alive_not_marked"))
      this.tolerated++;
    else
      throw new Error(
        `the node ended with ${exitCode}; ${JSON.stringify(faults.counts())}; ${await this.node!.log()}`,
      );
  }

  /** The exit code of a node that ends by itself when the call has failed; one that does not is killed. */
  private async endAfter(faults: SyncFaults): Promise<number | undefined> {
    const { exited } = this.node!.child;
    const deadlineMs = performance.now() + FAULT_TIMEOUT_MS;
    const hasFailed = (): boolean => {
      const { syncsFailed, writesFailed } = faults.counts();
      return syncsFailed + writesFailed > 0;
    };
    while (!hasFailed() && performance.now() < deadlineMs) await Bun.sleep(POLL_MS);
    const exitCode = await Promise.race([exited, Bun.sleep(SELF_END_TIMEOUT_MS)]);
    await this.end();
    return exitCode ?? undefined;
  }

  private start(environment: Readonly<Record<string, string>> = {}): Promise<NodeProcess> {
    return NodeProcess.start(join(this.directory, "data"), {
      args: SMALL_SIZES,
      environment,
      onSpawn: (node) => (this.node = node),
    });
  }

  private async look(): Promise<void> {
    await this.end();
    await this.keys.check(await this.start());
  }
}

export async function syncFaultRun(options: SyncFaultRunOptions): Promise<SyncFaultRunResult> {
  const hasDisk = PowerLossDisk.available() === undefined;
  const disk = hasDisk ? PowerLossDisk.make({ name: "sync-faults" }) : undefined;
  const directory = disk?.mountPoint ?? mkdtempSync(join(tmpdir(), "hutch-sync-faults-"));
  const run = new SyncFaultRun(options, directory, disk);
  try {
    return await run.run();
  } finally {
    await run.end();
    await disk?.close();
    if (disk === undefined) rmSync(directory, { recursive: true, force: true });
  }
}
