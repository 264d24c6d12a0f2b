import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { type Disk, DiskError, type DiskErrorKind, type DiskFile } from "../../src/ports/disk.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import type { PowerLossProfile } from "../../src/sim/disk-power-loss.ts";
import { SimWorld } from "../../src/sim/world.ts";

const PROFILES = ["strict", "metadata-ordered"] as const;
const SEEDS = 400;

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function textOf(disk: Disk, path: string): string {
  if (disk.sizeOf(path) < 0) return "(none)";
  const file = disk.open(path, "read");
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return new TextDecoder().decode(bytes);
}

function durable(disk: Disk, path: string, content: string | Uint8Array): DiskFile {
  const file = disk.create(path);
  file.append(typeof content === "string" ? utf8(content) : content);
  file.syncNow();
  disk.syncDirectory("");
  return file;
}

function kindOf(call: () => unknown): DiskErrorKind | "none" {
  try {
    call();
    return "none";
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DiskError);
    return (thrown as DiskError).kind;
  }
}

/** The different outcomes of many power losses of one state. */
function outcomes(
  disk: SimDisk,
  profile: PowerLossProfile,
  look: (disk: SimDisk) => string,
): Set<string> {
  const seen = new Set<string>();
  for (let seed = 0; seed < SEEDS; seed++) seen.add(look(disk.powerLoss(profile, new Prng(seed))));
  return seen;
}

