/**
 * A data directory on a real file system.
 *
 * - Files are made with mode 0600, directories with 0700; an entry that is a symbolic link is refused (FAULTS.md Q14).
 * - Bun opens every descriptor with O_CLOEXEC, so no child process inherits a file or the lock.
 * - `map` needs write permission on the file although it never writes: `Bun.mmap` opens it that way.
 *   On a read-only file system it fails with `read-only`, and the caller reads instead.
 */
import * as fs from "node:fs";
import * as nodePath from "node:path";
import { assert } from "../base/assert.ts";
import { type Disk, DiskError, type DiskFile, type DiskLock } from "../ports/disk.ts";
import { calling, diskErrorOf } from "./disk-errors.ts";
import { BunDiskFile } from "./disk-file.ts";
import { lockDescriptor } from "./disk-lock.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants;

export class BunDisk implements Disk {
  /** Absolute path of the data directory. */
  readonly root: string;
  /** Opened with the first sync of the directory, for the life of the process; -1 before. */
  private rootDescriptor = -1;

  /** Makes the directory when only its last part is missing; a missing parent is `not-found`, most likely a typing error. */
  constructor(root: string) {
    this.root = nodePath.resolve(root);
    calling("open data directory", this.root, () => {
      if (fs.existsSync(this.root)) {
        if (!fs.statSync(this.root).isDirectory())
          throw new DiskError(
            "io",
            this.root,
            `Cannot open data directory "${this.root}": it is not a directory`,
          );
        return;
      }
      fs.mkdirSync(this.root, { mode: DIRECTORY_MODE });
      syncDirectoryAt(nodePath.dirname(this.root));
    });
  }

  create(path: string): DiskFile {
    return this.openFile("create", path, O_RDWR | O_CREAT | O_EXCL);
  }

  open(path: string, mode: "read" | "read-write"): DiskFile {
    return this.openFile("open", path, mode === "read" ? O_RDONLY : O_RDWR);
  }

  map(path: string): Uint8Array {
    const full = this.resolve(path);
    return calling("map", path, () => Bun.mmap(full, { shared: false }));
  }

  link(source: string, target: string): void {
    const from = this.resolve(source);
    const to = this.resolve(target);
    calling("link", target, () => fs.linkSync(from, to));
  }

  rename(source: string, target: string): void {
    const from = this.resolve(source);
    const to = this.resolve(target);
    calling("rename", source, () => fs.renameSync(from, to));
  }

  unlink(path: string): void {
    const full = this.resolve(path);
    calling("unlink", path, () => fs.unlinkSync(full));
  }

  list(directory: string): string[] {
    const full = this.resolve(directory);
    const names = calling("list", directory, () => fs.readdirSync(full, { encoding: "buffer" }));
    return names.sort(Buffer.compare).map(String);
  }

  makeDirectory(directory: string): void {
    const full = this.resolve(directory);
    calling("make directory", directory, () =>
      fs.mkdirSync(full, { recursive: true, mode: DIRECTORY_MODE }),
    );
  }

  removeDirectory(directory: string): void {
    const full = this.resolve(directory);
    calling("remove directory", directory, () => fs.rmdirSync(full));
  }

  sizeOf(path: string): number {
    const full = this.resolve(path);
    const stat = calling("measure", path, () => fs.lstatSync(full, { throwIfNoEntry: false }));
    return stat?.isFile() ? stat.size : -1;
  }

  /** The inode; not the device, whose number may change from boot to boot. */
  fileIdentity(path: string): string {
    const full = this.resolve(path);
    return calling("look at", path, () => String(fs.statSync(full, { bigint: true }).ino));
  }

  syncDirectory(directory: string): void {
    calling("sync directory", directory, () => {
      const descriptor = this.directoryDescriptor(directory);
      try {
        fs.fsyncSync(descriptor);
      } finally {
        this.letGo(descriptor);
      }
    });
  }

  syncDirectorySoon(directory: string): Promise<void> {
    const descriptor = calling("sync directory", directory, () =>
      this.directoryDescriptor(directory),
    );
    return new Promise((resolve, reject) => {
      fs.fsync(descriptor, (failure) => {
        this.letGo(descriptor);
        if (failure) reject(diskErrorOf("sync directory", directory, failure));
        else resolve();
      });
    });
  }

  /** That of the root is kept: a log segment must be registered also when no descriptor is left (row 90). */
  private directoryDescriptor(directory: string): number {
    if (directory !== "") return fs.openSync(this.resolve(directory), O_RDONLY);
    if (this.rootDescriptor < 0) this.rootDescriptor = fs.openSync(this.root, O_RDONLY);
    return this.rootDescriptor;
  }

  private letGo(descriptor: number): void {
    if (descriptor !== this.rootDescriptor) fs.closeSync(descriptor);
  }

  space(): { readonly freeBytes: number; readonly totalBytes: number } {
    const { bavail, blocks, bsize } = calling("measure", "", () => fs.statfsSync(this.root));
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  }

  lock(path: string, note: string): DiskLock {
    const full = this.resolve(path);
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW;
    const descriptor = calling("lock", path, () => fs.openSync(full, flags, FILE_MODE));
    return lockDescriptor(descriptor, path, note);
  }

  private openFile(action: string, path: string, flags: number): DiskFile {
    const full = this.resolve(path);
    return calling(action, path, () => {
      const descriptor = fs.openSync(full, flags | O_NOFOLLOW, FILE_MODE);
      return new BunDiskFile(path, descriptor, fs.fstatSync(descriptor).size);
    });
  }

  /** The absolute path of `path`, which leads through no symbolic link; the root itself may be one. */
  private resolve(path: string): string {
    const parts = path === "" ? [] : path.split("/");
    let full = this.root;
    for (const part of parts) {
      assert(part !== "" && part !== "." && part !== "..", `"${path}" stays inside the directory`);
      full = `${full}/${part}`;
      refuseLink(path, full);
    }
    return full;
  }
}

function refuseLink(path: string, full: string): void {
  const stat = calling("open", path, () => fs.lstatSync(full, { throwIfNoEntry: false }));
  if (stat?.isSymbolicLink()) {
    throw new DiskError("permission", path, `Cannot use "${path}": it is a symbolic link`);
  }
}

function syncDirectoryAt(full: string): void {
  const descriptor = fs.openSync(full, O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
