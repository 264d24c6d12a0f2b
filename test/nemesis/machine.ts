/**
 * One node of a run as its machine sees it: a process that is started, killed, stopped and woken, on a disk and under a clock of its own.
 *
 *   down --start--> up --kill--> down          up --stop--> stopped --wake--> up
 *
 * A process that ends by itself is started again. Where a fault of its disk explains that, it is as it should be (S10: who has lost faith in its disk
 * acknowledges nothing more); where none does, it is a violation.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Violation } from "../../src/checkers/history.ts";
import { clockEnvironment } from "./abilities.ts";
import type { Network } from "./network.ts";
import { nameOf } from "./plan.ts";
import type { PowerLossDisk } from "./power-loss-disk.ts";
import type { SmallDisk } from "./disks.ts";
import type { SyncFaults } from "./sync-faults.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "cli", "main.ts");
const READY_POLL_MS = 20;
const READY_ANSWER_MS = 1000;
/** Between the end of a process and the next one, where nobody decides. */
const AGAIN_MS = 500;
/** Of a kill that was asked for: nothing survives it. */
const END_MS_MAX = 10_000;

/** Small, so that flushes and compactions happen all the time; syncs that hang are given up within the run. */
const ARGS = [
  ["--preset", "local"],
  ["--memtable-bytes", "1MiB"],
  ["--wal-segment-bytes", "4MiB"],
  ["--partitions", "64"],
  ["--log-format", "json"],
].flat();

export interface MachineOptions {
  readonly index: number;
  readonly network: Network;
  /** Where its data are. */
  readonly dataDir: string;
  /** Where its log goes. */
  readonly logPath: string;
  readonly nowMs: () => number;
  readonly clockMs: number;
  /** For `hutch serve`, behind what it gets anyway. */
  readonly args: readonly string[];
  /** The library that moves clocks; all have the right time without it. */
  readonly faketime?: string | undefined;
  readonly smallDisk?: SmallDisk | undefined;
  readonly powerLossDisk?: PowerLossDisk | undefined;
  readonly syncFaults?: SyncFaults | undefined;
}

/** From when to when a node did not get its time, or was not there. */
interface Disturbance {
  readonly fromMs: number;
  toMs: number;
}

type Child = Bun.Subprocess<"ignore", "ignore", number>;

export class Machine {
  readonly name: string;
  readonly options: MachineOptions;
  readonly disturbances: Disturbance[] = [];
  readonly violations: Violation[] = [];
  /** How often it was started again, by what had ended it. */
  readonly recoveries = new Map<string, number>();
  /** The longest that a start took to be ready. */
  slowestStartMs = 0;
  clockMs: number;
  /** A fault has it in hand: no other may touch it. */
  isHeld = false;
  /** Its disk misbehaves, or did in this life: it may end by itself. */
  mayEnd = false;
  private child: Child | undefined;
  private isReady_ = false;
  private isWanted = false;
  private away: Disturbance | undefined;

  constructor(options: MachineOptions) {
    this.options = options;
    this.name = nameOf(options.index);
    this.clockMs = options.clockMs;
  }

  get url(): string {
    return this.options.network.urlOf(this.options.index);
  }

  get isUp(): boolean {
    return this.child !== undefined;
  }

  get isReady(): boolean {
    return this.isUp && this.isReady_;
  }

  /** Starts a process; ready when it says so. @param after what had ended the one before */
  start(after = ""): void {
    if (this.isUp) return;
    if (after !== "") this.recoveries.set(after, (this.recoveries.get(after) ?? 0) + 1);
    const { network, index, dataDir, logPath, args } = this.options;
    mkdirSync(join(dataDir, ".."), { recursive: true });
    const words = [process.execPath, "--no-orphans", MAIN, "serve", "--node-id", this.name];
    const place = ["--data-dir", dataDir, "--rack", `rack${index + 1}`, ...network.argsOf(index)];
    const environment = Object.entries(this.environment()).map((pair) => pair.join("="));
    // Libraries are loaded into the node and not into what enters its namespace.
    const command = ["env", ...environment, ...words, ...place, ...ARGS, ...args];
    const log = openSync(logPath, "a");
    const child: Child = Bun.spawn([...network.commandOf(index, command)], {
      env: cleanEnvironment(),
      stdin: "ignore",
      stdout: "ignore",
      stderr: log,
    });
    closeSync(log);
    this.child = child;
    this.isWanted = true;
    this.isReady_ = false;
    void child.exited.then(() => this.ended(child));
    void this.becomeReady(child);
  }

