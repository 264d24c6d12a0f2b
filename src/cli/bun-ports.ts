/** The real world for one node: the machine's clock, chance, disk and threads. */

import { zstdCompression } from "../bun/compression.ts";
import { BunClock } from "../bun/clock.ts";
import { BunDisk } from "../bun/disk.ts";
import { MemoryGuard } from "../bun/memory-guard.ts";
import { BunProcessMeter, type ServerLoad } from "../bun/process-meter.ts";
import "../bun/native-kernels.ts";
import { addressOf } from "../bun/own-files.ts";
import { BunRandom } from "../bun/random.ts";
import { BunWorkers } from "../bun/workers.ts";
import type { NodePorts } from "../node.ts";
import type { Logger } from "../ports/logger.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { PeerPorts } from "../ports/transport.ts";
import { storageJobs } from "./storage-jobs.ts";
import { VERSION } from "./version.ts";

export interface BunPortsOptions {
  readonly dataDir: string;
  readonly logger: Logger;
  /** 0: what the control group or the machine has. */
  readonly memoryLimitBytes?: number;
  /** Bound already; left out for a node that stays alone. */
  readonly peers?: PeerPorts;
  /** Of the client port, where the program has one. */
  readonly server?: ServerLoad;
  /** Where spans go; left out: nothing is traced. */
  readonly tracer?: Tracer | undefined;
}

/** Makes the data directory where only its last part is missing; throws `DiskError` where it cannot be used. */
export function createBunPorts(options: BunPortsOptions): NodePorts {
  const { dataDir, logger, memoryLimitBytes = 0, peers, server, tracer } = options;
  const disk = new BunDisk(dataDir);
  const workers = new BunWorkers({
    root: disk.root,
    jobs: storageJobs,
    jobsModule: addressOf("cli/storage-jobs.ts"),
    jobsExport: "storageJobs",
  });
  return {
    disk,
    workers,
    logger,
    clock: new BunClock(),
    random: new BunRandom(),
    compression: zstdCompression,
    memory: new MemoryGuard(memoryLimitBytes),
    meter: new BunProcessMeter(VERSION, server),
    ...(tracer && { tracer }),
    ...(peers && { peers, scheduleFlush: (run) => void setImmediate(run) }),
  };
}
