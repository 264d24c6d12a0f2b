/** Snapshots of a store on its disk: whole or not there, whatever happens, and never touched by what the store does later. */
import { describe, expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { checkedLine } from "../../src/storage/checked-line.ts";
import { identityOfSnapshot } from "../../src/storage/data-directory.ts";
import { readSummary, SNAPSHOTS_MAX } from "../../src/storage/snapshot-files.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { type OpenStore, openStore, SMALL_OPTIONS } from "../support/open-store.ts";
import { copyOfSnapshot } from "../support/snapshot-copy.ts";
import { StillClock } from "../support/still-clock.ts";

/** Of the power-loss runs. */
const SEEDS = Number(process.env["HUTCH_SEEDS"] ?? 1);

const clock = new StillClock();

function open(disk: SimDisk, seed = 1): Promise<OpenStore> {
  const prng = new Prng(`snapshots/${seed}`);
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return openStore({ disk, clock, random }, { ...SMALL_OPTIONS, memtableBytes: 1024 });
}

async function put(opened: OpenStore, key: string, value: string): Promise<void> {
  const batch = new WriteBatch();
  batch.put(utf8(key), utf8(value));
  await opened.store.apply(batch);
}

async function fill(opened: OpenStore, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await put(opened, `key${i}`, `value ${i} of ${from}`);
}

const take = (opened: OpenStore, name: string) =>
  opened.store.diskSnapshots.take(name, identityOfSnapshot(opened.directory.identity));

const names = (opened: OpenStore): string[] =>
  opened.store.diskSnapshots.list().map(({ name }) => name);

const copyOf = (disk: SimDisk, name: string): SimDisk =>
  new SimDisk({ seed: `copy of ${name}`, image: copyOfSnapshot(disk.image, name) });

function read(opened: OpenStore, key: string): string | undefined {
  const found = opened.store.get(utf8(key));
  return found === undefined ? undefined : utf8Text(found.value);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    return (error as HutchError).code;
  }
}