  private environment(): Readonly<Record<string, string>> {
    const { faketime, syncFaults } = this.options;
    const clock = faketime === undefined ? {} : clockEnvironment(faketime, this.clockMs);
    const both = [clock, syncFaults?.environment ?? {}];
    const preload = both.flatMap((own) => own["LD_PRELOAD"] ?? []).join(" ");
    return { ...both[0], ...both[1], ...(preload !== "" && { LD_PRELOAD: preload }) };
  }

  private async becomeReady(child: Child): Promise<void> {
    const startMs = this.options.nowMs();
    while (this.child === child) {
      const signal = AbortSignal.timeout(READY_ANSWER_MS);
      const isReady = await fetch(`${this.url}/readyz`, { signal, keepalive: false }).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isReady && this.child === child) {
        this.isReady_ = true;
        this.slowestStartMs = Math.max(this.slowestStartMs, this.options.nowMs() - startMs);
        this.endDisturbance();
        return;
      }
      await Bun.sleep(READY_POLL_MS);
    }
  }

  /** kill -9, and the end of it. */
  async kill(): Promise<void> {
    this.isWanted = false;
    const { child } = this;
    if (child === undefined) return;
    this.disturb();
    child.kill("SIGKILL");
    await Promise.race([child.exited, Bun.sleep(END_MS_MAX)]);
    if (child.exitCode === null && child.signalCode === null)
      throw new Error(`${this.name} survives SIGKILL`);
    if (this.child === child) this.child = undefined;
  }

  stop(): void {
    this.disturb();
    this.child?.kill("SIGSTOP");
  }

  wake(): void {
    this.child?.kill("SIGCONT");
    // One that was still starting is not there yet.
    if (this.isReady) this.endDisturbance();
  }

  /** Was it away, or did it stand still, at any time since `sinceMs`? */
  wasDisturbed(sinceMs: number): boolean {
    return this.disturbances.some(({ toMs }) => toMs >= sinceMs);
  }

  /** When all that was sent to it before `atMs` has surely been seen by it, or never will be. */
  awakeAfter(atMs: number): number {
    const asleep = this.disturbances.filter(({ fromMs, toMs }) => fromMs <= atMs && toMs >= atMs);
    return Math.max(atMs, ...asleep.map(({ toMs }) => toMs));
  }

  private disturb(): void {
    if (this.away !== undefined) return;
    this.away = { fromMs: this.options.nowMs(), toMs: Infinity };
    this.disturbances.push(this.away);
  }

  private endDisturbance(): void {
    if (this.away === undefined) return;
    this.away.toMs = this.options.nowMs();
    this.away = undefined;
  }

  private ended(child: Child): void {
    if (this.child !== child) return;
    this.child = undefined;
    this.disturb();
    if (!this.isWanted) return;
    if (!this.mayEnd) this.blame(child.exitCode ?? child.signalCode);
    setTimeout(() => {
      if (this.isWanted && !this.isUp) this.start("its own end");
    }, AGAIN_MS);
  }

  private blame(end: number | string | null): void {
    const at = (this.options.nowMs() / 1000).toFixed(1);
    const message = `${this.name} ended by itself with ${end} at ${at} s; its log is ${this.options.logPath}`;
    this.violations.push({ invariant: "S10", message, key: "" });
  }
}

/** Nothing of this machine's own configuration reaches a node. */
function cleanEnvironment(): Record<string, string> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("HUTCH_"));
  return { ...(Object.fromEntries(own) as Record<string, string>), BUN_BE_BUN: "1", NO_COLOR: "1" };
}
