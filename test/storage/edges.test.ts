/** Edges that a review found: each test failed once. */
import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { zstdCompression } from "../../src/bun/compression.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Workers } from "../../src/ports/workers.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { parseFileName } from "../../src/storage/file-names.ts";
import { createStorageJobs, keepEverything } from "../../src/storage/jobs.ts";
import { readWholeFile, scanLog } from "../../src/storage/log/log-scan.ts";
import { FROZEN_MEMTABLES_MAX } from "../../src/storage/options.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import type { StoreOptions } from "../../src/storage/store.ts";
import { InlineWorkers } from "../support/inline-workers.ts";
import { openStore, repair, SMALL_OPTIONS } from "../support/open-store.ts";
import type { World } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

const BIG: StoreOptions = { ...SMALL_OPTIONS, memtableBytes: 1 << 20, walSegmentBytes: 1 << 20 };

function worldOn(disk: Disk, workers?: Workers): World {
  const prng = new Prng("edges");
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return { disk, clock: new StillClock(), random, ...(workers && { workers }) };
}

const put = (key: string, value: string): WriteBatch =>
  new WriteBatch().put(utf8(key), utf8(value));

async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await Promise.resolve();
}

/** Workers whose flushes never end; everything else runs. */
class StuckFlushes implements Workers {
  private readonly inline: InlineWorkers;
  flushes = 0;