describe("a snapshot", () => {
  test("has all that was applied before it began, and nothing that came after it", async () => {
    const disk = new SimDisk({ seed: 1 });
    const opened = await open(disk);
    await fill(opened, 0, 60);
    const summary = await take(opened, "monday");
    expect(summary).toMatchObject({ name: "monday", createdMs: Math.floor(clock.wallMs()) });
    expect(summary.tables).toBeGreaterThan(0);
    expect(summary.bytes).toBeGreaterThan(1000);
    expect(opened.store.diskSnapshots.list()).toEqual([summary]);
    await fill(opened, 30, 90);
    const restored = await open(copyOf(disk, "monday"), 2);
    for (let i = 0; i < 60; i++) expect(read(restored, `key${i}`)).toBe(`value ${i} of 0`);
    expect(read(restored, "key60")).toBeUndefined();
    await restored.close();
    await opened.close();
  });

  test("row 93, R12: its identity is that of the same node at an earlier time, also after a clean stop", async () => {
    const disk = new SimDisk({ seed: 2 });
    const opened = await open(disk);
    await take(opened, "empty");
    const before = opened.directory.identity;
    const restored = await open(copyOf(disk, "empty"), 2);
    const after = restored.directory.identity;
    expect(restored.directory.isCopied).toBe(true);
    expect(after.nodeId).toEqual(before.nodeId);
    expect(after.clusterSecret).toEqual(before.clusterSecret);
    expect(after.incarnation).toBeGreaterThan(before.incarnation);
    await restored.close();
    await opened.close();
  });

  test("is not touched by compaction, scrub, a restart or the removal of another one", async () => {
    const disk = new SimDisk({ seed: 3 });
    let opened = await open(disk);
    await fill(opened, 0, 40);
    await take(opened, "one");
    const files = disk.list("snapshots/one");
    await fill(opened, 0, 40);
    await take(opened, "two");
    await opened.store.compact();
    await opened.store.scrub();
    await opened.store.diskSnapshots.remove("two");
    await opened.close();
    opened = await open(disk);
    expect(names(opened)).toEqual(["one"]);
    expect(disk.list("snapshots/one")).toEqual(files);
    const restored = await open(copyOf(disk, "one"), 2);
    for (let i = 0; i < 40; i++) expect(read(restored, `key${i}`)).toBe(`value ${i} of 0`);
    await restored.close();
    await opened.close();
  });

  test("takes no space of its own until tables are compacted away, and gives it back with its removal", async () => {
    const disk = new SimDisk({ seed: 4 });
    const opened = await open(disk);
    await fill(opened, 0, 200);
    await opened.store.compact();
    const before = disk.image.usedBytes();
    const { bytes } = await take(opened, "cheap");
    const overhead = disk.image.usedBytes() - before;
    expect(bytes).toBeGreaterThan(3000);
    expect(overhead).toBeLessThan(1200);
    await opened.store.diskSnapshots.remove("cheap");
    expect(disk.image.usedBytes()).toBeLessThanOrEqual(before);
    expect(disk.list("snapshots")).toEqual([]);
    await opened.close();
  });

  test("is refused for a bad name, a name that is taken and one too many", async () => {
    const opened = await open(new SimDisk({ seed: 5 }));
    const bad = ["", "..", ".x", "a/b", "A", "x.tmp", "a\0b", "ä", "x".repeat(64), "-x"];
    for (const name of bad) expect(await codeOf(take(opened, name))).toBe("bad-request");
    await take(opened, "a");
    expect(await codeOf(take(opened, "a"))).toBe("snapshot-conflict");
    for (let i = 1; i < SNAPSHOTS_MAX; i++) await take(opened, `s${i}`);
    expect(await codeOf(take(opened, "more"))).toBe("snapshot-conflict");
    await opened.store.diskSnapshots.remove("s5");
    await take(opened, "more");
    expect(names(opened)).toHaveLength(SNAPSHOTS_MAX);
    expect(await codeOf(opened.store.diskSnapshots.remove("none"))).toBe("no-such-snapshot");
    expect(await codeOf(opened.store.diskSnapshots.remove("../x"))).toBe("bad-request");
    await opened.close();
  });

  test("is given up when the store closes, which waits for that", async () => {
    for (let pauses = 0; pauses < 40; pauses += 3) {
      const disk = new SimDisk({ seed: 7 });
      const opened = await open(disk);
      await fill(opened, 0, 60);
      const taking = codeOf(take(opened, "late"));
      for (let pause = 0; pause < pauses; pause++) await undefined;
      await opened.close();
      const callCount = disk.callCount;
      const code = await taking;
      expect(["none", "shutting-down"]).toContain(code);
      expect(disk.callCount).toBe(callCount);
      const again = await open(disk);
      expect(names(again)).toEqual(code === "none" ? ["late"] : []);
      await again.close();
    }
  });

  test.each(["null", '{"createdMs":-1,"tables":0,"bytes":0}', '{"createdMs":1}', "[]"])(
    "a SNAPSHOT file that says %s is as good as none",
    (line) => {
      const disk = new SimDisk({ seed: 1 });
      disk.makeDirectory("snapshots/old");
      const file = disk.create("snapshots/old/SNAPSHOT");
      file.append(checkedLine(line));
      file.close();
      const nothing = { name: "old", createdMs: 0, tables: 0, bytes: 0 };
      expect(readSummary(disk, "old")).toEqual(nothing);
    },
  );

  test("a damaged SNAPSHOT file hides no snapshot", async () => {
    const disk = new SimDisk({ seed: 6 });
    const opened = await open(disk);
    await fill(opened, 0, 40);
    const { tables, bytes } = await take(opened, "old");
    const file = disk.open("snapshots/old/SNAPSHOT", "read-write");
    file.write(utf8("x"), 3);
    file.close();
    expect(opened.store.diskSnapshots.list()).toEqual([
      { name: "old", createdMs: 0, tables, bytes },
    ]);
    await opened.close();
  });
});

