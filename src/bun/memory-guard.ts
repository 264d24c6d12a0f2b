/**
 * Is the process near the end of its memory? (FAULTS.md N7, row 91)
 *
 * Looked at once a second: what the process holds besides mapped files (RssAnon and RssShmem of /proc/self/status), which the kernel cannot
 * take back, against four fifths of the limit. The limit is the operator's, else that of the control group, else the machine's memory.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

const CHECK_INTERVAL_MS = 1000;
const SHARE = 0.8;
const CONTROL_GROUP_FILES = [
  "/sys/fs/cgroup/memory.max",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

export class MemoryGuard {
  /** New bodies are refused while it is true. */
  isOver = false;
  readonly limitBytes: number;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param limitBytes 0 for the limit of the control group or the machine */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes || Math.min(controlGroupLimit(), totalmem());
    this.check();
    this.#timer = setInterval(() => this.check(), CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  check(): void {
    const bytes = unmappedBytes();
    if (bytes !== undefined) this.isOver = bytes > this.limitBytes * SHARE;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Resident bytes that are not pages of files; `undefined` where they cannot be learnt just now (no descriptor is left). */
export function unmappedBytes(): number | undefined {
  const status = textOf("/proc/self/status");
  const bytesOf = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
  if (status !== "") return bytesOf("RssAnon") + bytesOf("RssShmem");
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}

function controlGroupLimit(): number {
  const limits = CONTROL_GROUP_FILES.map((file) => Number(textOf(file).trim() || Infinity));
  return Math.min(...limits.filter((limit) => limit > 0), Infinity);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // another system, or no such control group
  }
}
