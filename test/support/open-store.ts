/** A store on any disk, with its data directory, the way a node composes it. */
import { zstdCompression } from "../../src/bun/compression.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Logger } from "../../src/ports/logger.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import type { Random } from "../../src/ports/random.ts";
import type { Workers } from "../../src/ports/workers.ts";
import { DataDirectory } from "../../src/storage/data-directory.ts";
import { createStorageJobs, keepEverything } from "../../src/storage/jobs.ts";
import type { Retention } from "../../src/storage/jobs.ts";
import type { StoreOptions } from "../../src/storage/store.ts";
import { DEFAULT_STORE_OPTIONS, Store } from "../../src/storage/store.ts";
import { repairStore } from "../../src/storage/repair.ts";
import type { RepairReport } from "../../src/storage/repair.ts";
import { InlineWorkers } from "./inline-workers.ts";

export interface World {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  readonly workers?: Workers;
  readonly retention?: Retention;
}

export interface OpenStore {
  readonly store: Store;
  readonly directory: DataDirectory;
  close(): Promise<void>;
}

/** Small sizes, so that every rare path happens within a few hundred operations (FAULTS.md 2.9). */
export const SMALL_OPTIONS: StoreOptions = {
  ...DEFAULT_STORE_OPTIONS,
  memtableBytes: 4096,
  walSegmentBytes: 16_384,
  blockBytes: 256,
  tableBytes: 8192,
  levelBaseBytes: 32_768,
  blockCacheBytes: 16_384,
  diskReserveBytes: 1,
  compactionBytesPerSecond: 0,
};

export async function openStore(
  world: World,
  options: StoreOptions = SMALL_OPTIONS,
): Promise<OpenStore> {
  const directory = DataDirectory.open(world.disk, world.clock, world.random, "test", 256);
  const jobs = createStorageJobs(zstdCompression, world.retention ?? keepEverything);
  const workers = world.workers ?? new InlineWorkers(jobs, world.disk, world.clock);
  try {
    const store = await Store.open(
      {
        disk: world.disk,
        clock: world.clock,
        random: world.random,
        workers,
        logger: world.logger ?? silentLogger,
        compression: zstdCompression,
      },
      options,
      {
        clusterId: directory.identity.clusterId,
        nodeId: directory.identity.nodeId,
        wasClean: directory.wasClean,
      },
    );
    return { store, directory, close: () => close(store, directory) };
  } catch (error) {
    directory.release();
    throw error;
  }
}

async function close(store: Store, directory: DataDirectory): Promise<void> {
  if (await store.close()) directory.closeClean();
  else directory.release();
}

/** `hutch repair` on that disk. */
export async function repair(
  world: World,
  acceptLoss: boolean,
  options: StoreOptions = SMALL_OPTIONS,
): Promise<RepairReport> {
  const directory = DataDirectory.open(world.disk, world.clock, world.random, "test", 256);
  const jobs = createStorageJobs(zstdCompression, keepEverything);
  try {
    const ports = {
      disk: world.disk,
      clock: world.clock,
      random: world.random,
      workers: new InlineWorkers(jobs, world.disk, world.clock),
      logger: silentLogger,
      compression: zstdCompression,
    };
    return await repairStore(ports, options, directory.identity, acceptLoss);
  } finally {
    directory.release();
  }
}
