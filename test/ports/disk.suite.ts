/** What every disk does, real or simulated. One suite, so that the simulator's promises are the machine's. */
import { expect, test } from "bun:test";
import { type Disk, DiskError, type DiskErrorKind } from "../../src/ports/disk.ts";
import { utf8 } from "./support.ts";

/** `fresh` makes an empty disk; `again` opens the same directory as another process would. */
export interface DiskWorld {
  fresh(): Disk;
  again(disk: Disk): Disk;
}

export function diskSuite(world: DiskWorld): void {
  readingAndWriting(world);
  names(world);
  links(world);
  failures(world);
  mapsAndLocks(world);
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

function put(disk: Disk, path: string, content: string): void {
  const file = disk.create(path);
  file.append(utf8(content));
  file.close();
}

function get(disk: Disk, path: string): string {
  const file = disk.open(path, "read");
  const bytes = new Uint8Array(file.size());
  expect(file.read(bytes, 0)).toBe(bytes.length);
  file.close();
  return new TextDecoder().decode(bytes);
}

function readingAndWriting({ fresh, again }: DiskWorld): void {
  test("append() adds at the end, also after reopening", () => {
    const disk = fresh();
    put(disk, "a", "one,");
    const file = disk.open("a", "read-write");
    file.append(utf8("two,"));
    file.append(utf8("three"));
    expect(file.size()).toBe(13);
    file.close();
    expect(get(again(disk), "a")).toBe("one,two,three");
  });

  test("read() at any offset returns what is there, and less only at the end", () => {
    const disk = fresh();
    put(disk, "a", "0123456789");
    const file = disk.open("a", "read");
    const target = new Uint8Array(4);
    expect(file.read(target, 3)).toBe(4);
    expect(target).toEqual(utf8("3456"));
    expect(file.read(target, 8)).toBe(2);
    expect(target).toEqual(utf8("8956"));
    expect(file.read(target, 10)).toBe(0);
    expect(file.read(target, 1000)).toBe(0);
    expect(file.read(new Uint8Array(0), 0)).toBe(0);
    file.close();
  });

  test("read() sees what another handle has appended before any sync", () => {
    const disk = fresh();
    const writer = disk.create("a");
    const reader = disk.open("a", "read");
    writer.append(utf8("fresh"));
    const target = new Uint8Array(5);
    expect(reader.read(target, 0)).toBe(5);
    expect(reader.size()).toBe(5);
    expect(target).toEqual(utf8("fresh"));
  });

  test("append() does not keep the caller's array", async () => {
    const disk = fresh();
    const bytes = utf8("good");
    const file = disk.create("a");
    file.append(bytes);
    bytes.fill(0);
    await file.sync();
    expect(get(disk, "a")).toBe("good");
  });

  test("write() overwrites in place, and beyond the end leaves zeros between", () => {
    const disk = fresh();
    put(disk, "a", "abcdef");
    const file = disk.open("a", "read-write");
    file.write(utf8("XY"), 2);
    file.write(utf8("Z"), 8);
    file.append(utf8("!"));
    expect(get(disk, "a")).toBe("abXYef\0\0Z!");
    file.close();
  });

  test("truncate() cuts and extends with zeros, and append() goes on there", () => {
    const disk = fresh();
    put(disk, "a", "abcdef");
    const file = disk.open("a", "read-write");
    file.truncate(2);
    expect(disk.sizeOf("a")).toBe(2);
    file.append(utf8("Z"));
    file.truncate(5);
    expect(get(disk, "a")).toBe("abZ\0\0");
    file.close();
  });

  test("a write of 9 MiB and one byte comes back whole", () => {
    const disk = fresh();
    const bytes = new Uint8Array(9 * 2 ** 20 + 1).map((_, i) => (i * 31) >> 3);
    const file = disk.create("large");
    file.append(bytes);
    const back = new Uint8Array(bytes.length);
    expect(file.read(back, 0)).toBe(bytes.length);
    expect(Bun.hash(back)).toBe(Bun.hash(bytes));
    file.close();
  });

  test("sync() and syncNow() settle, many at a time, and close() may overtake a sync", async () => {
    const disk = fresh();
    const file = disk.create("a");
    file.append(utf8("x"));
    const syncs = [file.sync(), file.sync(), file.sync()];
    file.syncNow();
    file.close();
    file.close();
    await Promise.all(syncs);
    disk.syncDirectory("");
  });
}

function names({ fresh }: DiskWorld): void {
  test("list() is sorted bytewise, names only, files and directories", () => {
    const disk = fresh();
    for (const name of ["b", "a", "Z", "10", "9", "a.tmp"]) put(disk, name, "");
    disk.makeDirectory("sub/deep");
    put(disk, "sub/inner", "");
    expect(disk.list("")).toEqual(["10", "9", "Z", "a", "a.tmp", "b", "sub"]);
    expect(disk.list("sub")).toEqual(["deep", "inner"]);
    expect(disk.list("sub/deep")).toEqual([]);
  });

  test("makeDirectory() of what is there is no error", () => {
    const disk = fresh();
    disk.makeDirectory("x/y");
    disk.makeDirectory("x/y");
    disk.makeDirectory("x");
    disk.makeDirectory("");
    disk.syncDirectory("x");
    expect(disk.list("x")).toEqual(["y"]);
  });

  test("rename() replaces the target, and the source is gone", () => {
    const disk = fresh();
    put(disk, "old", "old");
    put(disk, "new", "new");
    disk.rename("new", "old");
    expect(get(disk, "old")).toBe("new");
    expect(disk.list("")).toEqual(["old"]);
    disk.rename("old", "old");
    expect(get(disk, "old")).toBe("new");
  });

  test("rename() moves between directories", () => {
    const disk = fresh();
    disk.makeDirectory("sub");
    put(disk, "a", "moved");
    disk.rename("a", "sub/b");
    expect(disk.list("")).toEqual(["sub"]);
    expect(get(disk, "sub/b")).toBe("moved");
  });

  test("unlink() takes the name; open handles go on reading", () => {
    const disk = fresh();
    put(disk, "a", "still here");
    const file = disk.open("a", "read");
    disk.unlink("a");
    expect(disk.list("")).toEqual([]);
    expect(file.read(new Uint8Array(10), 0)).toBe(10);
    put(disk, "a", "another");
    expect(get(disk, "a")).toBe("another");
    file.close();
  });

  test("fileIdentity() stays while the file is written and renamed, and is not-found for none", () => {
    const disk = fresh();
    put(disk, "a", "one");
    const before = disk.fileIdentity("a");
    disk.rename("a", "b");
    expect(disk.fileIdentity("b")).toBe(before);
    expect(kindOf(() => disk.fileIdentity("a"))).toBe("not-found");
  });

  test("syncDirectorySoon() settles, and rejects for a directory that is not there", async () => {
    const disk = fresh();
    put(disk, "a", "one");
    await disk.syncDirectorySoon("");
    const outcome = await Promise.resolve()
      .then(() => disk.syncDirectorySoon("none"))
      .then(
        () => "settled",
        (error: unknown) => (error as DiskError).kind,
      );
    expect(outcome).toBe("not-found");
  });

  test("sizeOf() is the size, or -1 for nothing and for directories", () => {
    const disk = fresh();
    put(disk, "a", "12345");
    disk.makeDirectory("d");
    expect(disk.sizeOf("a")).toBe(5);
    expect(disk.sizeOf("b")).toBe(-1);
    expect(disk.sizeOf("d")).toBe(-1);
  });

  test("space() knows free and total bytes", () => {
    const { freeBytes, totalBytes } = fresh().space();
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  });
}

function links({ fresh, again }: DiskWorld): void {
  test("link() gives a file a second name; the bytes stay until both are unlinked", () => {
    const disk = fresh();
    disk.makeDirectory("sub");
    put(disk, "a", "one file");
    disk.link("a", "sub/b");
    expect(disk.fileIdentity("sub/b")).toBe(disk.fileIdentity("a"));
    disk.unlink("a");
    expect(get(disk, "sub/b")).toBe("one file");
    disk.link("sub/b", "a");
    disk.rename("a", "c");
    expect(disk.list("")).toEqual(["c", "sub"]);
    expect(get(again(disk), "sub/b")).toBe("one file");
  });

  test("link() takes no space, and what is written under one name is read under the other", () => {
    const disk = fresh();
    put(disk, "a", "old");
    disk.link("a", "b");
    const file = disk.open("a", "read-write");
    file.append(utf8(", new"));
    file.close();
    expect(get(disk, "b")).toBe("old, new");
  });

  test("link() refuses a name that is taken, a source that is none, and a directory", () => {
    const disk = fresh();
    disk.makeDirectory("d");
    put(disk, "a", "a");
    put(disk, "b", "b");
    expect(kindOf(() => disk.link("a", "b"))).toBe("exists");
    expect(kindOf(() => disk.link("none", "c"))).toBe("not-found");
    expect(kindOf(() => disk.link("a", "none/c"))).toBe("not-found");
    expect(kindOf(() => disk.link("d", "c"))).not.toBe("none");
    expect(get(disk, "b")).toBe("b");
    expect(disk.list("")).toEqual(["a", "b", "d"]);
  });

  test("rename() moves a directory with all that is in it", () => {
    const disk = fresh();
    disk.makeDirectory("x/old");
    put(disk, "x/old/a", "inside");
    disk.syncDirectory("x/old");
    disk.rename("x/old", "x/new");
    disk.syncDirectory("x");
    expect(disk.list("x")).toEqual(["new"]);
    expect(kindOf(() => disk.rename("x/old", "x/newer"))).toBe("not-found");
    expect(get(again(disk), "x/new/a")).toBe("inside");
  });

  test("removeDirectory() takes an empty one, and no other", () => {
    const disk = fresh();
    disk.makeDirectory("d");
    put(disk, "d/a", "");
    expect(kindOf(() => disk.removeDirectory("d"))).not.toBe("none");
    disk.unlink("d/a");
    disk.removeDirectory("d");
    expect(disk.list("")).toEqual([]);
    expect(kindOf(() => disk.removeDirectory("d"))).toBe("not-found");
  });
}

function failures({ fresh }: DiskWorld): void {
  test("what is missing is `not-found`, for every call", () => {
    const disk = fresh();
    const calls: (() => unknown)[] = [
      () => disk.open("a", "read"),
      () => disk.open("a", "read-write"),
      () => disk.map("a"),
      () => disk.unlink("a"),
      () => disk.rename("a", "b"),
      () => disk.list("d"),
      () => disk.syncDirectory("d"),
      () => disk.create("d/a"),
    ];
    expect(calls.map(kindOf)).toEqual(calls.map(() => "not-found"));
  });

  test("create() of what is there is `exists` and leaves it alone", () => {
    const disk = fresh();
    put(disk, "a", "kept");
    expect(kindOf(() => disk.create("a"))).toBe("exists");
    expect(get(disk, "a")).toBe("kept");
  });

  test("writing through a handle opened for reading is `io` and changes nothing", () => {
    const disk = fresh();
    put(disk, "a", "kept");
    const file = disk.open("a", "read");
    expect(kindOf(() => file.append(utf8("x")))).toBe("io");
    expect(kindOf(() => file.write(utf8("x"), 0))).toBe("io");
    expect(kindOf(() => file.truncate(0))).toBe("io");
    expect(get(disk, "a")).toBe("kept");
  });

  test("directories are no files: `io`", () => {
    const disk = fresh();
    disk.makeDirectory("d");
    expect(kindOf(() => disk.open("d", "read-write"))).toBe("io");
    expect(kindOf(() => disk.map("d"))).toBe("io");
    expect(kindOf(() => disk.unlink("d"))).toBe("io");
  });

  test("errors name the path", () => {
    const disk = fresh();
    expect(() => disk.open("no-such-file", "read")).toThrow('"no-such-file"');
  });

  test("a closed file is a programmer error", () => {
    const file = fresh().create("a");
    file.close();
    expect(() => file.append(utf8("x"))).toThrow("is open");
    expect(() => file.read(new Uint8Array(1), 0)).toThrow("is open");
  });
}

function mapsAndLocks({ fresh, again }: DiskWorld): void {
  test("map() shows the whole file and outlives its name", () => {
    const disk = fresh();
    put(disk, "a", "mapped");
    const map = disk.map("a");
    disk.unlink("a");
    expect(map).toEqual(utf8("mapped"));
  });

  test("a store into a map does not reach the file", () => {
    const disk = fresh();
    put(disk, "a", "mapped");
    disk.map("a")[0] = 0;
    expect(get(disk, "a")).toBe("mapped");
  });

  test("map() of an empty file is `io`", () => {
    const disk = fresh();
    put(disk, "a", "");
    expect(kindOf(() => disk.map("a"))).toBe("io");
  });

  test("row 94: a second lock() is `locked` until the first is released", () => {
    const disk = fresh();
    const lock = disk.lock("LOCK", "first");
    expect(kindOf(() => disk.lock("LOCK", "second"))).toBe("locked");
    expect(get(disk, "LOCK")).toContain("first");
    lock.release();
    lock.release();
    const next = again(disk);
    const second = next.lock("LOCK", "third");
    expect(get(next, "LOCK")).toContain("third");
    expect(get(next, "LOCK")).not.toContain("first");
    second.release();
  });
}
