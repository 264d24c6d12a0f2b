/**
 * A real file system whose power can be cut, as often as one likes.
 *
 *   tmpfs  root/                     everything below is memory, and gone with it
 *   ext4   root/stage/               on a loop device over root/stage.img
 *   ext4   root/disk/                on a loop device over root/stage/disk.img: `mountPoint`
 *
 * Power loss, `lose`: the shutdown call of ext4 and xfs. From that instant on nothing reaches the device and every call gets EIO. The
 * processes on it are ended, it is unmounted, which throws away what was only in the page cache, and mounted again, which replays the journal.
 *
 * Crash image, `snapshot`: the bytes of the device at one instant while everything runs on, mounted as a disk of their own. A plain copy of
 * a file that changes is no such instant: its blocks are of different times, and a journal that is older than what it describes is no state
 * that a power loss leaves. So the stage is frozen while the copy is made. That stops the loop device between two of its writes; the file
 * system on top knows nothing of it and is in the middle of whatever it does.
 *
 * What it cannot show: the order in which a drive with a volatile cache writes. The device keeps every write that it has finished.
 *
 * Needs root, loop devices and mkfs; `available` says what is missing. The paths carry the process id of their maker: `sweepPowerLossDisks`
 * removes what this process and dead ones have left.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { leftoversOf, makeOwnDirectory } from "./leftovers.ts";

export type FileSystem = "ext4" | "xfs";

export interface PowerLossDiskOptions {
  /** Default 64; xfs takes no less than 300. */
  readonly mib?: number;
  /** Shown in its path. */
  readonly name?: string;
  /** Default ext4. */
  readonly fileSystem?: FileSystem;
  /** ext4: 1024 is its own choice for a small disk. */
  readonly blockBytes?: 1024 | 2048 | 4096;
  /** Besides `noatime`; `data=writeback` lets ext4 show sizes whose bytes were never written. */
  readonly mountOptions?: string;
}

export interface LossOptions {
  /** Ends the processes that have files open on it. Without it the caller ends them, before or meanwhile. */
  readonly end?: () => Promise<unknown>;
  /** Writes the file system's journal first: all operations on directories so far have happened, file contents have not. */
  readonly isLogFlushed?: boolean;
}

const PREFIX = "hutch-power-loss-";
/** EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one: `_IOR('X', 125, u32)`. Its argument says what is written first: the log, or nothing. */
const SHUTDOWN = 0x8004587d;
const LOG_FLUSHED = 1;
const LOG_NOT_FLUSHED = 2;
/** FIFREEZE and FITHAW, `_IOWR('X', 119, int)` and `120`. */
const FREEZE = 0xc0045877;
const THAW = 0xc0045878;
const UNMOUNT_TIMEOUT_MS = 10_000;
const UNMOUNT_POLL_MS = 10;
const MIB_DEFAULT = 64;
/** Journal and tables of the stage, besides the file that it carries. */
const STAGE_SPARE_MIB = 24;
const TRIAL_MIB = 8;

let loadedControl: ReturnType<typeof loadControl> | undefined;

function loadControl() {
  const types = { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 } as const;
  return dlopen("libc.so.6", { ioctl: types }).symbols.ioctl;
}

/** `ioctl` with a number as its argument, on the root of a file system. */
function control(path: string, request: number, value: number): void {
  loadedControl ??= loadControl();
  const argument = new Uint32Array([value]);
  const descriptor = openSync(path, "r");
  try {
    if (loadedControl(descriptor, request, ptr(argument)) !== 0)
      throw new Error(`Cannot send ${request.toString(16)} to the file system of "${path}"`);
  } finally {
    closeSync(descriptor);
  }
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}

function mountFile(file: string, at: string, options: string): void {
  mkdirSync(at, { recursive: true });
  run("mount", "-o", `loop,noatime${options === "" ? "" : `,${options}`}`, file, at);
}

function format(file: string, mib: number, fileSystem: FileSystem, blockBytes: number): void {
  writeFileSync(file, "");
  truncateSync(file, mib << 20);
  if (fileSystem === "xfs") run("mkfs.xfs", "-q", "-f", file);
  else run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", String(blockBytes), file);
}

let verdict: { readonly why: string | undefined } | undefined;

export class PowerLossDisk {
  readonly mountPoint: string;
  readonly #root: string;
  readonly #file: string;
  readonly #options: Required<PowerLossDiskOptions>;

