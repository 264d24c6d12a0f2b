/** Damaged, missing and foreign files: refused or reported, never a wrong answer, never "absent" (FAULTS.md rows 77 to 86, 92, C5 to C23). */
import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { fileName, parseFileName } from "../../src/storage/file-names.ts";
import { RECORD_HEADER_BYTES } from "../../src/storage/log/log-format.ts";
import { readWholeFile, scanLog } from "../../src/storage/log/log-scan.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import type { StoreOptions } from "../../src/storage/store.ts";
import { openStore, repair, SMALL_OPTIONS } from "../support/open-store.ts";
import type { OpenStore, World } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

const BIG_MEMTABLE: StoreOptions = {
  ...SMALL_OPTIONS,
  memtableBytes: 1 << 20,
  walSegmentBytes: 1 << 20,
};

function worldOn(disk: Disk): World {
  const prng = new Prng("damage");
  return {
    disk,
    clock: new StillClock(),
    random: { u32: () => prng.u32(), bytes: (n) => prng.bytes(n) },
  };
}

const keyOf = (i: number): Uint8Array => utf8(`key-${String(i).padStart(4, "0")}`);
const valueOf = (i: number): Uint8Array => utf8(`value of ${i}`);

async function put(opened: OpenStore, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++)
    await opened.store.apply(new WriteBatch().put(keyOf(i), valueOf(i)));
}

/** A store with `count` keys that died with them in its log. */
async function diskWithLog(count: number, options = BIG_MEMTABLE): Promise<SimDisk> {
  const disk = new SimDisk({ seed: "damage" });
  const opened = await openStore(worldOn(disk), options);
  await put(opened, 0, count);
  await drainMicrotasks();
  return disk.kill();
}

/** The same, with all keys in tables and stopped in order. */
async function diskWithTables(count: number, options = BIG_MEMTABLE): Promise<SimDisk> {
  const disk = new SimDisk({ seed: "damage" });
  const opened = await openStore(worldOn(disk), options);
  await put(opened, 0, count / 2);
  await opened.store.flush();
  await put(opened, count / 2, count);
  await opened.store.flush();
  await opened.close();
  return disk.kill();
}

async function drainMicrotasks(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

function filesOf(disk: Disk, kind: "wal" | "table" | "manifest"): string[] {
  return disk.list("").filter((name) => parseFileName(name)?.kind === kind);
}

/** The log segment that has records. */
function logOf(disk: Disk): string {
  return filesOf(disk, "wal").find((name) => disk.sizeOf(name) > 100)!;
}

function change(disk: Disk, name: string, edit: (bytes: Uint8Array) => Uint8Array): void {
  const bytes = edit(readWholeFile(disk, name).slice());
  const file = disk.open(name, "read-write");
  file.truncate(0);
  file.append(bytes);
  file.syncNow();
  file.close();
}

const flip = (offset: number) => (bytes: Uint8Array) => {
  bytes[offset]! ^= 0x10;
  return bytes;
};

function snapshotOf(disk: Disk): string {
  return disk
    .list("")
    .filter((name) => !name.startsWith("LOCK") && !name.startsWith("IDENTITY"))
    .map((name) => `${name}:${Bun.hash(readWholeFile(disk, name))}`)
    .join(" ");
}

async function expectRefused(disk: Disk, file: string): Promise<void> {
  const before = snapshotOf(disk);
  const error = await openStore(worldOn(disk), BIG_MEMTABLE).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HutchError);
  expect((error as HutchError).code).toBe("data-refused");
  expect((error as HutchError).message).toContain(file);
  expect(snapshotOf(disk)).toBe(before);
}

