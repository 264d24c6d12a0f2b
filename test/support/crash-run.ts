/**
 * One store through many lives on a simulated disk: batches, flushes and compactions run until the power goes (or the process is
 * killed) at a random file system call, also in the middle of recovery; then the next life begins on what the disk kept.
 *
 * Checked at the start of each life, in modes that sync: the content equals the batches applied so far up to some point k, and k is at least
 * the number of batches that had been acknowledged. So nothing acknowledged is lost, nothing is half there, and nothing is made up.
 */
import { Prng } from "../../src/base/prng.ts";
import { hex, utf8 } from "../../src/base/bytes.ts";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import type { Store, StoreOptions } from "../../src/storage/store.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { openStore, SMALL_OPTIONS } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export interface CrashRunResult {
  readonly lives: number;
  readonly recoveries: number;
  readonly applied: number;
  readonly acknowledged: number;
  /** Lives that ended while the store was still opening. */
  readonly crashedOpens: number;
  /** The same seed gives the same one. */
  readonly trace: string;
}

interface Step {
  readonly key: string;
  /** "" for a delete. */
  readonly value: string;
}

export interface CrashRunOptions {
  readonly seed: number | string;
  readonly lives: number;
  readonly crash: "power-loss" | "kill" | "either";
  readonly profile?: "strict" | "metadata-ordered";
  readonly fsync?: StoreOptions["fsync"];
  readonly callsMax?: number;
}

class CrashRun {
  private readonly prng: Prng;
  private readonly options: CrashRunOptions;
  private readonly storeOptions: StoreOptions;
  private readonly clock = new StillClock();
  private disk: SimDisk;
  /** Every batch that any life applied and that may still count, in order. */
  private batches: Step[][] = [];
  private acknowledgedCount = 0;
  private result = { lives: 0, recoveries: 0, applied: 0, acknowledged: 0, crashedOpens: 0 };
  private trace = 0;

  constructor(options: CrashRunOptions) {
    this.options = options;
    this.prng = new Prng(`crash/${options.seed}`);
    this.disk = new SimDisk({ seed: `${options.seed}` });
    this.storeOptions = {
      ...SMALL_OPTIONS,
      fsync: options.fsync ?? this.prng.pick(["group", "group", "always"] as const),
      memtableBytes: this.prng.pick([600, 2048, 8192]),
      blockBytes: this.prng.pick([64, 256, 1024]),
      level0Trigger: this.prng.pick([1, 2, 4]),
      readMode: this.prng.pick(["map", "read"] as const),
    };
  }

  async run(): Promise<CrashRunResult> {
    for (let life = 0; life < this.options.lives; life++) {
      this.disk.crashAtCall(this.prng.between(1, this.options.callsMax ?? 500));
      await this.live();
      this.result.lives++;
      this.note(this.disk.callCount);
      this.disk = this.nextDisk();
    }
    return { ...this.result, trace: (this.trace >>> 0).toString(16) };
  }

  private nextDisk(): SimDisk {
    const { crash, profile } = this.options;
    const isPower = crash === "power-loss" || (crash === "either" && this.prng.chance(0.5));
    if (!this.disk.isDead) this.disk.die("the harness ends this life");
    return isPower ? this.disk.powerLoss(profile ?? "strict", this.prng) : this.disk.kill();
  }

  private async live(): Promise<void> {
    let store: Store | undefined;
    try {
      const opened = await openStore(
        { disk: this.disk, clock: this.clock, random: randomOf(this.prng) },
        this.storeOptions,
      );
      store = opened.store;
      this.check(store);
      this.result.recoveries++;
      await this.work(store);
      if (this.prng.chance(0.3)) await opened.close();
    } catch (error) {
      if (!this.disk.isDead || !isOfCrash(error)) throw error;
      if (store === undefined) this.result.crashedOpens++;
    }
  }

  private async work(store: Store): Promise<void> {
    const pending: Promise<void>[] = [];
    for (let step = 0; step < 400; step++) {
      if (this.disk.isDead) break;
      const dice = this.prng.below(100);
      if (dice === 0) await store.flush();
      else if (dice === 1) await store.compact();
      else if (dice < 12) await Promise.allSettled(pending.splice(0));
      else pending.push(this.applyOne(store).catch(ignoreCrash));
    }
    await Promise.allSettled(pending);
  }

  private async applyOne(store: Store): Promise<void> {
    try {
      for (let wait = store.admit(); wait !== undefined; wait = store.admit()) await wait;
    } catch (error) {
      if (error instanceof HutchError && error.code === "overloaded") return;
      throw error;
    }
    const steps = this.randomSteps();
    const batch = new WriteBatch();
    for (const { key, value } of steps)
      if (value === "") batch.delete(utf8(key));
      else batch.put(utf8(key), utf8(value));
    const durable = store.apply(batch);
    this.batches.push(steps);
    this.result.applied++;
    const index = this.batches.length;
    await durable;
    this.acknowledgedCount = Math.max(this.acknowledgedCount, index);
    this.result.acknowledged++;
  }

  private randomSteps(): Step[] {
    return Array.from({ length: this.prng.between(1, 3) }, () => ({
      key: `${this.prng.below(4)}key${this.prng.below(40)}`,
      value: this.prng.chance(0.2) ? "" : hex(this.prng.bytes(this.prng.between(1, 60))),
    }));
  }

  /** Finds k; what lies behind it never happened. */
  private check(store: Store): void {
    const content = contentOf(store);
    const model = new Map<string, string>();
    const floor = this.storeOptions.fsync === "os" ? 0 : this.acknowledgedCount;
    let matched = floor === 0 && sameMaps(content, model) ? 0 : -1;
    for (let k = 1; k <= this.batches.length; k++) {
      for (const { key, value } of this.batches[k - 1]!) {
        if (value === "") model.delete(key);
        else model.set(key, value);
      }
      if (k >= floor && sameMaps(content, model)) matched = k;
    }
    if (matched < floor)
      throw new Error(
        `seed ${this.options.seed}, life ${this.result.lives}: content equals no state after ${floor}..${this.batches.length} batches`,
      );
    this.batches = this.batches.slice(0, matched);
    this.acknowledgedCount = matched; // what was recovered is in synced tables now
    this.note(matched);
    for (const [key, value] of content) {
      const read = store.get(utf8(key));
      if (read === undefined || hex(read.value) !== hex(utf8(value)))
        throw new Error(`get and scan differ for "${key}"`);
    }
  }

  private note(value: number): void {
    this.trace = Math.imul(this.trace ^ value, 0x01000193);
  }
}

function contentOf(store: Store): Map<string, string> {
  const snapshot = store.snapshot();
  const decoder = new TextDecoder();
  const content = new Map<string, string>();
  const iterator = snapshot.iterator();
  for (iterator.seekToFirst(); iterator.isValid; iterator.next())
    content.set(
      decoder.decode(iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd)),
      decoder.decode(iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd)),
    );
  snapshot.close();
  return content;
}

function sameMaps(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

function ignoreCrash(error: unknown): void {
  if (!isOfCrash(error)) throw error;
}

/** Everything that a dying disk can make the code above it throw. */
function isOfCrash(error: unknown): boolean {
  return (
    error instanceof SimCrash ||
    (error instanceof HutchError &&
      !(error instanceof CorruptionError) &&
      error.code !== "data-refused") ||
    error instanceof DiskError
  );
}

function randomOf(prng: Prng) {
  return { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
}

export function crashRun(options: CrashRunOptions): Promise<CrashRunResult> {
  return new CrashRun(options).run();
}
