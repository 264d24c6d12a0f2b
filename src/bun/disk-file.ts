/**
 * One open file: positioned reads and writes on a descriptor.
 *
 * Only one handle of a file may append at a time: the end of the file is kept here, which saves a call per append.
 * Durable bytes come from `writeSync` and `fdatasync` and nothing else; the writers of Bun do not sync (BUN.md, Disk).
 */
import * as fs from "node:fs";
import { assert } from "../base/assert.ts";
import type { DiskFile } from "../ports/disk.ts";
import { calling, diskErrorOf } from "./disk-errors.ts";

export class BunDiskFile implements DiskFile {
  readonly path: string;
  private readonly descriptor: number;
  private endOffset: number;
  private isClosed = false;
  /** A descriptor closed under a running sync could be another file's by the time the thread uses it. */
  private syncsRunning = 0;

  constructor(path: string, descriptor: number, size: number) {
    this.path = path;
    this.descriptor = descriptor;
    this.endOffset = size;
  }

  size(): number {
    return calling("measure", this.path, () => fs.fstatSync(this.open()).size);
  }

  read(target: Uint8Array, offset: number): number {
    const descriptor = this.open();
    return calling("read", this.path, () => {
      let done = 0;
      while (done < target.length) {
        const count = fs.readSync(descriptor, target, done, target.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  }

  append(bytes: Uint8Array): void {
    try {
      this.writeAll("append to", bytes, this.endOffset);
      this.endOffset += bytes.length;
    } catch (thrown) {
      // A prefix may be there: the next append must not write over it unless the caller has truncated.
      this.endOffset = this.size();
      throw thrown;
    }
  }

  write(bytes: Uint8Array, offset: number): void {
    this.writeAll("write", bytes, offset);
    this.endOffset = Math.max(this.endOffset, offset + bytes.length);
  }

  truncate(size: number): void {
    calling("truncate", this.path, () => fs.ftruncateSync(this.open(), size));
    this.endOffset = size;
  }

  sync(): Promise<void> {
    const descriptor = this.open();
    this.syncsRunning++;
    return new Promise((resolve, reject) => {
      fs.fdatasync(descriptor, (failure) => {
        this.syncsRunning--;
        if (this.isClosed) this.closeWhenIdle();
        if (failure) reject(diskErrorOf("sync", this.path, failure));
        else resolve();
      });
    });
  }

  syncNow(): void {
    calling("sync", this.path, () => fs.fdatasyncSync(this.open()));
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closeWhenIdle();
  }

  private closeWhenIdle(): void {
    if (this.syncsRunning === 0) {
      calling("close", this.path, () => fs.closeSync(this.descriptor));
    }
  }

  private writeAll(action: string, bytes: Uint8Array, offset: number): void {
    const descriptor = this.open();
    calling(action, this.path, () => {
      let done = 0;
      while (done < bytes.length) {
        done += fs.writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
      }
    });
  }

  /** The descriptor, of which the caller knows that it has not been closed. */
  private open(): number {
    assert(!this.isClosed, `the file "${this.path}" is open`);
    return this.descriptor;
  }
}
