/** C24: every table is read again within the interval, a little all the time. */
import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { parseFileName } from "../../src/storage/file-names.ts";
import { type Damage, type ScrubProgress, WriteBatch } from "../../src/storage/store.ts";
import type { StoreOptions } from "../../src/storage/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "../support/open-store.ts";

const INTERVAL_MS = 3_600_000;
const ROUND_MS = 0.75 * INTERVAL_MS;
const TABLES = 12;
const OPTIONS: StoreOptions = {
  ...SMALL_OPTIONS,
  memtableBytes: 1 << 20,
  walSegmentBytes: 1 << 20,
  memtableAgeMs: 1e9,
  level0Trigger: 100,
  level0Slowdown: 200,
  level0Stop: 300,
  scrubIntervalMs: INTERVAL_MS,
  scrubBytesPerSecond: 0,
};

async function settle(): Promise<void> {
  for (let i = 0; i < 300; i++) await Promise.resolve();
}

function open(disk: SimDisk, clock: ManualClock, options: StoreOptions): Promise<OpenStore> {
  const prng = new Prng("scrub");
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return openStore({ disk, clock, random }, options);
}

/** A store with `TABLES` tables of one size, written at the same time. */
async function filled(
  options: StoreOptions = OPTIONS,
): Promise<{ disk: SimDisk; clock: ManualClock; opened: OpenStore }> {
  const disk = new SimDisk({ seed: "scrub" });
  const clock = new ManualClock();
  const opened = await open(disk, clock, options);
  for (let table = 0; table < TABLES; table++) {
    for (let i = 0; i < 20; i++)
      await opened.store.apply(new WriteBatch().put(utf8(`key-${table}-${10 + i}`), utf8("value")));
    await opened.store.flush();
  }
  return { disk, clock, opened };
}

/** In steps of 15 s. */
async function pass(clock: ManualClock, byMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < byMs; passedMs += 15_000) {
    clock.advance(15_000);
    await settle();
  }
}

test("C24: a round takes three quarters of the interval, and its tables have their turns one after the other", async () => {
  const { clock, opened } = await filled();
  const done: number[] = [];
  for (let quarter = 0; quarter < 4; quarter++) {
    await pass(clock, ROUND_MS / 4);
    done.push(opened.store.scrubProgress.tablesDone);
  }
  // A look comes up to 15 s after a turn is due.
  expect(["2,5,8", "3,6,9"]).toContain(done.slice(0, 3).join());
  await pass(clock, 5 * 60_000);
  expect(opened.store.scrubProgress.lastFullAt).toBeGreaterThan(0);
  expect(clock.wallMs() - opened.store.scrubProgress.verifiedSince).toBeLessThan(INTERVAL_MS);
  for (let hour = 0; hour < 5; hour++) {
    await pass(clock, INTERVAL_MS);
    expect(clock.wallMs() - opened.store.scrubProgress.verifiedSince).toBeLessThan(INTERVAL_MS);
  }
  await opened.close();
});

test("C24: what was read is remembered over a restart, and the turns go on", async () => {
  const { disk, clock, opened } = await filled();
  await pass(clock, ROUND_MS / 2);
  const before = opened.store.scrubProgress;
  await opened.close();
  const again = await open(disk.kill(), clock, OPTIONS);
  expect(again.store.scrubProgress.verifiedSince).toBe(before.verifiedSince);
  await pass(clock, ROUND_MS / 2 + 5 * 60_000);
  expect(again.store.scrubProgress.verifiedSince).toBeGreaterThan(before.verifiedSince);
  expect(clock.wallMs() - again.store.scrubProgress.verifiedSince).toBeLessThan(INTERVAL_MS);
  await again.close();
});

test("C24: a node that was down for longer than the interval reads everything right after its start", async () => {
  const { disk, clock, opened } = await filled();
  await opened.close();
  clock.advance(10 * INTERVAL_MS);
  const again = await open(disk.kill(), clock, OPTIONS);
  await pass(clock, 2 * 60_000);
  expect(clock.wallMs() - again.store.scrubProgress.verifiedSince).toBeLessThan(3 * 60_000);
  await again.close();
});

test("C24: the scrub pauses under load, but not beyond the interval", async () => {
  let isIdle = false;
  const { clock, opened } = await filled({ ...OPTIONS, mayScrub: () => isIdle });
  await pass(clock, INTERVAL_MS - 120_000);
  expect(opened.store.scrubProgress.tablesDone).toBe(0);
  await pass(clock, 300_000);
  expect(opened.store.scrubProgress.lastFullAt).toBeGreaterThan(0);
  isIdle = true;
  await pass(clock, ROUND_MS / 2);
  expect(opened.store.scrubProgress.tablesDone).toBeGreaterThan(3);
  await opened.close();
});

test("C24: a bit that flipped in a table that nobody reads is found in its turn, and told", async () => {
  const { disk, clock, opened } = await filled();
  const damages: Damage[] = [];
  opened.store.onDamage((damage) => damages.push(damage));
  const table = disk.list("").find((name) => parseFileName(name)?.kind === "table")!;
  disk.damage.flipBit(table, 8 * 30);
  await pass(clock, INTERVAL_MS);
  expect(damages.map(({ file }) => file)).toEqual([table]);
  expect(opened.store.scrubProgress.damaged).toBe(1);
  expect(opened.store.lostRanges.length).toBeGreaterThan(0);
  expect(opened.store.failure).toBeUndefined();
  await opened.close();
});

test("C24: a scrub on request reads every table and tells how far it is", async () => {
  const { opened } = await filled();
  const told: ScrubProgress[] = [];
  const result = await opened.store.scrub((progress) => told.push({ ...progress }));
  expect(result).toMatchObject({ tables: TABLES, damaged: 0 });
  expect(told.map(({ tablesDone }) => tablesDone)).toEqual(
    Array.from({ length: TABLES }, (_, i) => i + 1),
  );
  expect(told.at(-1)).toMatchObject({ isRequested: true, tables: TABLES, bytesDone: result.bytes });
  expect(opened.store.scrubProgress).toMatchObject({ isRequested: false, tablesDone: 0 });
  await opened.close();
});

test("C24: the rate is kept", async () => {
  const { clock, opened } = await filled({ ...OPTIONS, scrubBytesPerSecond: 1000 });
  const bytes = opened.store.scrubProgress.bytes;
  const startMs = clock.wallMs();
  let isDone = false;
  void opened.store.scrub().then(() => (isDone = true));
  while (!isDone) {
    clock.advance(100);
    await settle();
  }
  expect(clock.wallMs() - startMs).toBeGreaterThan(bytes * 0.75);
  await opened.close();
});

test("C24: a clock that was far ahead when a table was read does not keep it from being read", async () => {
  const { disk, clock, opened } = await filled();
  clock.stepWall(100 * INTERVAL_MS);
  await opened.store.scrub();
  await opened.close();
  clock.stepWall(-100 * INTERVAL_MS);
  const again = await open(disk.kill(), clock, OPTIONS);
  await pass(clock, INTERVAL_MS);
  expect(again.store.scrubProgress.lastFullAt).toBeGreaterThan(0);
  await again.close();
});
