/**
 * The process of a node, measured: `/proc/self` where there is one, the runtime elsewhere.
 *
 * Lag is what a timer of `TICK_MS` is late by, so a loop that is blocked for a second is one sample of a second.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Histogram } from "../base/metrics.ts";
import type { ProcessMemory, ProcessMeter } from "../ports/process-meter.ts";
import { unmappedBytes } from "./memory-guard.ts";

const TICK_MS = 100;
const MICROSECONDS = 1e6;

/** What the server of the client port knows; before it is there, nothing. */
export interface ServerLoad {
  readonly port: number;
  pendingRequests(): number;
}

export class BunProcessMeter implements ProcessMeter {
  readonly eventLoopLag = new Histogram();
  readonly version: string;
  readonly runtime = `bun ${Bun.version}`;
  readonly startSeconds = (Date.now() - performance.now()) / 1000;
  readonly #server: ServerLoad | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #dueMs = performance.now() + TICK_MS;

  constructor(version: string, server?: ServerLoad) {
    this.version = version;
    this.#server = server;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  #tick(): void {
    const nowMs = performance.now();
    this.eventLoopLag.record(Math.max(0, nowMs - this.#dueMs));
    this.#dueMs = nowMs + TICK_MS;
  }

  cpuSeconds(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / MICROSECONDS;
  }

  memory(): ProcessMemory {
    const { rss, heapUsed } = process.memoryUsage();
    return { residentBytes: rss, heapBytes: heapUsed, unmappedBytes: unmappedBytes() ?? rss };
  }

  openFiles(): number {
    return entriesOf("/proc/self/fd").length;
  }

  openConnections(): number {
    return this.#server === undefined ? 0 : connectionsTo(this.#server.port);
  }

  openRequests(): number {
    return this.#server?.pendingRequests() ?? 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

const ESTABLISHED = "01";

/** Sockets of this process that are connections to `port`, by the kernel's tables; 0 where there are none. */
function connectionsTo(port: number): number {
  const own = new Set(entriesOf("/proc/self/fd").map(socketOf));
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let count = 0;
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"])
    for (const line of textOf(table).split("\n")) {
      const [, address = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state === ESTABLISHED && address.endsWith(local) && own.has(inode)) count++;
    }
  return count;
}

function socketOf(descriptor: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1] ?? "";
  } catch {
    return ""; // closed meanwhile
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // another system, or no descriptor is left
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