describe.each(PROFILES)("row 76: power loss, %s", (profile) => {
  test("synced bytes under a synced name always survive", () => {
    const disk = new SimDisk();
    durable(disk, "a", "kept").append(utf8(" and more"));
    const seen = outcomes(disk, profile, (next) => textOf(next, "a"));
    for (const text of seen) expect(text).toStartWith("kept");
  });

  test("unsynced bytes end as nothing, as any prefix, or as all", () => {
    const disk = new SimDisk();
    const file = durable(disk, "a", "kept|");
    file.append(utf8("abc"));
    file.append(utf8("de"));
    const seen = outcomes(disk, profile, (next) => textOf(next, "a"));
    for (const rest of ["", "a", "ab", "abc", "abcd", "abcde"])
      expect(seen).toContain(`kept|${rest}`);
    if (profile === "metadata-ordered") expect(seen.size).toBe(6);
  });

  test("a new name is not durable before its directory is, however often the file is synced", () => {
    const disk = new SimDisk();
    const file = disk.create("a");
    file.append(utf8("x"));
    file.syncNow();
    expect(outcomes(disk, profile, (next) => textOf(next, "a"))).toEqual(new Set(["(none)", "x"]));
  });

  test("a synced directory does not make bytes durable", () => {
    const disk = new SimDisk();
    disk.create("a").append(utf8("x"));
    disk.syncDirectory("");
    expect(outcomes(disk, profile, (next) => textOf(next, "a"))).toContain("");
  });

  test("a rename leaves the old or the new target, never neither", () => {
    const disk = new SimDisk();
    durable(disk, "CURRENT", "old");
    durable(disk, "CURRENT.tmp", "new");
    disk.rename("CURRENT.tmp", "CURRENT");
    const seen = outcomes(disk, profile, (next) => textOf(next, "CURRENT"));
    expect(seen).toEqual(new Set(["old", "new"]));
  });

  test("a link that was not synced may be gone, the file never is", () => {
    const disk = new SimDisk();
    durable(disk, "a", "x");
    disk.makeDirectory("d");
    disk.syncDirectory("");
    disk.link("a", "d/b");
    expect(outcomes(disk.copy(), profile, (next) => textOf(next, "a"))).toEqual(new Set(["x"]));
    const linked = outcomes(disk.copy(), profile, (next) => textOf(next, "d/b"));
    expect(linked).toEqual(new Set(["(none)", "x"]));
    disk.syncDirectory("d");
    disk.unlink("a");
    disk.syncDirectory("");
    expect(outcomes(disk.copy(), profile, (next) => textOf(next, "d/b"))).toEqual(new Set(["x"]));
    expect(disk.image.usedBytes()).toBe(1);
  });

  test("a directory's rename leaves it whole under the old or the new name", () => {
    const disk = new SimDisk();
    disk.makeDirectory("d/old");
    durable(disk, "d/old/a", "x");
    for (const directory of ["", "d", "d/old"]) disk.syncDirectory(directory);
    disk.rename("d/old", "d/new");
    const textsIn = (next: SimDisk) => `${textOf(next, "d/old/a")}, ${textOf(next, "d/new/a")}`;
    expect(outcomes(disk.copy(), profile, textsIn)).toEqual(new Set(["x, (none)", "(none), x"]));
    disk.syncDirectory("d");
    expect(outcomes(disk.copy(), profile, textsIn)).toEqual(new Set(["(none), x"]));
  });

  test("an unlink that was not synced may come back, a synced one never", () => {
    const disk = new SimDisk();
    durable(disk, "a", "x");
    disk.unlink("a");
    expect(outcomes(disk, profile, (next) => textOf(next, "a"))).toEqual(new Set(["(none)", "x"]));
    const synced = new SimDisk();
    durable(synced, "a", "x");
    synced.unlink("a");
    synced.syncDirectory("");
    expect(outcomes(synced, profile, (next) => textOf(next, "a"))).toEqual(new Set(["(none)"]));
  });

  test("a truncation that was not synced may be undone", () => {
    const disk = new SimDisk();
    durable(disk, "a", "abcdef").truncate(2);
    expect(outcomes(disk, profile, (next) => textOf(next, "a"))).toEqual(new Set(["ab", "abcdef"]));
  });

  test("a file in a directory without a durable name is gone", () => {
    const disk = new SimDisk();
    disk.makeDirectory("d");
    const file = disk.create("d/a");
    file.syncNow();
    disk.syncDirectory("d");
    const seen = outcomes(disk, profile, (next) => next.list("").join());
    expect(seen).toEqual(new Set(["", "d"]));
    disk.kill();
  });

  test("what survived is durable: a second power loss changes nothing", () => {
    for (let seed = 0; seed < 50; seed++) {
      const disk = new SimDisk({ seed });
      durable(disk, "a", "kept|").append(utf8("rest"));
      disk.create("b").append(utf8("b"));
      const once = disk.powerLoss(profile);
      const look = (next: SimDisk): string =>
        next
          .list("")
          .map((name) => textOf(next, name))
          .join();
      const text = look(once);
      expect(look(once.powerLoss(profile))).toBe(text);
    }
  });

  test("equal seeds give equal outcomes, and another file does not shift a file's fate", () => {
    const build = (others: number): SimDisk => {
      const disk = new SimDisk({ seed: 3 });
      durable(disk, "a", "kept|").append(new Prng(1).bytes(9000));
      for (let i = 0; i < others; i++) durable(disk, `other${i}`, "").append(utf8("pending"));
      return disk;
    };
    for (let seed = 0; seed < 40; seed++) {
      const fate = (disk: SimDisk): string =>
        textOf(disk.powerLoss("metadata-ordered", new Prng(seed)), "a");
      expect(fate(build(0))).toBe(fate(build(0)));
      expect(fate(build(3))).toBe(fate(build(0)));
    }
  });
});

describe("row 76: power loss, only in the strict profile", () => {
  const page = (fill: number): Uint8Array => new Uint8Array(4096).fill(fill);

  test("sectors survive independently, later ones without earlier ones", () => {
    const disk = new SimDisk();
    const file = durable(disk, "a", "");
    file.append(page(1));
    file.append(page(2));
    const seen = outcomes(disk, "strict", (next) => {
      const bytes = next.sizeOf("a") === 8192 ? next.map("a") : new Uint8Array(8192);
      return `${bytes[0]}${bytes[600]}${bytes[5000]}`;
    });
    expect(seen).toContain("002");
    expect(seen).toContain("012");
    expect(seen).toContain("102");
  });

  test("the size may arrive without the data: zeros, or bytes of a removed file", () => {
    const disk = new SimDisk();
    durable(disk, "old-log", "VALID RECORD");
    disk.unlink("old-log");
    disk.syncDirectory("");
    durable(disk, "a", "").append(page(7).subarray(0, 12));
    const seen = outcomes(disk, "strict", (next) => textOf(next, "a"));
    expect(seen).toContain("\0".repeat(12));
    expect(seen).toContain("VALID RECORD");
  });

  test("a later name may survive without an earlier one", () => {
    const disk = new SimDisk();
    disk.create("first");
    disk.create("second");
    const list = (next: SimDisk): string => next.list("").join();
    expect(outcomes(disk, "strict", list)).toContain("second");
    expect(outcomes(disk, "metadata-ordered", list)).toEqual(
      new Set(["", "first", "first,second"]),
    );
  });
});

