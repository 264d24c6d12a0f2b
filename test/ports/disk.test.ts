import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import { BunDisk } from "../../src/bun/disk.ts";
import { DiskError, type Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { diskSuite } from "./disk.suite.ts";
import { utf8 } from "./support.ts";

const base = fs.mkdtempSync(`${os.tmpdir()}/hutch-disk-`);
let made = 0;
const fresh = (): BunDisk => new BunDisk(`${base}/${made++}`);

afterAll(() => fs.rmSync(base, { recursive: true }));

describe("BunDisk", () => {
  diskSuite({ fresh, again: (disk: Disk) => new BunDisk((disk as BunDisk).root) });
});

describe("SimDisk", () => {
  diskSuite({
    fresh: () => new SimDisk({ seed: made++ }),
    again: (disk: Disk) => (disk as SimDisk).kill(),
  });
});

describe("BunDisk alone", () => {
  test("Q14: files are 0600, directories 0700", () => {
    const disk = fresh();
    disk.create("a").close();
    disk.makeDirectory("d");
    disk.lock("LOCK", "").release();
    const mode = (path: string): string => (fs.statSync(path).mode & 0o777).toString(8);
    expect(mode(disk.root)).toBe("700");
    expect(mode(`${disk.root}/d`)).toBe("700");
    expect(mode(`${disk.root}/a`)).toBe("600");
    expect(mode(`${disk.root}/LOCK`)).toBe("600");
  });

  test("Q14: an entry that is a symbolic link is refused by every call", () => {
    const disk = fresh();
    const outside = fresh();
    outside.create("secret").close();
    fs.symlinkSync(`${outside.root}/secret`, `${disk.root}/link`);
    fs.symlinkSync(outside.root, `${disk.root}/linked`);
    disk.create("plain").close();
    const calls: (() => unknown)[] = [
      () => disk.open("link", "read"),
      () => disk.create("link"),
      () => disk.map("link"),
      () => disk.rename("link", "x"),
      () => disk.rename("plain", "link"),
      () => disk.unlink("link"),
      () => disk.sizeOf("link"),
      () => disk.lock("link", ""),
      () => disk.list("linked"),
      () => disk.open("linked/secret", "read"),
      () => disk.makeDirectory("linked/x"),
      () => disk.syncDirectory("linked"),
    ];
    for (const call of calls) expect(call).toThrow("symbolic link");
    expect(fs.readdirSync(outside.root)).toEqual(["secret"]);
  });

  test("a path never leaves the directory", () => {
    const disk = fresh();
    for (const path of ["../x", "/etc/passwd", "a/../../x", "./a", "a//b"]) {
      expect(() => disk.create(path)).toThrow("stays inside");
    }
  });

  test("row 89: a missing parent is `not-found`, a file in the way is refused, the last part is made", () => {
    expect(() => new BunDisk(`${base}/no/such`)).toThrow(DiskError);
    fs.writeFileSync(`${base}/file`, "");
    expect(() => new BunDisk(`${base}/file`)).toThrow("not a directory");
    expect(new BunDisk(`${base}/made`).list("")).toEqual([]);
  });

  test("row 94: another process is refused while this one holds the lock, and gets it afterwards", () => {
    const disk = fresh();
    const script = `
      import { BunDisk } from ${JSON.stringify(`${import.meta.dir}/../../src/bun/disk.ts`)};
      try { new BunDisk(${JSON.stringify(disk.root)}).lock("LOCK", "child"); console.log("got it"); }
      catch (thrown) { console.log(thrown.kind, thrown.message); }`;
    const child = (): string =>
      Bun.spawnSync([process.execPath, "-e", script]).stdout.toString().trim();
    const lock = disk.lock("LOCK", "the parent");
    expect(child()).toStartWith(
      `locked Cannot lock "LOCK": held by "pid ${process.pid} the parent`,
    );
    lock.release();
    expect(child()).toBe("got it");
  });

  test.if(process.platform === "linux")("no descriptor is inherited by a child process", () => {
    const disk = fresh();
    const file = disk.create("a");
    const lock = disk.lock("LOCK", "");
    const child = Bun.spawnSync(["ls", "-l", "/proc/self/fd"]).stdout.toString();
    expect(child).not.toContain(disk.root);
    file.close();
    lock.release();
  });

  test.if(fs.existsSync("/dev/full"))("row 88: a full disk is `no-space`", () => {
    // `/dev/full` fails each write the way a full file system does.
    const full = new BunDisk("/dev").open("full", "read-write");
    expect(() => full.append(utf8("x"))).toThrow(expect.objectContaining({ kind: "no-space" }));
    full.close();
  });

  test("row 90: no descriptors left is `too-many-files`, and it recovers", () => {
    const script = `
      import { BunDisk } from ${JSON.stringify(`${import.meta.dir}/../../src/bun/disk.ts`)};
      const disk = new BunDisk(${JSON.stringify(fresh().root)});
      const files = []; let kind = "none";
      try { for (let i = 0; i < 200; i++) files.push(disk.create("f" + i)); } catch (thrown) { kind = thrown.kind; }
      for (const file of files) file.close();
      disk.create("again").close();
      console.log(kind, disk.list("").length === files.length + 1);`;
    const command = ["sh", "-c", 'ulimit -n 100; exec "$0" -e "$1"', process.execPath, script];
    const { stdout, stderr } = Bun.spawnSync(command);
    expect(stdout.toString() + stderr.toString()).toBe("too-many-files true\n");
  });
});
