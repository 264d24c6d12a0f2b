/** An open file of a simulated disk. Every call goes through `SimDisk.enter`, where it is counted and may fail. */
import { assert } from "../base/assert.ts";
import { DiskError, type DiskFile } from "../ports/disk.ts";
import type { SimDisk } from "./disk.ts";
import type { DiskFault } from "./disk-faults.ts";
import type { Inode } from "./disk-image.ts";

export class SimDiskFile implements DiskFile {
  readonly path: string;
  private readonly disk: SimDisk;
  private readonly inode: Inode;
  private readonly isWritable: boolean;
  private isClosed = false;

  constructor(disk: SimDisk, path: string, inode: Inode, isWritable: boolean) {
    this.disk = disk;
    this.path = path;
    this.inode = inode;
    this.isWritable = isWritable;
  }

  size(): number {
    this.failOn(this.enter("size"), "measure");
    return this.inode.visible.length;
  }

  read(target: Uint8Array, offset: number): number {
    const fault = this.enter("read");
    this.failOn(fault, "read");
    const from = fault === "misdirected" ? this.misdirect(offset) : offset;
    const bytes = this.inode.visible.slice(from, from + target.length);
    if (this.inode.badRanges.some((bad) => bad.start < from + bytes.length && from < bad.end)) {
      throw this.error("io", "read");
    }
    target.set(bytes);
    return bytes.length;
  }

  append(bytes: Uint8Array): void {
    const fault = this.enter("append");
    this.put("append to", bytes, this.inode.visible.length, fault);
  }

  write(bytes: Uint8Array, offset: number): void {
    this.put("write", bytes, offset, this.enter("write"));
  }

  truncate(size: number): void {
    const fault = this.enter("truncate");
    this.requireWritable("truncate");
    this.failOn(fault, "truncate");
    this.inode.resize(size);
  }

  async sync(): Promise<void> {
    const fault = this.enter("sync");
    const mark = this.inode.mark();
    await this.disk.syncDelay();
    this.finishSync(mark, fault);
  }

  syncNow(): void {
    const fault = this.enter("syncNow");
    this.finishSync(this.inode.mark(), fault);
  }

  close(): void {
    if (this.isClosed) return;
    this.disk.enter("closeFile", this.path);
    this.isClosed = true;
    this.disk.closed();
  }

  /** Writes what the fault and the quota let through, then fails if that was not all. */
  private put(
    action: string,
    bytes: Uint8Array,
    offset: number,
    fault: DiskFault | undefined,
  ): void {
    this.requireWritable(action);
    if (fault === "misdirected") {
      this.inode.write(bytes, offset, this.misdirect(offset));
      return;
    }
    const allowed = fault === undefined ? bytes.length : this.disk.prng.between(0, bytes.length);
    const growth = Math.max(0, offset + allowed - this.inode.visible.length);
    const shortage = Math.max(0, growth - this.disk.freeBytes());
    const written = Math.max(0, allowed - shortage);
    if (written > 0) this.inode.write(bytes.subarray(0, written), offset);
    this.failOn(fault, action);
    if (written < bytes.length) throw this.error("no-space", action);
  }

  /**
   * A failed sync is the fsyncgate kind: what was pending is marked clean, stays readable, and is not on the disk; the
   * next sync succeeds and means nothing.
   */
  private finishSync(mark: number, fault: DiskFault | undefined): void {
    const hasFailed = fault !== undefined && fault !== "misdirected";
    this.inode.settle(mark, !hasFailed);
    this.failOn(fault, "sync");
  }

  private misdirect(offset: number): number {
    const sectors = Math.max(2, Math.ceil(this.inode.visible.length / 512));
    const wrong = this.disk.prng.below(sectors) * 512 + (offset % 512);
    return wrong === offset ? offset + 512 : wrong;
  }

  private enter(kind: Parameters<SimDisk["enter"]>[0]): DiskFault | undefined {
    assert(!this.isClosed, `the file "${this.path}" is open`);
    return this.disk.enter(kind, this.path);
  }

  private requireWritable(action: string): void {
    if (!this.isWritable) throw this.error("io", action);
  }

  private failOn(fault: DiskFault | undefined, action: string): void {
    if (fault !== undefined && fault !== "misdirected") throw this.error(fault, action);
  }

  private error(kind: DiskError["kind"], action: string): DiskError {
    return new DiskError(kind, this.path, `Cannot ${action} "${this.path}": simulated ${kind}`);
  }
}