describe("row 75: kill -9", () => {
  test("keeps all that was written, still pending", () => {
    const disk = new SimDisk();
    disk.create("a").append(utf8("cached"));
    const next = disk.kill();
    expect(textOf(next, "a")).toBe("cached");
    const seen = outcomes(next, "strict", (after) => textOf(after, "a"));
    expect(seen).toContain("(none)");
    expect(seen).toContain("cached");
  });

  test("the dead life's calls throw, its locks are free, its syncs change nothing", async () => {
    const disk = new SimDisk();
    const file = disk.create("a");
    file.append(utf8("x"));
    disk.syncDirectory("");
    disk.lock("LOCK", "");
    const sync = file.sync();
    const next = disk.kill();
    await expect(sync).rejects.toBeInstanceOf(SimCrash);
    expect(() => file.append(utf8("y"))).toThrow(SimCrash);
    expect(() => disk.list("")).toThrow(SimCrash);
    next.lock("LOCK", "").release();
    expect(outcomes(next, "metadata-ordered", (after) => textOf(after, "a"))).toContain("");
  });
});

describe("crashAtCall()", () => {
  function workload(disk: SimDisk): void {
    const file = disk.create("t");
    file.append(utf8("1"));
    file.syncNow();
    file.close();
    disk.rename("t", "a");
    disk.syncDirectory("");
  }

  test("stops at every call in turn, before it has an effect", () => {
    const whole = new SimDisk();
    workload(whole);
    expect(whole.calls.map(({ kind }) => kind)).toEqual([
      "create",
      "append",
      "syncNow",
      "closeFile",
      "rename",
      "syncDirectory",
    ]);
    const reached: string[] = [];
    for (let nth = 1; nth <= whole.callCount; nth++) {
      const disk = new SimDisk();
      disk.crashAtCall(nth);
      expect(() => workload(disk)).toThrow(SimCrash);
      expect(() => disk.list("")).toThrow(SimCrash);
      reached.push(disk.kill().list("").join());
    }
    expect(reached).toEqual(["", "t", "t", "t", "t", "a"]);
  });

  test("without it the workload ends", () => {
    const disk = new SimDisk();
    disk.crashAtCall(7);
    workload(disk);
    expect(disk.powerLoss().list("")).toEqual(["a"]);
  });
});

