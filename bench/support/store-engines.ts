/** The storage engines under one interface, each measured alone in a process of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { open as openLmdb } from "lmdb";
import { createBunPorts } from "../../src/cli/bun-ports.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { DataDirectory } from "../../src/storage/data-directory.ts";
import { DEFAULT_STORE_OPTIONS, Store, WriteBatch } from "../../src/storage/store.ts";

export interface Engine {
  /** One batch without waiting for the disk. */
  putBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[]): Promise<void>;
  /** 64 records, on disk when it settles: 64 writers in one group, or one synced batch. */
  putDurable(keys: readonly Uint8Array[], values: readonly Uint8Array[]): Promise<unknown>;
  /** Bytes of the value, -1 when absent; synchronous for all engines. */
  get(key: Uint8Array): number;
  /** Entries and bytes of a full scan. */
  scan(): Promise<{ count: number; bytes: number }>;
  /** Puts the data into the state that reads are measured in. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export type EngineName = "hutch" | "classic-level" | "lmdb";

export async function openEngine(name: EngineName, isDurable: boolean): Promise<Engine> {
  const directory = mkdtempSync(join(tmpdir(), `hutch-bench-${name}-`));
  const engine = await OPEN[name](directory, isDurable);
  const close = engine.close;
  engine.close = async () => {
    await close();
    rmSync(directory, { recursive: true, force: true });
  };
  return engine;
}

const OPEN: Record<EngineName, (directory: string, isDurable: boolean) => Promise<Engine>> = {
  hutch: openHutch,
  "classic-level": openClassicLevel,
  lmdb: openLmdbEngine,
};

async function openHutch(directory: string, isDurable: boolean): Promise<Engine> {
  const ports = createBunPorts({ dataDir: directory, logger: silentLogger });
  const owner = DataDirectory.open(ports.disk, ports.clock, ports.random, "bench", 256);
  const store = await Store.open(
    ports,
    { ...DEFAULT_STORE_OPTIONS, fsync: isDurable ? "group" : "os" },
    { ...owner.identity, wasClean: owner.wasClean },
  );
  const batchOf = (keys: readonly Uint8Array[], values: readonly Uint8Array[]): WriteBatch => {
    const batch = new WriteBatch();
    for (let i = 0; i < keys.length; i++) batch.put(keys[i]!, values[i]!);
    return batch;
  };
  return {
    async putBatch(keys, values) {
      for (let wait = store.admit(); wait !== undefined; wait = store.admit()) await wait;
      await store.apply(batchOf(keys, values));
    },
    putDurable: (keys, values) =>
      Promise.all(keys.map((key, i) => store.apply(new WriteBatch().put(key, values[i]!)))),
    get: (key) => store.get(key)?.value.length ?? -1,
    async scan() {
      const snapshot = store.snapshot();
      const iterator = snapshot.iterator();
      let count = 0;
      let bytes = 0;
      for (iterator.seekToFirst(); iterator.isValid; iterator.next()) {
        const key = iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd);
        const value = iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd);
        bytes += key.length + value.length;
        count++;
      }
      snapshot.close();
      return { count, bytes };
    },
    async settle() {
      await store.flush();
      while (store.stats().isCompacting) await Bun.sleep(50);
    },
    async close() {
      await store.close();
      await ports.workers.close();
      owner.closeClean();
    },
  };
}

async function openClassicLevel(directory: string, isDurable: boolean): Promise<Engine> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(directory, {
    keyEncoding: "view",
    valueEncoding: "view",
    writeBufferSize: DEFAULT_STORE_OPTIONS.memtableBytes,
    cacheSize: 64 * 1024 * 1024,
  });
  await level.open();
  const write = (
    keys: readonly Uint8Array[],
    values: readonly Uint8Array[],
    sync: boolean,
  ): Promise<void> => {
    const batch = level.batch();
    for (let i = 0; i < keys.length; i++) batch.put(keys[i]!, values[i]!);
    return batch.write({ sync });
  };
  return {
    putBatch: (keys, values) => write(keys, values, false),
    putDurable: (keys, values) => write(keys, values, isDurable),
    get: (key) => level.getSync(key)?.length ?? -1,
    async scan() {
      let count = 0;
      let bytes = 0;
      const iterator = level.iterator({ highWaterMarkBytes: 1024 * 1024 });
      for (;;) {
        const entries = await iterator.nextv(1000);
        if (entries.length === 0) break;
        for (const [key, value] of entries) bytes += key.length + value.length;
        count += entries.length;
      }
      await iterator.close();
      return { count, bytes };
    },
    settle: () => Bun.sleep(2000),
    close: () => level.close(),
  };
}

async function openLmdbEngine(directory: string): Promise<Engine> {
  const database = openLmdb<Buffer, Uint8Array>({
    path: directory,
    keyEncoding: "binary",
    encoding: "binary",
    noSync: true,
    noMemInit: true,
  });
  return {
    async putBatch(keys, values) {
      database.transactionSync(() => {
        for (let i = 0; i < keys.length; i++) database.putSync(keys[i]!, values[i]! as Buffer);
      });
    },
    putDurable: () => Promise.reject(new Error("lmdb is measured without sync only")),
    get: (key) => database.getBinary(key)?.length ?? -1,
    async scan() {
      let count = 0;
      let bytes = 0;
      for (const { key, value } of database.getRange({})) {
        bytes += key.length + value.length;
        count++;
      }
      return { count, bytes };
    },
    settle: () => Promise.resolve(),
    close: () => database.close(),
  };
}
