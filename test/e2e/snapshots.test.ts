/** Snapshots of real nodes under load, and what comes of them: one node among others that live, and a whole cluster. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodesSeenBy, until, untilAllUp } from "../support/cluster-eyes.ts";
import { ClusterLoad } from "../support/cluster-load.ts";
import { ClusterProcess, hutch } from "./node-process.ts";

setDefaultTimeout(60_000);

const ALL = [0, 1, 2];
let directory = "";
let cluster: ClusterProcess;
let load: ClusterLoad;
/** What was acknowledged before the snapshots began. */
let floors: readonly number[] = [];

const run = (...args: readonly string[]) =>
  hutch(["snapshot", ...args], { environment: { HUTCH_URL: cluster.url(0) } });

const acknowledged = (count: number) =>
  until(
    "writes",
    () => Promise.resolve(load.acknowledged),
    (now) => now >= count,
  );

/** `cp -r old/snapshots/NAME new`. */
function restore(index: number, name: string): void {
  const dataDir = cluster.dataDir(index);
  const old = `${dataDir}-old`;
  rmSync(old, { recursive: true, force: true });
  renameSync(dataDir, old);
  cpSync(join(old, "snapshots", name), dataDir, { recursive: true });
  // One copy is for one restore: the others of the old directory are still there.
  cpSync(join(old, "snapshots"), join(dataDir, "snapshots"), { recursive: true });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hutch-e2e-"));
  cluster = await ClusterProcess.start(ALL.length, directory, { args: ["--partitions", "16"] });
  load = new ClusterLoad(cluster, { seed: "snapshots", through: ALL, pauseMs: 5 });
  load.start();
  await acknowledged(200);
});

afterAll(async () => {
  await load.stop();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("snapshots of all nodes are taken while clients write, shown, and removed", async () => {
  floors = load.allKeys.map(({ floor }) => floor);
  const taken = await run("take", "monday");
  expect(taken).toMatchObject({ exitCode: 0, stderr: "" });
  expect(taken.stdout).toContain("snapshot monday is taken");
  expect((await run("take", "monday")).exitCode).toBe(78);
  expect((await run("take", "extra", "--node", "n2")).exitCode).toBe(0);
  expect(existsSync(join(cluster.dataDir(1), "snapshots", "extra", "CURRENT"))).toBe(true);
  const shown = (await run("ls")).stdout;
  expect(shown).toMatch(/monday +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +all 3/);
  expect(shown).toMatch(/extra .* n2 /);
  expect((await run("rm", "extra", "--yes")).stdout).toBe("removed snapshot extra of n2\n");
  expect((await run("rm", "extra", "--yes")).exitCode).toBe(1);
  expect(readdirSync(join(cluster.dataDir(1), "snapshots"))).toEqual(["monday"]);
  const table = readdirSync(join(cluster.dataDir(0), "snapshots", "monday")).find((name) =>
    name.endsWith(".sst"),
  );
  const path = join(cluster.dataDir(0), "snapshots", "monday", table!);
  expect((await hutch(["inspect", "sstable", path])).exitCode).toBe(0);
});

test("row 93: a node that is restored among others that live has what it missed before it is ready, and a new incarnation", async () => {
  const [, , before] = await nodesSeenBy(cluster, 0);
  load.talkTo([0, 1]);
  await cluster.kill(2);
  restore(2, "monday");
  await cluster.restart(2);
  load.talkTo(ALL);
  await untilAllUp(cluster);
  const [, , after] = await nodesSeenBy(cluster, 0);
  expect(after!.incarnation).toBeGreaterThan(before!.incarnation);
  await load.stop();
  expect(await load.checkAll([2])).toEqual([]);
  expect(load.violations).toEqual([]);
});

test("a cluster that is restored from the snapshots of all nodes has every write that was acknowledged before them", async () => {
  await Promise.all(ALL.map((index) => cluster.kill(index)));
  for (const index of ALL) restore(index, "monday");
  await Promise.all(ALL.map((index) => cluster.restart(index)));
  await untilAllUp(cluster);
  load.allKeys.forEach((key, at) => (key.floor = floors[at]!));
  expect(await load.checkAll(ALL)).toEqual([]);
  expect(load.violations).toEqual([]);
  expect((await run("ls")).stdout).toContain("all 3");
});