describe("rows 78 and 80: damage", () => {
  test("flipBits() changes exactly that many bits", () => {
    for (let seed = 0; seed < 30; seed++) {
      const disk = new SimDisk({ seed });
      durable(disk, "a", new Uint8Array(1000));
      const bits = disk.damage.flipBits("a");
      const ones = disk
        .map("a")
        .reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
      expect(ones).toBe(bits.length);
      expect(ones).toBeGreaterThanOrEqual(1);
      expect(ones).toBeLessThanOrEqual(64);
    }
  });

  test("zeroBlock() and garbleBlock() hit one block of 4 KiB", () => {
    const disk = new SimDisk();
    durable(disk, "a", new Uint8Array(10_000).fill(5));
    disk.damage.zeroBlock("a", 1);
    const zeroed = disk.map("a");
    expect(zeroed.subarray(4096, 8192).every((byte) => byte === 0)).toBe(true);
    expect(zeroed.filter((byte) => byte === 5).length).toBe(10_000 - 4096);
    disk.damage.garbleBlock("a", 2);
    expect(disk.sizeOf("a")).toBe(10_000);
    expect(disk.map("a").subarray(8192)).not.toEqual(zeroed.subarray(8192));
  });

  test("cached bytes hide the damage until the cache lets go or the power does", () => {
    const disk = new SimDisk();
    durable(disk, "a", "good");
    disk.damage.overwrite("a", utf8("BAD!"), 0, { isCached: true });
    expect(textOf(disk, "a")).toBe("good");
    expect(textOf(disk.copy().powerLoss(), "a")).toBe("BAD!");
    disk.damage.dropCache("a");
    expect(textOf(disk, "a")).toBe("BAD!");
  });

  test("row 84: latent EIO fails reads of the range and no others, also after a rename and a power loss", () => {
    const disk = new SimDisk();
    durable(disk, "a", new Uint8Array(2000));
    disk.damage.failReads("a", 512, 1024);
    disk.rename("a", "b");
    disk.syncDirectory("");
    for (const life of [disk, disk.powerLoss()]) {
      if (life.isDead) continue;
      const file = life.open("b", "read");
      expect(file.read(new Uint8Array(512), 0)).toBe(512);
      expect(file.read(new Uint8Array(512), 1024)).toBe(512);
      expect(kindOf(() => file.read(new Uint8Array(2), 511))).toBe("io");
      expect(kindOf(() => file.read(new Uint8Array(1), 1023))).toBe("io");
    }
  });

  test("mapping a file with a bad sector kills the process (SIGBUS)", () => {
    const disk = new SimDisk();
    durable(disk, "a", new Uint8Array(2000));
    disk.damage.failReads("a", 512, 1024);
    expect(() => disk.map("a")).toThrow(SimCrash);
    expect(disk.isDead).toBe(true);
    expect(disk.kill().sizeOf("a")).toBe(2000);
  });

  test("a misdirected read returns other bytes once, a misdirected write is found after the cache is gone", () => {
    const disk = new SimDisk();
    const content = new Uint8Array(4096).map((_, i) => i >> 9);
    const file = durable(disk, "a", content);
    disk.faults.failNth("read", 1, "misdirected");
    const target = new Uint8Array(10);
    file.read(target, 0);
    expect(target[0]).not.toBe(0);
    file.read(target, 0);
    expect(target[0]).toBe(0);
    disk.faults.failNth("write", 1, "misdirected");
    file.write(new Uint8Array([99]), 0);
    file.syncNow();
    expect(disk.map("a")[0]).toBe(99);
    const after = disk.powerLoss().map("a");
    expect(after[0]).toBe(0);
    expect(after).toContain(99);
  });
});