describe("a disk that refuses", () => {
  test("row 88: full at any point of a snapshot: 507, nothing left of it, and the store goes on", async () => {
    let refused = 0;
    for (let nth = 1; nth < 40; nth += 2) {
      const disk = new SimDisk({ seed: nth });
      const opened = await open(disk, nth);
      await fill(opened, 0, 30);
      for (const kind of ["append", "create", "link", "makeDirectory"] as const)
        disk.faults.failNth(kind, kind === "append" ? nth : Math.ceil(nth / 4), "no-space");
      const code = await codeOf(take(opened, "full"));
      disk.faults.clearPlanned();
      expect(["disk-full", "none"]).toContain(code);
      if (code === "disk-full") refused++;
      if (code === "disk-full" && disk.list("").includes("snapshots"))
        expect(disk.list("snapshots")).toEqual([]);
      await put(opened, "later", "goes on");
      await take(opened, "again");
      expect(opened.store.failure).toBeUndefined();
      await opened.close();
    }
    expect(refused).toBeGreaterThan(5);
  });

  test("row 88: while the disk is known to be full it is refused at once, and taken when there is room again", async () => {
    const disk = new SimDisk({ seed: 8 });
    const opened = await open(disk);
    await fill(opened, 0, 30);
    disk.faults.quotaBytes = disk.image.usedBytes();
    expect(await codeOf(put(opened, "more", "x".repeat(100)))).toBe("disk-full");
    expect(() => opened.store.diskSnapshots.refuseUnfit("full")).toThrow("disk is full");
    expect(await codeOf(take(opened, "full"))).toBe("disk-full");
    expect(disk.list("")).not.toContain("snapshots");
    await opened.close();
    disk.faults.quotaBytes = 2 ** 40;
    const again = await open(disk);
    expect((await take(again, "full")).name).toBe("full");
    await again.close();
  });

  test("an error of the device at any call of a snapshot leaves none that is not whole", async () => {
    for (let nth = 1; nth < 45; nth++) {
      const disk = new SimDisk({ seed: nth });
      const opened = await open(disk, nth);
      await fill(opened, 0, 30);
      await opened.store.flush();
      disk.faults.failNth("any", nth, "io");
      const code = await codeOf(take(opened, "shaky"));
      disk.faults.clearPlanned();
      const restarted = await open(disk.kill(), nth + 1);
      if (code === "none") expect(names(restarted)).toEqual(["shaky"]);
      await expectWholeOrAbsent(restarted, "shaky");
      await restarted.close();
    }
  });
});

async function expectWholeOrAbsent(opened: OpenStore, name: string): Promise<boolean> {
  const disk = (opened.store as unknown as { ports: { disk: SimDisk } }).ports.disk;
  const there = disk.list("").includes("snapshots") ? disk.list("snapshots") : [];
  expect(there.filter((entry) => entry !== name)).toEqual([]);
  if (!there.includes(name)) return false;
  const restored = await open(copyOf(disk, name), 77);
  for (let i = 0; i < 30; i++) expect(read(restored, `key${i}`)).toBe(`value ${i} of 0`);
  await restored.close();
  return true;
}

describe("row 76, row 75: a snapshot is whole or absent", () => {
  /** Takes and removes one; what it told before the end came. */
  async function live(opened: OpenStore): Promise<"nothing" | "taken" | "removing" | "removed"> {
    let told: "nothing" | "taken" | "removing" | "removed" = "nothing";
    try {
      await take(opened, "s");
      told = "taken";
      await put(opened, "more", "between");
      told = "removing";
      await opened.store.diskSnapshots.remove("s");
      told = "removed";
    } catch (error) {
      const isCrash =
        error instanceof SimCrash || error instanceof DiskError || error instanceof HutchError;
      if (!isCrash) throw error;
    }
    return told;
  }

  async function run(end: "power-loss" | "kill", seed: number, step = 1): Promise<void> {
    const outcomes = { whole: 0, absent: 0 };
    for (let nth = 1; ; nth += step) {
      const disk = new SimDisk({ seed: `${end}/${seed}/${nth}` });
      const opened = await open(disk, seed);
      await fill(opened, 0, 30);
      disk.crashAtCall(nth);
      const told = await live(opened);
      const isOver = !disk.isDead;
      disk.die("the harness ends this life");
      const next = end === "kill" ? disk.kill() : disk.powerLoss("strict", new Prng(`${nth}`));
      const restarted = await open(next, seed + 1);
      const isWhole = await expectWholeOrAbsent(restarted, "s");
      if (told === "taken") expect(isWhole).toBe(true);
      if (told === "removed") expect(isWhole).toBe(false);
      for (let i = 0; i < 30; i++) expect(read(restarted, `key${i}`)).toBe(`value ${i} of 0`);
      if (isWhole) outcomes.whole++;
      else outcomes.absent++;
      await restarted.close();
      if (isOver) break;
    }
    expect(outcomes.whole).toBeGreaterThan(3);
    expect(outcomes.absent).toBeGreaterThan(20 / step);
  }

  test("after a power loss at every one of its disk calls, and of its removal's", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await run("power-loss", seed);
  });

  test("after a kill at every one of them", async () => {
    await run("kill", 3, 2);
  });
});
