/** What is lost is known, told, and can be healed; nothing of it is served before (C11 to C14, rows 78 to 84). */
import { expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { parseFileName } from "../../src/storage/file-names.ts";
import { readWholeFile, scanLog } from "../../src/storage/log/log-scan.ts";
import { type Damage, WriteBatch, lostRangeOf } from "../../src/storage/store.ts";
import type { Snapshot, StoreOptions } from "../../src/storage/store.ts";
import { type OpenStore, SMALL_OPTIONS, type World, openStore } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

const OPTIONS: StoreOptions = {
  ...SMALL_OPTIONS,
  memtableBytes: 1 << 20,
  walSegmentBytes: 1 << 20,
  readMode: "read",
  blockCacheBytes: 0,
};
const QUARANTINE: StoreOptions = { ...OPTIONS, onDamagedLog: "quarantine" };
const COUNT = 40;

function worldOn(disk: SimDisk): World {
  const prng = new Prng("healing");
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return { disk, clock: new StillClock(), random };
}

const keyOf = (i: number): Uint8Array => utf8(`key-${String(i).padStart(4, "0")}`);
const put = (i: number, value: string): WriteBatch => new WriteBatch().put(keyOf(i), utf8(value));

async function settle(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

/** `value`, `absent` or `lost`. */
function read({ store }: OpenStore, i: number): string {
  try {
    const found = store.get(keyOf(i));
    return found === undefined ? "absent" : utf8Text(found.value)!;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return "lost";
  }
}

const readAll = (opened: OpenStore): string[] =>
  Array.from({ length: COUNT }, (_, i) => read(opened, i));

/** Old values at the bottom, newer ones of every other key above, and the table with these damaged in one block. */
async function damaged(): Promise<{ disk: SimDisk; opened: OpenStore; damages: Damage[] }> {
  const disk = new SimDisk({ seed: "healing" });
  const opened = await openStore(worldOn(disk), OPTIONS);
  for (let i = 0; i < COUNT; i++) await opened.store.apply(put(i, `old ${i}`));
  await opened.store.flush();
  await opened.store.compact();
  for (let i = 0; i < COUNT; i += 2) await opened.store.apply(put(i, `new ${i}`));
  await opened.store.flush();
  const damages: Damage[] = [];
  opened.store.onDamage((damage) => damages.push(damage));
  const table = disk
    .list("")
    .filter((name) => parseFileName(name)?.kind === "table")
    .at(-1)!;
  disk.damage.flipBit(table, 8 * 30);
  readAll(opened);
  await settle();
  return { disk, opened, damages };
}

test("C13: damage is told once, with what it lost; neighbours and the newest of everything else are served", async () => {
  const { opened, damages } = await damaged();
  expect(damages).toHaveLength(1);
  expect(damages[0]!.lostRanges).toEqual(opened.store.lostRanges);
  const shown = readAll(opened);
  expect(shown.filter((value) => value === "lost").length).toBeGreaterThan(2);
  shown.forEach((value, i) => {
    const range = lostRangeOf(opened.store.lostRanges, keyOf(i), -1);
    expect(value).toBe(range === undefined ? (i % 2 === 0 ? `new ${i}` : `old ${i}`) : "lost");
  });
  await opened.close();
});

test("C13: getOrLost() says lost instead of throwing, and what is stored on top is read", async () => {
  const { opened } = await damaged();
  const lost = readAll(opened).indexOf("lost");
  expect(opened.store.getOrLost(keyOf(lost))).toBe("lost");
  expect(opened.store.getOrLost(utf8("never"))).toBeUndefined();
  await opened.store.apply(put(lost, "fetched"));
  expect(read(opened, lost)).toBe("fetched");
  await opened.close();
});

test("C13: what is left in a lost range is a candidate: no scan shows it, who heals finds it, and what is healed is served", async () => {
  const { disk, opened } = await damaged();
  const { store } = opened;
  const lost = readAll(opened).flatMap((value, i) => (value === "lost" ? [i] : []));
  const snapshot = store.snapshot();
  const left = entriesOf(snapshot, true).filter((key) => !entriesOf(snapshot, false).includes(key));
  snapshot.close();
  expect(left).toEqual(lost.map((i) => utf8Text(keyOf(i))!));
  const ranges = store.lostRanges;
  const [first, second, third] = lost;
  await store.apply(put(first!, "fetched"));
  await store.apply(new WriteBatch().delete(keyOf(second!)));
  await store.healed(ranges);
  const expected = (again: OpenStore): void => {
    expect(again.store.lostRanges).toEqual([]);
    expect(read(again, first!)).toBe("fetched");
    expect(read(again, second!)).toBe("absent");
    expect(read(again, third!)).toBe(`old ${third}`);
  };
  expected(opened);
  await store.compact();
  expected(opened);
  await opened.close();
  const again = await openStore(worldOn(disk.kill()), OPTIONS);
  expected(again);
  await again.close();
});

function entriesOf(snapshot: Snapshot, withLost: boolean): string[] {
  const keys: string[] = [];
  const iterator = withLost ? snapshot.iteratorWithLost() : snapshot.iterator();
  for (iterator.seekToFirst(); iterator.isValid; iterator.next())
    keys.push(utf8Text(iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd))!);
  return keys;
}

test("C13: damage that is found while a range is healed is not healed with it", async () => {
  const { disk, opened } = await damaged();
  const { store } = opened;
  const ranges = store.lostRanges;
  for (let i = 0; i < COUNT; i++) await store.apply(put(i, `newer ${i}`));
  await store.flush();
  const table = disk
    .list("")
    .filter((name) => parseFileName(name)?.kind === "table")
    .at(-1)!;
  disk.damage.flipBit(table, 8 * 30);
  readAll(opened);
  await settle();
  await store.healed(ranges);
  expect(store.lostRanges.length).toBeGreaterThan(0);
  expect(readAll(opened)).toContain("lost");
  await opened.close();
});

test("C22: a crash at any call of healing leaves the ranges lost or healed with everything that was applied before", async () => {
  let wasHealed = false;
  for (let call = 1; !wasHealed; call++) {
    const { disk, opened } = await damaged();
    const lost = readAll(opened).flatMap((value, i) => (value === "lost" ? [i] : []));
    disk.crashAtCall(call);
    let isDone = false;
    try {
      for (const i of lost) await opened.store.apply(put(i, "fetched"));
      await opened.store.healed(opened.store.lostRanges);
      isDone = true;
    } catch (error) {
      if (!disk.isDead && !(error instanceof SimCrash)) throw error;
    }
    const next = disk.powerLoss("strict");
    const again = await openStore(worldOn(next), OPTIONS);
    const isHealed = again.store.lostRanges.length === 0;
    if (isDone) expect(isHealed).toBe(true);
    for (const i of lost) {
      const value = read(again, i);
      if (isHealed) expect(value).toBe("fetched");
      else expect(["fetched", "lost"]).toContain(value);
    }
    wasHealed = isDone;
    await again.close();
  }
});

test("C11: a compaction never copies a bad block forward: it stops, the table is replaced, and what was lost stays lost", async () => {
  const { opened } = await damaged();
  const before = readAll(opened);
  await opened.store.compact();
  expect(readAll(opened)).toEqual(before);
  await opened.close();
});

/** A store with all keys in its log, which dies. */
async function withLog(): Promise<{ disk: SimDisk; name: string }> {
  const disk = new SimDisk({ seed: "log" });
  const opened = await openStore(worldOn(disk), OPTIONS);
  for (let i = 0; i < 10; i++) await opened.store.apply(put(i, `old ${i}`));
  await opened.store.flush();
  for (let i = 0; i < COUNT; i++) await opened.store.apply(put(i, `new ${i}`));
  await settle();
  const next = disk.kill();
  const name = next
    .list("")
    .find((file) => parseFileName(file)?.kind === "wal" && next.sizeOf(file) > 100)!;
  return { disk: next, name };
}

test("row 78: with others to ask, a flipped bit in the log is no reason to stay down: nothing is served before it is healed", async () => {
  const { disk, name } = await withLog();
  const end = scanLog(name, readWholeFile(disk, name))
    .records.filter(({ type }) => type === 1)
    .at(-1)!.end;
  for (let offset = 0; offset < end; offset += 7) {
    const copy = disk.copy();
    copy.damage.flipBit(name, 8 * offset);
    await expect(openStore(worldOn(copy), OPTIONS)).rejects.toThrow(name);
    const opened = await openStore(worldOn(copy), QUARANTINE);
    expect(opened.store.lostRanges).toHaveLength(1);
    expect(new Set(readAll(opened))).toEqual(new Set(["lost"]));
    expect(copy.list("")).toContain(`${name}.corrupt`);
    // What is written from now on is newer than all that is lost.
    await opened.store.apply(put(3, "fetched"));
    expect(read(opened, 3)).toBe("fetched");
    await opened.close();
    const again = await openStore(worldOn(copy.kill()), QUARANTINE);
    expect(read(again, 3)).toBe("fetched");
    expect(read(again, 4)).toBe("lost");
    await again.store.healed(again.store.lostRanges);
    const shown = readAll(again);
    // Of the rest, records before and behind the damage are there; at most the damaged one is not.
    const missing = shown.filter((value, i) => i !== 3 && value !== `new ${i}`);
    expect(missing.length).toBeLessThanOrEqual(offset < 68 ? COUNT : 1);
    await again.close();
  }
});

test("row 78: a log that the disk cannot read counts as damaged, one that is missing or foreign is refused all the same (row 79)", async () => {
  const { disk, name } = await withLog();
  const unreadable = disk.copy();
  unreadable.damage.failReads(name, 0, 4096);
  const opened = await openStore(worldOn(unreadable), QUARANTINE);
  expect(new Set(readAll(opened))).toEqual(new Set(["lost"]));
  await opened.close();
  const missing = disk.copy();
  missing.unlink(name);
  await expect(openStore(worldOn(missing), QUARANTINE)).rejects.toThrow("it is not there");
});

test("C22: setting a damaged log aside may be killed at any call, and is done by the next start", async () => {
  const { disk, name } = await withLog();
  disk.damage.flipBit(name, 8 * 300);
  for (let call = 1, isDone = false; !isDone; call++) {
    const copy = disk.copy();
    copy.crashAtCall(call);
    try {
      await openStore(worldOn(copy), QUARANTINE);
      isDone = true;
    } catch (error) {
      if (!copy.isDead) throw error;
    }
    const again = await openStore(worldOn(copy.powerLoss("strict")), QUARANTINE);
    expect(new Set(readAll(again))).toEqual(new Set(["lost"]));
    await again.store.apply(put(1, "fetched"));
    await again.store.healed(again.store.lostRanges);
    expect(read(again, 1)).toBe("fetched");
    await again.close();
  }
});

test("row 80: damage to the bloom filter alone is told, and nothing is lost (C14)", async () => {
  const disk = new SimDisk({ seed: "bloom" });
  let opened = await openStore(worldOn(disk), OPTIONS);
  for (let i = 0; i < COUNT; i++) await opened.store.apply(put(i, `new ${i}`));
  await opened.store.flush();
  await opened.close();
  const next = disk.kill();
  const table = next.list("").find((name) => parseFileName(name)?.kind === "table")!;
  // Bloom filter, properties and footer end the file: 64 bytes of footer, about 90 of properties before it.
  next.damage.flipBit(table, 8 * (next.sizeOf(table) - 64 - 120));
  opened = await openStore(worldOn(next), OPTIONS);
  expect(opened.store.lostRanges).toEqual([]);
  expect(readAll(opened)).toEqual(Array.from({ length: COUNT }, (_, i) => `new ${i}`));
  expect(opened.store.stats().quarantinedTables).toBe(1);
  await opened.close();
});

test("healed() is refused once the store has stopped", async () => {
  const { disk, opened } = await damaged();
  disk.faults.failNth("sync", 1, "io");
  await opened.store.apply(put(1, "x")).catch(() => undefined);
  await expect(opened.store.healed(opened.store.lostRanges)).rejects.toThrow(HutchError);
});
