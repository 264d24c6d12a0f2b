/**
 * ALIVE: when this node was last alive (R43). A line every ten seconds, or more often where absences are counted in seconds, and at a clean stop; the
 * last whole line counts.
 *
 *   line = Unix ms in digits, space, CRC-32 of the digits in eight hex digits, newline
 *
 * A line that a crash has torn is not whole, and the one before it tells of ten seconds less. A file that has grown to `LINES_MAX` is replaced. What a disk
 * does not take is lost, and makes the node look absent for longer than it was: the careful side.
 */
import { utf8 } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { crc32 } from "../kernels/kernels.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Disk, DiskFile } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import { ALIVE_FILE, temporaryName } from "./file-names.ts";
import { readWholeFile } from "./log/log-scan.ts";

export const ALIVE_EVERY_MS = 10_000;
/** About 100 KiB, nearly twelve hours. */
const LINES_MAX = 4096;
const INSTANT = /^\d{1,15}$/;

/** Unix ms; `undefined` where nobody has ever said so, 0 where it cannot be read any more. */
export function lastAliveMs(disk: Disk): number | undefined {
  if (disk.sizeOf(ALIVE_FILE) < 0) return undefined;
  for (const line of linesOf(readWholeFile(disk, ALIVE_FILE)).reverse()) {
    const [digits = "", checksum] = line.split(" ");
    if (checksum === checksumOf(digits) && INSTANT.test(digits)) return Number(digits);
  }
  return 0;
}

/** Byte by byte: behind the last whole line a power loss may have left anything. */
function linesOf(bytes: Uint8Array): string[] {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text.split("\n");
}

const checksumOf = (digits: string): string => crc32(utf8(digits)).toString(16).padStart(8, "0");

/** Says that this node is alive, from `start` to `stop`. */
export class AliveMark {
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly everyMs: number;
  private file: DiskFile | undefined;
  private lineCount = 0;
  private timer: Timer | undefined;
  private syncing: Promise<void> | undefined;
  private isStarted = false;

  constructor(disk: Disk, clock: Clock, logger: Logger, everyMs = ALIVE_EVERY_MS) {
    this.disk = disk;
    this.clock = clock;
    this.logger = logger;
    this.everyMs = everyMs;
  }

  /** Not before the node may serve what it has: until then the last mark stands, whatever crashes in between. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    this.beat();
  }

  private beat(): void {
    this.mark();
    this.timer = this.clock.after(this.everyMs, () => this.beat());
  }

  private mark(): void {
    // A disk that takes so long for the last one is somebody else's to judge.
    if (this.syncing !== undefined) return;
    try {
      if (this.file === undefined || this.lineCount >= LINES_MAX) this.replace();
      else this.append(this.file);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  /** A new file with one line takes the place of the old one, all at once. */
  private replace(): void {
    const temporary = temporaryName(ALIVE_FILE);
    if (this.disk.sizeOf(temporary) >= 0) this.disk.unlink(temporary);
    const file = this.disk.create(temporary);
    try {
      file.append(this.line());
      file.syncNow();
      this.disk.rename(temporary, ALIVE_FILE);
      this.disk.syncDirectory("");
    } catch (thrown) {
      file.close();
      throw thrown;
    }
    this.file?.close();
    this.file = file;
    this.lineCount = 1;
  }

  private append(file: DiskFile): void {
    file.append(this.line());
    this.lineCount++;
    this.syncing = file
      .sync()
      .catch((thrown: unknown) => this.fail(thrown))
      .finally(() => (this.syncing = undefined));
  }

  private line(): Uint8Array {
    const digits = String(Math.floor(this.clock.wallMs()));
    return utf8(`${digits} ${checksumOf(digits)}\n`);
  }

  /** What a failed sync leaves is unknown, so the next mark goes into a new file (C15). */
  private fail(thrown: unknown): void {
    this.logger.warn("alive_not_marked", { reason: messageOf(thrown) });
    const { file } = this;
    this.file = undefined;
    try {
      file?.close();
    } catch (again) {
      this.logger.warn("alive_not_closed", { reason: messageOf(again) });
    }
  }

  /** @param isClean everything else is on disk; the last mark is exact then */
  async stop(isClean: boolean): Promise<void> {
    this.timer?.cancel();
    if (isClean && this.isStarted) {
      await this.syncing;
      this.mark();
      await this.syncing;
    }
    this.file?.close();
    this.file = undefined;
  }
}