  private constructor(options: PowerLossDiskOptions, imageOf?: PowerLossDisk) {
    const { mib = MIB_DEFAULT, name = "disk", fileSystem = "ext4" } = options;
    const { blockBytes = 1024, mountOptions = "" } = options;
    this.#options = { mib, name, fileSystem, blockBytes, mountOptions };
    this.#root = makeOwnDirectory(PREFIX, name);
    this.mountPoint = join(this.#root, "disk");
    this.#file = imageOf ? join(this.#root, "disk.img") : join(this.#stage, "disk.img");
    try {
      run("mount", "-t", "tmpfs", "-o", `size=${2 * mib + STAGE_SPARE_MIB}m`, PREFIX, this.#root);
      if (imageOf) imageOf.#copyTo(this.#file);
      else this.#build();
      this.#mount();
    } catch (thrown) {
      removeRoot(this.#root);
      throw thrown;
    }
  }

  /** Why this machine cannot, found out by trying it; `undefined` where it can. */
  static available(): string | undefined {
    verdict ??= { why: whyNot(() => new PowerLossDisk({ mib: TRIAL_MIB, name: "trial" })) };
    return verdict.why;
  }

  static make(options: PowerLossDiskOptions = {}): PowerLossDisk {
    const why = PowerLossDisk.available();
    if (why !== undefined) throw new Error(`Cannot make a disk that loses its power: ${why}`);
    return new PowerLossDisk(options);
  }

  get #stage(): string {
    return join(this.#root, "stage");
  }

  /** The whole of a power loss. It has its power again when this settles; what was durable is there. */
  async lose({ end, isLogFlushed = false }: LossOptions = {}): Promise<void> {
    this.cut(isLogFlushed);
    await end?.();
    await this.restore();
  }

  /** The instant itself: nothing reaches the device any more, every call on the disk fails. */
  cut(isLogFlushed = false): void {
    control(this.mountPoint, SHUTDOWN, isLogFlushed ? LOG_FLUSHED : LOG_NOT_FLUSHED);
  }

  /** After a cut, and once nobody has a file open on it: unmounts, mounts, replays the journal. */
  async restore(): Promise<void> {
    await unmount(this.mountPoint);
    this.#mount();
  }

  /** What would be there if the power went now, on a disk of its own, of which there are no snapshots. */
  snapshot(): PowerLossDisk {
    if (!existsSync(this.#stage)) throw new Error("Cannot take a snapshot of a snapshot");
    const { name } = this.#options;
    return new PowerLossDisk({ ...this.#options, name: `${name}-image` }, this);
  }

  /** Once nobody has a file open on it. */
  async close(): Promise<void> {
    await unmount(this.mountPoint);
    removeRoot(this.#root);
  }

  #build(): void {
    const { mib, fileSystem, blockBytes } = this.#options;
    const image = join(this.#root, "stage.img");
    format(image, mib + STAGE_SPARE_MIB, "ext4", 4096);
    mountFile(image, this.#stage, "");
    format(this.#file, mib, fileSystem, blockBytes);
  }

  #mount(): void {
    mountFile(this.#file, this.mountPoint, this.#options.mountOptions);
  }

  #copyTo(file: string): void {
    control(this.#stage, FREEZE, 0);
    try {
      run("cp", "--sparse=always", this.#file, file);
    } finally {
      control(this.#stage, THAW, 0);
    }
  }
}

/** Waits for those that have files open on it. */
async function unmount(path: string): Promise<void> {
  const deadlineMs = performance.now() + UNMOUNT_TIMEOUT_MS;
  for (;;) {
    try {
      return run("umount", path);
    } catch (thrown) {
      if (performance.now() > deadlineMs) throw thrown;
    }
    await Bun.sleep(UNMOUNT_POLL_MS);
  }
}

/** Whatever is mounted at or below it goes, even where a file is open; a stage that was left frozen is thawed. */
function removeRoot(root: string): void {
  const stage = join(root, "stage");
  const mounted = mountPoints().filter((path) => path === root || path.startsWith(`${root}/`));
  if (mounted.includes(stage)) {
    try {
      control(stage, THAW, 0);
    } catch {
      // It was not frozen.
    }
  }
  // What is mounted on top goes first.
  for (const path of mounted.sort((a, b) => b.length - a.length))
    Bun.spawnSync(["umount", "-l", path], { stderr: "ignore" });
  rmSync(root, { recursive: true, force: true });
}

function mountPoints(): string[] {
  const lines = readFileSync("/proc/self/mounts", "latin1").split("\n");
  return lines.map((line) => line.split(" ")[1] ?? "");
}

/** Removes the disks of this process and of processes that are gone; returns how many. */
export function sweepPowerLossDisks(): number {
  const roots = leftoversOf(PREFIX);
  for (const root of roots) removeRoot(root);
  return roots.length;
}

/** A small disk that loses its power once, and is copied once. */
function whyNot(make: () => PowerLossDisk): string | undefined {
  if (process.platform !== "linux") return `${process.platform} has no shutdown call`;
  if (process.getuid?.() !== 0) return "this user may not mount (not root)";
  const tools = ["mount", "umount", "mkfs.ext4", "cp"];
  const missing = tools.filter((tool) => Bun.which(tool) === null);
  if (missing.length > 0) return `there is no ${missing.join(", ")}`;
  if (!existsSync("/dev/loop-control")) return "there are no loop devices";
  let disk: PowerLossDisk | undefined;
  try {
    disk = make();
    const image = disk.snapshot();
    run("umount", image.mountPoint);
    removeRoot(join(image.mountPoint, ".."));
    disk.cut();
    run("umount", disk.mountPoint);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } finally {
    if (disk !== undefined) removeRoot(join(disk.mountPoint, ".."));
  }
}
