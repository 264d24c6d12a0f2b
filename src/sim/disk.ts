/**
 * A simulated disk: the port of a data directory, over an image that outlives the process.
 *
 *   const disk = new SimDisk({ seed: 7 });
 *   disk.crashAtCall(12);                           // the power goes at the twelfth call ...
 *   try { await workload(disk); } catch (thrown) {  // ... which throws SimCrash
 *     if (!(thrown instanceof SimCrash)) throw thrown;
 *   }
 *   const next = disk.powerLoss("strict");          // what the next start finds
 *
 * One `SimDisk` is one life of a process on the machine. `kill()` (kill -9: the page cache stays) and `powerLoss()` end it
 * and give the next life's disk on the same image; whatever the old life calls after that throws `SimCrash`.
 * Locks die with the process.
 *
 * A map is a copy made at the call: mapped files are immutable. A bad sector kills the process at the call, where a real
 * map would do so at the access. A directory is renamed only when its own entries are durable: what a power loss leaves of the rest is not modelled.
 */
import { assert } from "../base/assert.ts";
import { Prng } from "../base/prng.ts";
import type { Clock } from "../ports/clock.ts";
import {
  type Disk,
  DiskError,
  type DiskErrorKind,
  type DiskFile,
  type DiskLock,
} from "../ports/disk.ts";
import { SimCrash } from "./crash.ts";
import { DiskDamage } from "./disk-damage.ts";
import {
  changesSomething,
  type DiskCall,
  type DiskCallKind,
  type DiskFault,
  DiskFaults,
} from "./disk-faults.ts";
import { SimDiskFile } from "./disk-file.ts";
import { DiskImage, Inode, parentOf } from "./disk-image.ts";
import { losePower, type PowerLossProfile } from "./disk-power-loss.ts";

/** Later calls are counted, not kept. */
const CALLS_KEPT_MAX = 1_000_000;

export interface SimDiskOptions {
  readonly seed?: number | string;
  readonly prng?: Prng;
  /** For syncs that take time; without one they settle by microtasks. */
  readonly clock?: Clock;
  readonly image?: DiskImage;
  readonly faults?: DiskFaults;
}

/** What the process on the machine lends to its disk. */
export interface SimDiskHost {
  readonly clock: Clock;
  /** Called with each call before it has its effect; one that ends this life ends it at that call. */
  readonly onCall: (call: DiskCall) => void;
  /** Called once, when this life ends. */
  readonly onDeath: () => void;
}

export class SimDisk implements Disk {
  readonly image: DiskImage;
  readonly faults: DiskFaults;
  readonly damage: DiskDamage;
  readonly prng: Prng;
  /** Every call of this life, in order. */
  readonly calls: DiskCall[] = [];
  callCount = 0;
  private clock: Clock | undefined;
  private host: SimDiskHost | undefined;
  private readonly locks = new Set<string>();
  private openFiles = 0;
  private deathReason = "";
  private crashAt = Infinity;

  constructor(options: SimDiskOptions = {}) {
    this.clock = options.clock;
    this.prng = options.prng ?? new Prng(`disk/${options.seed ?? 0}`);
    this.image = options.image ?? new DiskImage();
    this.faults = options.faults ?? new DiskFaults();
    this.damage = new DiskDamage(this.image, this.prng.fork("damage"));
  }

  create(path: string): DiskFile {
    const fault = this.enter("create", path);
    this.requireDirectory("create", parentOf(path));
    if (this.image.visible.has(path)) throw failure("exists", "create", path);
    this.openOne(fault, "create", path);
    const inode = new Inode();
    this.image.perform({ kind: "link", path, entry: inode });
    return new SimDiskFile(this, path, inode, true);
  }

  open(path: string, mode: "read" | "read-write"): DiskFile {
    const fault = this.enter("open", path);
    const inode = this.inodeAt("open", path);
    if (this.faults.isReadOnly && mode === "read-write") throw failure("read-only", "open", path);
    this.openOne(fault, "open", path);
    return new SimDiskFile(this, path, inode, mode === "read-write");
  }

  map(path: string): Uint8Array {
    failOn(this.enter("map", path), "map", path);
    const inode = this.inodeAt("map", path);
    if (inode.visible.length === 0) throw failure("io", "map", path);
    if (inode.badRanges.length > 0)
      throw this.die(`SIGBUS: a bad sector under the map of "${path}"`);
    return inode.visible.slice();
  }