describe("faults", () => {
  test("failNth() hits the n-th call of its kind, once", () => {
    const disk = new SimDisk();
    disk.faults.failNth("create", 2, "io");
    expect(["a", "b", "c"].map((name) => kindOf(() => disk.create(name)))).toEqual([
      "none",
      "io",
      "none",
    ]);
    expect(disk.list("")).toEqual(["a", "c"]);
    disk.faults.failNth("any", 3, "permission");
    const kinds = [
      () => disk.list(""),
      () => disk.sizeOf("a"),
      () => disk.space(),
      () => disk.list(""),
    ];
    expect(kinds.map(kindOf)).toEqual(["none", "none", "permission", "none"]);
  });

  test("row 85: a failing append leaves a prefix: nothing, a part or all", () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = new SimDisk({ seed });
      const file = disk.create("a");
      disk.faults.failNth("append", 1, "io");
      expect(kindOf(() => file.append(utf8("abcd")))).toBe("io");
      expect("abcd").toStartWith(textOf(disk, "a"));
      lengths.add(file.size());
    }
    expect([...lengths].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("row 85: after a failed sync the bytes read well, the next sync succeeds, and the power loss shows the loss", async () => {
    const disk = new SimDisk();
    const file = durable(disk, "a", "kept|");
    file.append(utf8("lost"));
    disk.faults.failNth("sync", 1, "io");
    await expect(file.sync()).rejects.toMatchObject({ kind: "io" });
    await file.sync();
    expect(textOf(disk, "a")).toBe("kept|lost");
    for (const profile of PROFILES) {
      expect(outcomes(disk.copy(), profile, (next) => textOf(next, "a"))).toEqual(
        new Set(["kept|"]),
      );
    }
  });

  test("a sync covers what was written before it started, not what came later", async () => {
    const disk = new SimDisk();
    const file = durable(disk, "a", "");
    file.append(utf8("1"));
    const sync = file.sync();
    file.append(utf8("2"));
    await sync;
    expect(outcomes(disk, "metadata-ordered", (next) => textOf(next, "a"))).toEqual(
      new Set(["1", "12"]),
    );
  });

  test("row 88: the quota stores what fits, fails with `no-space`, and works again when space is freed", () => {
    const disk = new SimDisk();
    durable(disk, "old", "0123456789");
    disk.faults.quotaBytes = 16;
    expect(disk.space()).toEqual({ freeBytes: 6, totalBytes: 16 });
    const file = disk.create("a");
    expect(kindOf(() => file.append(utf8("abcdefgh")))).toBe("no-space");
    expect(textOf(disk, "a")).toBe("abcdef");
    expect(kindOf(() => file.write(utf8("XY"), 0))).toBe("none");
    disk.unlink("old");
    file.append(utf8("gh"));
    expect(textOf(disk, "a")).toBe("XYcdefgh");
  });

  test("row 89: read-only refuses every change and nothing else", () => {
    const disk = new SimDisk();
    const file = durable(disk, "a", "x");
    disk.faults.isReadOnly = true;
    const changes = [
      () => disk.create("b"),
      () => disk.open("a", "read-write"),
      () => disk.rename("a", "b"),
      () => disk.unlink("a"),
      () => disk.makeDirectory("d"),
      () => file.append(utf8("y")),
      () => file.write(utf8("y"), 0),
      () => file.truncate(0),
      () => disk.lock("LOCK", ""),
    ];
    expect(changes.map(kindOf)).toEqual(changes.map(() => "read-only"));
    expect(textOf(disk, "a")).toBe("x");
    expect(disk.list("")).toEqual(["a"]);
  });

  test("row 90: a cap on open files fails with `too-many-files`, leaves nothing behind and recovers", () => {
    const disk = new SimDisk();
    disk.faults.openFilesMax = 2;
    const first = disk.create("a");
    disk.lock("LOCK", "");
    expect(kindOf(() => disk.create("b"))).toBe("too-many-files");
    expect(kindOf(() => disk.open("a", "read"))).toBe("too-many-files");
    expect(disk.list("")).toEqual(["LOCK", "a"]);
    first.close();
    disk.open("a", "read").close();
  });

  test("row 87: slow syncs take virtual time, stuck ones never settle", () => {
    const world = new SimWorld(1);
    const { disk, clock } = world.node("a", { driftPpm: 0 });
    const file = disk.create("a");
    disk.faults.syncDelayMs = { min: 5000, max: 6000 };
    const startMs = clock.monoMs();
    world.runUntil(file.sync());
    expect(clock.monoMs() - startMs).toBeGreaterThanOrEqual(5000);
    expect(clock.monoMs() - startMs).toBeLessThanOrEqual(6001);
    disk.faults.syncDelayMs = "never";
    let isSettled = false;
    void file.sync().finally(() => (isSettled = true));
    world.run(3_600_000);
    expect(isSettled).toBe(false);
  });

  test("planned failures end with the life they were meant for, the state of the device stays", () => {
    const disk = new SimDisk();
    disk.faults.failNth("list", 1, "io");
    disk.faults.quotaBytes = 100;
    const next = disk.kill();
    expect(next.list("")).toEqual([]);
    expect(next.space().totalBytes).toBe(100);
  });
});

describe("copy()", () => {
  test("is independent, names, bytes and pending operations alike", () => {
    const disk = new SimDisk();
    durable(disk, "a", "a").append(utf8("+"));
    disk.rename("a", "b");
    const copy = disk.copy();
    disk.unlink("b");
    expect(textOf(copy, "b")).toBe("a+");
    copy.syncDirectory("");
    const seen = outcomes(
      copy,
      "metadata-ordered",
      (next) => `${next.list("").join()}=${textOf(next, "b")}`,
    );
    expect(seen).toEqual(new Set(["b=a", "b=a+"]));
  });
});