test("row 77: the last record of the log torn at each of its bytes: all before it is there", async () => {
  const disk = await diskWithLog(20);
  const name = logOf(disk);
  const bytes = readWholeFile(disk, name);
  const batches = scanLog(name, bytes).records.filter((record) => record.type === 1);
  const last = batches[batches.length - 1]!;
  // Behind the last batch stands the mark that proves it synced; a crash before the sync leaves neither.
  for (let cut = last.payloadStart - RECORD_HEADER_BYTES; cut < last.end; cut++) {
    const torn = disk.copy();
    change(torn, name, (whole) => whole.slice(0, cut));
    const opened = await openStore(worldOn(torn), BIG_MEMTABLE);
    for (let i = 0; i < 19; i++) expect(opened.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    expect(opened.store.get(keyOf(19))).toBeUndefined();
    await put(opened, 19, 21);
    await opened.close();
    const again = await openStore(worldOn(torn), BIG_MEMTABLE);
    expect(again.store.get(keyOf(20))?.value).toEqual(valueOf(20));
    await again.close();
  }
});

test("row 78: a flipped bit at any byte of an acknowledged record is refused with the file's name, never silent", async () => {
  const disk = await diskWithLog(6);
  const name = logOf(disk);
  const bytes = readWholeFile(disk, name);
  const end = scanLog(name, bytes)
    .records.filter((record) => record.type === 1)
    .at(-1)!.end;
  for (let offset = 0; offset < end; offset++) {
    const damaged = disk.copy();
    change(damaged, name, flip(offset));
    await expectRefused(damaged, name);
  }
});

test("row 78: repair refuses to lose what was acknowledged, and goes on with --accept-loss", async () => {
  const disk = await diskWithLog(10);
  const name = logOf(disk);
  const third = scanLog(name, readWholeFile(disk, name)).records.filter(
    (record) => record.type === 1,
  )[2]!;
  change(disk, name, flip(third.payloadStart + 3));
  await expectRefused(disk, name);
  expect(repair(worldOn(disk), false, BIG_MEMTABLE)).rejects.toThrow("Cannot repair without loss");
  const report = await repair(worldOn(disk), true, BIG_MEMTABLE);
  expect(report.losses).toHaveLength(2); // the place, and the writes that are missing
  const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  for (let i = 0; i < 10; i++) {
    const read = opened.store.get(keyOf(i));
    if (i === 2) expect(read).toBeUndefined();
    else expect(read?.value).toEqual(valueOf(i));
  }
  await opened.close();
});

test("row 79: a log segment that is missing, doubled, of another node or of another cluster is refused", async () => {
  const disk = await diskWithLog(10);
  const name = logOf(disk);

  const missing = disk.copy();
  missing.unlink(name);
  await expectRefused(missing, name);

  const doubled = disk.copy();
  const copyName = fileName("wal", parseFileName(name)!.id + 1);
  const file = doubled.create(copyName);
  file.append(readWholeFile(doubled, name));
  file.syncNow();
  doubled.syncDirectory("");
  await expectRefused(doubled, copyName);

  for (const seed of ["other-node"]) {
    const otherPrng = new Prng(seed);
    const other = new SimDisk({ seed });
    const world = {
      ...worldOn(other),
      random: { u32: () => otherPrng.u32(), bytes: (n: number) => otherPrng.bytes(n) },
    };
    const opened = await openStore(world, BIG_MEMTABLE);
    await put(opened, 0, 5);
    await drainMicrotasks();
    const mixed = disk.copy();
    change(mixed, name, () => readWholeFile(other, logOf(other)).slice());
    await expectRefused(mixed, name);
  }
});

test.each(["map", "read"] as const)(
  "row 80: a flipped bit at any byte of any table is never a wrong answer and never absent, read mode %s",
  async (readMode) => {
    const disk = await diskWithTables(40);
    for (const name of filesOf(disk, "table")) {
      const size = disk.sizeOf(name);
      for (let offset = 0; offset < size; offset += 3) {
        const damaged = disk.copy();
        change(damaged, name, flip(offset));
        const opened = await openStore(worldOn(damaged), { ...BIG_MEMTABLE, readMode });
        let corrupt = 0;
        for (let i = 0; i < 40; i++) corrupt += readOrCorrupt(opened, i);
        expect(opened.store.get(utf8("never written"))).toBeUndefined();
        await opened.close();
        if (corrupt > 0)
          expect(damaged.list("").some((file) => file.endsWith(".corrupt"))).toBe(true);
      }
    }
  },
);

function readOrCorrupt(opened: OpenStore, i: number): number {
  try {
    expect(opened.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    return 0;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return 1;
  }
}

test("row 80: a bit that flips under a running store is found by the very next read of it", async () => {
  const disk = await diskWithTables(40);
  const opened = await openStore(worldOn(disk), {
    ...BIG_MEMTABLE,
    readMode: "read",
    blockCacheBytes: 0,
  });
  for (let i = 0; i < 40; i++) expect(readOrCorrupt(opened, i)).toBe(0);
  for (const name of filesOf(disk, "table")) {
    const file = disk.open(name, "read-write");
    const byte = new Uint8Array(1);
    file.read(byte, 40);
    byte[0]! ^= 1;
    file.write(byte, 40);
    file.close();
  }
  let corrupt = 0;
  for (let i = 0; i < 40; i++) corrupt += readOrCorrupt(opened, i);
  expect(corrupt).toBeGreaterThan(0);
  await opened.close();
});

test("C13: a lost range stays lost across restarts and compactions until something newer is written", async () => {
  const disk = await diskWithTables(40);
  const name = filesOf(disk, "table")[0]!;
  change(disk, name, flip(30));
  let opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  const lost = Array.from({ length: 40 }, (_, i) => i).filter(
    (i) => readOrCorrupt(opened, i) === 1,
  );
  expect(lost.length).toBeGreaterThan(0);
  await opened.store.compact();
  await opened.close();
  opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  const still = Array.from({ length: 40 }, (_, i) => i).filter(
    (i) => readOrCorrupt(opened, i) === 1,
  );
  expect(still).toEqual(lost);
  await put(opened, lost[0]!, lost[0]! + 1);
  expect(readOrCorrupt(opened, lost[0]!)).toBe(0);
  await opened.store.compact();
  expect(readOrCorrupt(opened, lost[0]!)).toBe(0);
  await opened.close();
  await expect(repair(worldOn(disk), false, BIG_MEMTABLE)).rejects.toThrow(
    "key ranges of damaged tables",
  );
  await repair(worldOn(disk), true, BIG_MEMTABLE);
  opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  expect(opened.store.get(keyOf(lost[1]!))).toBeUndefined();
  expect(readOrCorrupt(opened, lost[0]!)).toBe(0);
  await opened.close();
});

test("row 81: a table that is cut short, empty or missing is found at open, and its keys are not absent", async () => {
  const disk = await diskWithTables(20);
  const name = filesOf(disk, "table")[0]!;
  const size = disk.sizeOf(name);
  const damages: ((damaged: SimDisk) => void)[] = [
    (damaged) => change(damaged, name, (bytes) => bytes.slice(0, size - 1)),
    (damaged) => change(damaged, name, (bytes) => bytes.slice(0, size >> 1)),
    (damaged) => change(damaged, name, () => new Uint8Array(0)),
    (damaged) => damaged.unlink(name),
  ];
  for (const damage of damages) {
    const damaged = disk.copy();
    damage(damaged);
    const opened = await openStore(worldOn(damaged), BIG_MEMTABLE);
    let corrupt = 0;
    for (let i = 0; i < 20; i++) corrupt += readOrCorrupt(opened, i);
    expect(corrupt).toBeGreaterThan(0);
    await opened.close();
  }
});

test("row 83: a manifest damaged in its middle, or CURRENT damaged, is refused; repair brings every record back", async () => {
  const disk = await diskWithTables(40);
  const manifest = filesOf(disk, "manifest")[0]!;
  const damages: [string, (damaged: SimDisk) => void][] = [
    [manifest, (damaged) => change(damaged, manifest, flip(120))],
    [manifest, (damaged) => change(damaged, manifest, flip(20))],
    [manifest, (damaged) => damaged.unlink(manifest)],
    ["CURRENT", (damaged) => change(damaged, "CURRENT", flip(3))],
    ["CURRENT", (damaged) => change(damaged, "CURRENT", () => new Uint8Array(0))],
    ["CURRENT", (damaged) => damaged.unlink("CURRENT")],
  ];
  for (const [file, damage] of damages) {
    const damaged = disk.copy();
    damage(damaged);
    await expectRefused(damaged, file);
    await repair(worldOn(damaged), false, BIG_MEMTABLE);
    const opened = await openStore(worldOn(damaged), BIG_MEMTABLE);
    for (let i = 0; i < 40; i++) expect(opened.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    await opened.close();
  }
});

test("row 83: a manifest whose last edit is torn at any byte opens with the edit before, and loses nothing", async () => {
  const disk = new SimDisk({ seed: "torn-manifest" });
  const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  await put(opened, 0, 10);
  const before = disk.copy();
  const manifest = filesOf(disk, "manifest")[0]!;
  const sizeBefore = disk.sizeOf(manifest);
  await opened.store.flush();
  const whole = readWholeFile(disk, manifest).slice();
  const firstEdit = scanLog(manifest, whole).records.find((record) => record.end > sizeBefore)!;
  for (let cut = sizeBefore; cut < firstEdit.end; cut++) {
    const torn = before.copy().kill();
    change(torn, manifest, () => whole.slice(0, cut));
    const again = await openStore(worldOn(torn), BIG_MEMTABLE);
    for (let i = 0; i < 10; i++) expect(again.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    await again.close();
  }
});

test("row 83: repair without CURRENT and with a damaged table keeps what verifies and sets the table aside", async () => {
  const disk = await diskWithTables(40);
  const name = filesOf(disk, "table")[0]!;
  change(disk, name, flip(30));
  disk.unlink("CURRENT");
  await expectRefused(disk, "CURRENT");
  await expect(repair(worldOn(disk), false, BIG_MEMTABLE)).rejects.toThrow(
    "Cannot repair without loss",
  );
  const report = await repair(worldOn(disk), true, BIG_MEMTABLE);
  expect(report.setAside).toEqual([`${name}.corrupt`]);
  expect(disk.list("")).toContain(`${name}.corrupt`);
  const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  const found = Array.from({ length: 40 }, (_, i) => opened.store.get(keyOf(i))).filter(
    (read) => read !== undefined,
  );
  expect(found.length).toBeGreaterThanOrEqual(20);
  expect(found.length).toBeLessThan(40);
  await opened.close();
});

test("C23: a damaged log segment is set aside by repair, not removed", async () => {
  const disk = await diskWithLog(10);
  const name = logOf(disk);
  change(disk, name, flip(150));
  const report = await repair(worldOn(disk), true, BIG_MEMTABLE);
  expect(report.setAside).toContain(`${name}.corrupt`);
  expect(disk.list("")).toContain(`${name}.corrupt`);
});

test("row 84: an I/O error on a read is reported as damage, not as absence, and the store goes on", async () => {
  const disk = await diskWithTables(40);
  const opened = await openStore(worldOn(disk), {
    ...BIG_MEMTABLE,
    readMode: "read",
    blockCacheBytes: 0,
  });
  disk.faults.failNth("read", 1, "io");
  expect(() => opened.store.get(keyOf(3))).toThrow(CorruptionError);
  expect(opened.store.failure).toBeUndefined();
  await opened.close();
});

test.each(["append", "sync"] as const)(
  "row 85: an I/O error on %s of the log stops the store; what was acknowledged is there again",
  async (kind) => {
    const disk = new SimDisk({ seed: 85 });
    const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
    await put(opened, 0, 10);
    await drainMicrotasks();
    let failure: HutchError | undefined;
    opened.store.onFailure((error) => (failure = error));
    disk.faults.failNth(kind, 1, "io");
    const outcome = await opened.store
      .apply(new WriteBatch().put(keyOf(10), valueOf(10)))
      .catch((error: unknown) => error);
    expect((outcome as HutchError).code).toBe("write-indeterminate");
    expect(failure?.code).toBe("io-error");
    expect(() => opened.store.apply(new WriteBatch().put(keyOf(11), valueOf(11)))).toThrow(
      "Cannot use the store",
    );
    await opened.close();
    const again = await openStore(worldOn(disk.kill()), BIG_MEMTABLE);
    for (let i = 0; i < 10; i++) expect(again.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    expect(again.store.get(keyOf(11))).toBeUndefined();
    await again.close();
  },
);

test("row 86: an I/O error on any sync of a flush, the table's too, stops the store and keeps the log", async () => {
  const syncs = [
    ["syncNow", 1], // the table
    ["syncDirectory", 1],
    ["syncDirectory", 2],
    ["sync", 1], // the header of the next segment
    ["sync", 2], // the manifest, twice
    ["sync", 3],
  ] as const;
  for (const [kind, nth] of syncs) {
    const disk = new SimDisk({ seed: 86 });
    const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
    await put(opened, 0, 10);
    await drainMicrotasks();
    disk.faults.failNth(kind, nth, "io");
    await opened.store.flush().catch(() => undefined);
    await drainMicrotasks();
    expect(opened.store.failure?.code).toBe("io-error");
    await opened.close();
    const again = await openStore(worldOn(disk.kill()), BIG_MEMTABLE);
    for (let i = 0; i < 10; i++) expect(again.store.get(keyOf(i))?.value).toEqual(valueOf(i));
    await again.close();
  }
});

test("row 88: a full disk refuses the write, leaves no trace of it, reads on, and takes writes again when there is space", async () => {
  const disk = new SimDisk({ seed: 88 });
  const opened = await openStore(worldOn(disk), BIG_MEMTABLE);
  await put(opened, 0, 10);
  await drainMicrotasks();
  const roomy = disk.faults.quotaBytes;
  for (let round = 0; round < 5; round++) {
    disk.faults.quotaBytes = 1; // everything that is there is above it already
    const writes = [10, 11, 12].map((i) =>
      opened.store.apply(
        new WriteBatch().put(keyOf(i), valueOf(i)).put(keyOf(0), utf8("overwritten")),
      ),
    );
    await expect(opened.store.apply(new WriteBatch().put(keyOf(13), valueOf(13)))).rejects.toThrow(
      "no space",
    );
    expect(opened.store.get(keyOf(13))).toBeUndefined();
    for (const outcome of await Promise.allSettled(writes)) {
      expect(outcome.status).toBe("rejected");
      expect(((outcome as PromiseRejectedResult).reason as HutchError).code).toBe("disk-full");
    }
    expect(() => opened.store.admit()).toThrow("below its reserve");
    disk.faults.quotaBytes = roomy;
    for (const i of [10, 11, 12]) expect(opened.store.get(keyOf(i))).toBeUndefined();
    expect(opened.store.get(keyOf(0))?.value).toEqual(valueOf(0));
  }
  await put(opened, 10, 30);
  for (let i = 0; i < 30; i++) expect(opened.store.get(keyOf(i))?.value).toEqual(valueOf(i));
  await opened.store.flush();
  for (let i = 0; i < 30; i++) expect(opened.store.get(keyOf(i))?.value).toEqual(valueOf(i));
  await drainMicrotasks();
  const again = await openStore(worldOn(disk.kill()), BIG_MEMTABLE);
  for (let i = 0; i < 30; i++) expect(again.store.get(keyOf(i))?.value).toEqual(valueOf(i));
  await again.close();
});

test("row 92: data of a newer format is refused and left as it is", async () => {
  const disk = await diskWithTables(10);
  const text = new TextDecoder().decode(readWholeFile(disk, "IDENTITY")).split("\n")[0]!;
  const newer = text.replace('"format":1', '"format":2');
  const { crc32 } = await import("../../src/kernels/kernels.ts");
  change(disk, "IDENTITY", () =>
    utf8(`${newer}\n${crc32(utf8(newer)).toString(16).padStart(8, "0")}\n`),
  );
  const before = snapshotOf(disk);
  expect(openStore(worldOn(disk))).rejects.toThrow("newer than this program");
  expect(snapshotOf(disk)).toBe(before);
});

test("row 94: a second opening of one data directory is refused and changes nothing", async () => {
  const disk = await diskWithTables(10);
  const opened = await openStore(worldOn(disk));
  const before = snapshotOf(disk);
  const error = await openStore(worldOn(disk)).catch((thrown: unknown) => thrown);
  expect((error as HutchError).code).toBe("data-dir-in-use");
  expect(snapshotOf(disk)).toBe(before);
  await opened.close();
});

test("C20: data files without IDENTITY are refused", async () => {
  const disk = await diskWithTables(10);
  disk.unlink("IDENTITY");
  expect(openStore(worldOn(disk))).rejects.toThrow("no IDENTITY");
});

test("C23: leftovers are removed at start, quarantined files are not", async () => {
  const disk = await diskWithTables(10);
  for (const name of ["000000099999.sst", "000000099998.sst.tmp", "000000099997.sst.corrupt"]) {
    const file = disk.create(name);
    file.append(utf8("leftover"));
    file.close();
  }
  const opened = await openStore(worldOn(disk));
  const names = disk.list("");
  expect(names).not.toContain("000000099999.sst");
  expect(names).not.toContain("000000099998.sst.tmp");
  expect(names).toContain("000000099997.sst.corrupt");
  await opened.close();
});