  link(source: string, target: string): void {
    failOn(this.enter("link", target), "link", target);
    const entry = this.inodeAt("link", source);
    this.requireDirectory("link", parentOf(target));
    if (this.image.visible.has(target)) throw failure("exists", "link", target);
    entry.hasLinks = true;
    this.image.perform({ kind: "link", path: target, entry });
  }

  rename(source: string, target: string): void {
    failOn(this.enter("rename", source), "rename", source);
    this.requireDirectory("rename", parentOf(target));
    if (this.image.visible.get(source) === "directory") {
      this.renameDirectory(source, target);
      return;
    }
    const entry = this.inodeAt("rename", source);
    if (this.image.visible.get(target) === "directory") throw failure("io", "rename", target);
    if (source !== target) this.image.perform({ kind: "rename", path: source, target, entry });
  }

  unlink(path: string): void {
    failOn(this.enter("unlink", path), "unlink", path);
    this.image.perform({ kind: "unlink", path, entry: this.inodeAt("unlink", path) });
  }

  list(directory: string): string[] {
    failOn(this.enter("list", directory), "list", directory);
    this.requireDirectory("list", directory);
    const prefix = directory === "" ? 0 : directory.length + 1;
    const children = this.image.childrenOf(directory);
    return children.map((path) => path.slice(prefix)).sort();
  }

  makeDirectory(directory: string): void {
    failOn(this.enter("makeDirectory", directory), "make directory", directory);
    if (directory !== "") this.makeParents(directory);
  }

  removeDirectory(directory: string): void {
    failOn(this.enter("removeDirectory", directory), "remove directory", directory);
    this.requireDirectory("remove directory", directory);
    if (this.image.childrenOf(directory).length > 0)
      throw failure("io", "remove directory", directory);
    this.image.perform({ kind: "unlink", path: directory, entry: "directory" });
  }

  sizeOf(path: string): number {
    failOn(this.enter("sizeOf", path), "measure", path);
    const entry = this.image.visible.get(path);
    return entry === undefined || entry === "directory" ? -1 : entry.visible.length;
  }

  /** An image goes from life to life as a whole; nobody copies files out of it. */
  fileIdentity(path: string): string {
    failOn(this.enter("sizeOf", path), "look at", path);
    this.inodeAt("look at", path);
    return "simulated";
  }

  syncDirectory(directory: string): void {
    failOn(this.enter("syncDirectory", directory), "sync directory", directory);
    this.requireDirectory("sync directory", directory);
    this.image.syncDirectory(directory);
  }

  async syncDirectorySoon(directory: string): Promise<void> {
    await this.syncDelay();
    this.syncDirectory(directory);
  }

  space(): { readonly freeBytes: number; readonly totalBytes: number } {
    failOn(this.enter("space", ""), "measure", "");
    return { freeBytes: this.freeBytes(), totalBytes: this.faults.quotaBytes };
  }

  lock(path: string, note: string): DiskLock {
    const fault = this.enter("lock", path);
    if (this.locks.has(path)) throw failure("locked", "lock", path);
    if (!this.image.visible.has(path)) {
      if (this.faults.isReadOnly) throw failure("read-only", "lock", path);
      this.requireDirectory("lock", parentOf(path));
      this.image.perform({ kind: "link", path, entry: new Inode() });
    }
    const inode = this.inodeAt("lock", path);
    this.openOne(fault, "lock", path);
    inode.resize(0);
    inode.write(new TextEncoder().encode(`${note}\n`), 0);
    this.locks.add(path);
    return { release: () => this.release(path) };
  }

  // The rest is for the harness and for `SimDiskFile`.

  /** The power goes at the `nth` call from now (1 = the next), before it has done anything. */
  crashAtCall(nth: number): void {
    assert(nth >= 1, "the next call is the first");
    this.crashAt = this.callCount + nth;
  }

  get isDead(): boolean {
    return this.deathReason !== "";
  }

  /** kill -9: what was written stays in the page cache, and pending. Returns the next life's disk. */
  kill(): SimDisk {
    this.die("the process was killed");
    return this.nextLife(this.image);
  }

  /** Returns the next life's disk, on what survived. */
  powerLoss(profile: PowerLossProfile = "strict", prng: Prng = this.prng): SimDisk {
    this.die("the power went");
    return this.nextLife(losePower(this.image, prng, profile));
  }

