/** What the process around a node costs and how well it keeps up; in a simulated world there is none. */
import type { Histogram } from "../base/metrics.ts";

export interface ProcessMeter {
  /** How late timers of the event loop are. */
  readonly eventLoopLag: Histogram;
  /** Of this program. */
  readonly version: string;
  readonly runtime: string;
  /** Unix time in seconds. */
  readonly startSeconds: number;
  /** Of the processor, user and system together. */
  cpuSeconds(): number;
  memory(): ProcessMemory;
  openFiles(): number;
  /** Connections to the client port. */
  openConnections(): number;
  /** Requests of clients that are not answered yet. */
  openRequests(): number;
}

export interface ProcessMemory {
  readonly residentBytes: number;
  /** Without pages of mapped files. */
  readonly unmappedBytes: number;
  readonly heapBytes: number;
}
