/**
 * Where the nodes of a run keep their data: plain directories, and one small disk that can be filled.
 *
 * A full disk is filled by a file of somebody else, as in life, and has room again when that is gone.
 */
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";

const SMALL_DISK_MIB = 64;
const CHUNK_BYTES = 1 << 20;

export class SmallDisk {
  readonly mountPoint: string;
  private readonly filler: string;

  private constructor(mountPoint: string) {
    this.mountPoint = mountPoint;
    this.filler = join(mountPoint, "filler");
  }

  static async make(mountPoint: string): Promise<SmallDisk> {
    mkdirSync(mountPoint, { recursive: true });
    const options = ["-t", "tmpfs", "-o", `size=${SMALL_DISK_MIB}m`];
    await run(["mount", ...options, "hutch-nemesis", mountPoint]);
    return new SmallDisk(mountPoint);
  }

  /** Takes all space but `leftBytes`. */
  fill(leftBytes: number): void {
    const file = openSync(this.filler, "w");
    const chunk = new Uint8Array(CHUNK_BYTES);
    try {
      for (let free = this.freeBytes(); free > leftBytes; free = this.freeBytes())
        writeSync(file, chunk, 0, Math.min(chunk.length, free - leftBytes));
    } catch (thrown) {
      // The node took the last of it: full is full.
      if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.filler, { force: true });
  }

  private freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.mountPoint);
    return bavail * bsize;
  }
}