  constructor(disk: Disk) {
    this.inline = new InlineWorkers(
      createStorageJobs(zstdCompression, keepEverything),
      disk,
      new StillClock(),
    );
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  run<Job, Result>(kind: string, job: Job): Promise<Result> {
    if (kind !== "flush") return this.inline.run(kind, job);
    this.flushes++;
    return new Promise(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

test("C4: a log tail that is lost while the store is down is refused at every start, not only the first", async () => {
  const disk = new SimDisk({ seed: "tail" });
  const opened = await openStore(worldOn(disk), BIG);
  for (let i = 0; i < 10; i++) await opened.store.apply(put(`k${i}`, "v"));
  await opened.close();
  const next = disk.kill();
  const name = next.list("").find((file) => parseFileName(file)?.kind === "wal")!;
  const batches = scanLog(name, readWholeFile(next, name)).records.filter(
    (record) => record.type === 1,
  );
  const file = next.open(name, "read-write");
  file.truncate(batches[6]!.end);
  file.close();
  for (let start = 0; start < 3; start++)
    await expect(openStore(worldOn(next), BIG)).rejects.toThrow(
      "ends before the last acknowledged write",
    );
  await expect(repair(worldOn(next), false, BIG)).rejects.toThrow("writes 8 to 10 are missing");
});

test("C18: no more than the named number of memtables wait for a flush; then writers wait, and none is refused", async () => {
  const disk = new SimDisk({ seed: "frozen" });
  const stuck = new StuckFlushes(disk);
  const { store } = await openStore(worldOn(disk, stuck));
  let waiting: Promise<void> | undefined;
  for (let i = 0; i < 2000 && waiting === undefined; i++) {
    waiting = store.admit();
    if (waiting === undefined) await store.apply(put(`key-${i}`, "x".repeat(100)));
  }
  expect(waiting).toBeInstanceOf(Promise);
  expect(store.stats().frozenMemtables).toBeLessThanOrEqual(FROZEN_MEMTABLES_MAX);
});

test("C9: a write behind a rotation is acknowledged while the flush of the memtable before is still running", async () => {
  const disk = new SimDisk({ seed: "rotation" });
  const stuck = new StuckFlushes(disk);
  const { store } = await openStore(worldOn(disk, stuck));
  for (let i = 0; stuck.flushes === 0; i++) await store.apply(put(`key-${i}`, "x".repeat(200)));
  await store.apply(put("after", "1"));
  expect(store.stats().frozenMemtables).toBe(1);
});

test("row 75: with fsync os a kill -9 loses nothing, also right behind a rotation, and no segment stays open", async () => {
  let disk = new SimDisk({ seed: "os" });
  const options: StoreOptions = { ...SMALL_OPTIONS, fsync: "os" };
  const acknowledged = new Map<string, string>();
  for (let life = 0; life < 20; life++) {
    const { store } = await openStore(worldOn(disk), options);
    for (const [key, value] of acknowledged)
      expect(store.get(utf8(key))?.value).toEqual(utf8(value));
    for (let i = 0; i < 40 + life; i++) {
      const [key, value] = [`key-${life}-${i}`, "y".repeat(120)];
      await store.apply(put(key, value));
      acknowledged.set(key, value);
    }
    await store.flush();
    expect(disk.list("").filter((name) => name.endsWith(".wal")).length).toBeLessThanOrEqual(2);
    await store.apply(put(`last-${life}`, "z"));
    acknowledged.set(`last-${life}`, "z");
    disk = disk.kill();
  }
});

test("C13: a scan does not show what may have been overwritten or deleted in a lost range", async () => {
  const disk = new SimDisk({ seed: "stale" });
  const opened = await openStore(worldOn(disk), BIG);
  for (let i = 0; i < 20; i++) await opened.store.apply(put(`key-${10 + i}`, "old"));
  await opened.store.flush();
  await opened.store.compact();
  for (let i = 0; i < 20; i++)
    await opened.store.apply(
      i % 2 === 0 ? put(`key-${10 + i}`, "new") : new WriteBatch().delete(utf8(`key-${10 + i}`)),
    );
  await opened.store.flush();
  await opened.close();
  const next = disk.kill();
  const tables = next.list("").filter((name) => parseFileName(name)?.kind === "table");
  const file = next.open(tables.at(-1)!, "read-write");
  file.write(new Uint8Array([0xff, 0xff]), 12);
  file.close();
  const again = await openStore(worldOn(next), BIG);
  for (let i = 0; i < 20; i++) {
    try {
      again.store.get(utf8(`key-${10 + i}`));
    } catch {
      // reported; the read asks for the quarantine
    }
  }
  await settle();
  expect(again.store.stats().lostRanges).toBeGreaterThan(0);
  const snapshot = again.store.snapshot();
  const iterator = snapshot.iterator();
  const shown: string[] = [];
  for (iterator.seekToFirst(); iterator.isValid; iterator.next())
    shown.push(
      new TextDecoder().decode(iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd)),
    );
  expect(shown.filter((value) => value === "old")).toEqual([]);
  snapshot.close();
  await again.close();
});

test("C17: what was refused for want of space does not come back after a power loss", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const disk = new SimDisk({ seed: `refused-${seed}` });
    const { store } = await openStore(worldOn(disk), BIG);
    await store.apply(put("kept", "1"));
    await settle();
    disk.faults.quotaBytes = disk.image.usedBytes() + 150;
    const refused = await Promise.allSettled(
      Array.from({ length: 5 }, (_, i) => store.apply(put(`refused-${i}`, "x".repeat(40)))),
    );
    const names = refused.flatMap((outcome, i) => {
      if (outcome.status === "fulfilled") return [];
      expect((outcome.reason as HutchError).code).toBe("disk-full");
      return [`refused-${i}`];
    });
    disk.faults.quotaBytes = 2 ** 40;
    const again = await openStore(worldOn(disk.powerLoss("strict")), BIG);
    for (const name of names) expect(again.store.get(utf8(name))).toBeUndefined();
    expect(again.store.get(utf8("kept"))?.value).toEqual(utf8("1"));
  }
});

test("row 80: damage on a disk without room does not stop the store", async () => {
  const disk = new SimDisk({ seed: "full-damage" });
  const opened = await openStore(worldOn(disk), { ...BIG, readMode: "read", blockCacheBytes: 0 });
  for (let i = 0; i < 20; i++) await opened.store.apply(put(`key-${10 + i}`, "v"));
  await opened.store.flush();
  const table = disk.list("").find((name) => parseFileName(name)?.kind === "table")!;
  const file = disk.open(table, "read-write");
  file.write(new Uint8Array([0xff]), 12);
  file.close();
  disk.faults.quotaBytes = 1;
  for (let i = 0; i < 20; i++) {
    try {
      opened.store.get(utf8(`key-${10 + i}`));
    } catch (error) {
      expect((error as HutchError).code).toBe("data-corrupt");
    }
  }
  await settle();
  expect(opened.store.failure).toBeUndefined();
});

test("C15: after a failure nobody is told that what was pending is durable", async () => {
  const disk = new SimDisk({ seed: "failure" });
  const { store } = await openStore(worldOn(disk), BIG);
  disk.faults.failNth("sync", 1, "io");
  await store.apply(put("k", "v")).catch(() => undefined);
  const read = store.get(utf8("k"));
  if (read !== undefined) await expect(store.whenDurable(read.sequence)!).rejects.toThrow();
});