  /** Tells the disk of a new life whose it is. */
  attach(host: SimDiskHost): void {
    this.host = host;
    this.clock = host.clock;
  }

  /** A twin on a copy of the image, without the faults: branches of one state, old snapshots. This life goes on. */
  copy(): SimDisk {
    return new SimDisk({ prng: this.prng.fork("copy"), image: this.image.copy() });
  }

  /** Ends this life. Returns what to throw. */
  die(reason: string): SimCrash {
    if (!this.isDead) {
      this.deathReason = reason;
      this.host?.onDeath();
    }
    return new SimCrash(this.deathReason);
  }

  /** Counts one call; throws when the process is dead or the file system read-only. Returns the planned fault, if any. */
  enter(kind: DiskCallKind, path: string): DiskFault | undefined {
    this.requireLife();
    const call = { kind, path };
    this.callCount++;
    if (this.calls.length < CALLS_KEPT_MAX) this.calls.push(call);
    if (this.callCount >= this.crashAt) throw this.die(`the power went at call ${this.callCount}`);
    this.host?.onCall(call);
    // Whoever has heard of the call may have ended the process.
    this.requireLife();
    if (this.faults.isReadOnly && changesSomething(kind)) throw failure("read-only", kind, path);
    return this.faults.meet(kind);
  }

  freeBytes(): number {
    if (this.faults.quotaBytes === Infinity) return Infinity;
    return Math.max(0, this.faults.quotaBytes - this.image.usedBytes());
  }

  /** Waits for the device. The promise of a sync whose process has died in the meantime rejects or never settles. */
  async syncDelay(): Promise<void> {
    const { syncDelayMs } = this.faults;
    if (syncDelayMs === "never") await new Promise<never>(() => undefined);
    else if (syncDelayMs.max > 0) {
      const { clock } = this;
      assert(clock !== undefined, "a disk with slow syncs has a clock");
      const spread = syncDelayMs.max - syncDelayMs.min;
      await clock.sleep(syncDelayMs.min + this.prng.float() * spread);
    } else await undefined;
    this.requireLife();
  }

  closed(): void {
    this.openFiles--;
  }

  /** The device and its lasting faults stay the same; what was planned for the old life is over. */
  private nextLife(image: DiskImage): SimDisk {
    this.faults.clearPlanned();
    const prng = this.prng.fork(`life/${this.prng.u32()}`);
    const options = { prng, image, faults: this.faults };
    return new SimDisk(this.clock === undefined ? options : { ...options, clock: this.clock });
  }

  private requireLife(): void {
    if (this.isDead) throw new SimCrash(this.deathReason);
  }

  private release(path: string): void {
    if (this.isDead || !this.locks.delete(path)) return;
    this.enter("release", path);
    this.closed();
  }

  private openOne(fault: DiskFault | undefined, action: string, path: string): void {
    failOn(fault, action, path);
    if (this.openFiles >= this.faults.openFilesMax) throw failure("too-many-files", action, path);
    this.openFiles++;
  }

  private inodeAt(action: string, path: string): Inode {
    const entry = this.image.visible.get(path);
    if (entry === undefined) throw failure("not-found", action, path);
    if (entry === "directory") throw failure("io", action, path);
    return entry;
  }

  private requireDirectory(action: string, directory: string): void {
    if (directory === "") return;
    const entry = this.image.visible.get(directory);
    if (entry !== "directory") throw failure("not-found", action, directory);
  }

  private renameDirectory(source: string, target: string): void {
    if (this.image.visible.has(target)) throw failure("exists", "rename", target);
    assert(this.image.isSynced(source), `"${source}" is synced before it is renamed`);
    this.image.perform({ kind: "rename", path: source, target, entry: "directory" });
  }

  private makeParents(directory: string): void {
    const parent = parentOf(directory);
    if (parent !== "") this.makeParents(parent);
    const entry = this.image.visible.get(directory);
    if (entry instanceof Inode) throw failure("exists", "make directory", directory);
    if (entry === undefined)
      this.image.perform({ kind: "link", path: directory, entry: "directory" });
  }
}

function failOn(fault: DiskFault | undefined, action: string, path: string): void {
  if (fault !== undefined && fault !== "misdirected") throw failure(fault, action, path);
}

function failure(kind: DiskErrorKind, action: string, path: string): DiskError {
  return new DiskError(kind, path, `Cannot ${action} "${path}": simulated ${kind}`);
}
