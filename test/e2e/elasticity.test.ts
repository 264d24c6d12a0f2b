/**
 * Real nodes under load through all that operators do to a cluster, each step once, each test on the cluster that the one before it left; `bun run elastic` does the same
 * with more of everything, and `docs/operations.test.ts` the commands of docs/operations.md word for word.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ElasticDrill } from "../support/elastic-drill.ts";
import { verdict } from "../support/elastic-verdict.ts";
import { GrowingCluster } from "../support/growing-cluster.ts";
import { deleteRecords, writeRecords } from "../support/ledger-batches.ts";
import { LedgerLoad } from "../support/ledger-load.ts";
import { RecordLedger } from "../support/record-ledger.ts";
import { hutch } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

/** Deletions are collected while this runs; the sum of the first three is below the fourth (R41). */
const ARGS = [
  ...["--request-timeout-max", "2s", "--hint-ttl", "3s", "--drift-max", "500ms"],
  ...["--gc-delay", "6s", "--partitions", "16", "--log-level", "warn"],
];
const RECORDS = 5000;
const DELETED = 500;
const RATE = 100;
const BUCKET = "records";
const SETTLE_MS = 60_000;

const ledger = new RecordLedger(RECORDS, 400);
const place = { ledger, bucket: BUCKET };
let directory = "";
let cluster: GrowingCluster;
let load: LedgerLoad;
let drill: ElasticDrill;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hutch-e2e-"));
  cluster = new GrowingCluster(directory, ARGS);
  await cluster.found(3);
  const all = Array.from({ length: RECORDS }, (_, record) => record);
  await writeRecords(cluster.urls, place, all);
  await deleteRecords(cluster.urls, place, all.slice(0, DELETED));
  const shares = { writeShare: 0.4, deleteShare: 0.01 };
  const options = { ...shares, ledger, bucket: BUCKET, seed: "e2e", connections: 8 };
  load = new LedgerLoad(options, cluster.urls);
  load.pace(RATE);
  await load.start();
  drill = new ElasticDrill({
    ...{ cluster, load, place, seed: "e2e", flips: 10, settleMs: SETTLE_MS },
    onRow: () => undefined,
  });
});

afterAll(async () => {
  await load?.stop();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Of the last step; a busy machine may time a request out, which is not what is looked for here. */
function refused(): string[] {
  const problems = [...drill.rows.at(-1)!.tally.problems.keys()];
  return problems.filter((problem) => !problem.includes(" 504 "));
}

const sound = (): void => expect([...drill.violations, ...load.violations]).toEqual([]);

describe("what would lose copies is refused", () => {
  test("row 104: a node does not leave where fewer would be left than there are copies", async () => {
    const { exitCode, stderr } = await cluster.run(["leave", "n2", "--yes"]);
    expect(stderr).toContain("3 copies of each key want 3 nodes; add a node first");
    expect(exitCode).not.toBe(0);
    expect((await cluster.layout()).staged).toEqual([]);
  });

  test("row 105: a node that is up is not declared lost", async () => {
    const { exitCode, stderr } = await cluster.run(["remove", "n2", "--yes"]);
    expect(stderr).toContain('Cannot declare node "n2" lost: it is up');
    expect(exitCode).not.toBe(0);
  });
});

describe("steps", () => {
  test("row 103: two nodes join at once under load, and no request fails", async () => {
    await drill.add("n4", "n6");
    expect(refused()).toEqual([]);
    sound();
    const { nodes } = await cluster.layout("n6");
    expect(nodes.map(({ id, partitions }) => `${id} ${partitions >= 9}`)).toEqual(
      ["n1", "n2", "n3", "n4", "n6"].map((name) => `${name} true`),
    );
  });

  test("R60: a node leaves under load, ends with 0, and no request fails", async () => {
    await drill.leave("n2");
    expect(refused()).toEqual([]);
    expect(drill.rows.at(-1)!.note).toContain("all nodes have followed");
    sound();
  });

  test("row 106: it does not start again with its data", async () => {
    const { exitCode, stderr } = await hutch(cluster.serveArgs("n2"));
    expect(stderr).toContain("this node is of its cluster no more");
    expect(exitCode).toBe(78);
  });

  test("row 115: a node that is lost for good is replaced under load", async () => {
    await drill.replaceDead("n3", "n5");
    expect((await cluster.layout()).nodes.map(({ id }) => id)).toEqual(["n1", "n4", "n5", "n6"]);
    sound();
  });

  test("row 80: bits that turn in the tables of a running node are found and healed while it serves", async () => {
    await drill.rot("n4");
    expect(drill.rows.at(-1)!.note).toContain("healed");
    expect(refused()).toEqual([]);
    sound();
  });

  test("R59: a node that lost its disk comes back under its name and is complete", async () => {
    await drill.wipe("n1");
    sound();
  });

  test("R56: weights are staged, shown and applied", async () => {
    const staged = await cluster.run(["layout", "stage", "--node", "n4", "--weight", "2"]);
    expect(staged.stdout).toMatch(/n4: weight 2\n/);
    const before = await cluster.layout();
    const applied = await cluster.run(["layout", "apply", "--yes"]);
    expect([applied.exitCode, applied.stderr]).toEqual([
      0,
      expect.stringContaining("all nodes have followed"),
    ]);
    await cluster.settled(before.version + 1, SETTLE_MS);
    const partitionsOf = ({ nodes }: typeof before): number =>
      nodes.find(({ id }) => id === "n4")!.partitions;
    expect(partitionsOf(await cluster.layout())).toBeGreaterThan(partitionsOf(before));
  });
});

test("every record is there byte for byte, no deleted one is back, all owners are equal", async () => {
  await load.stop();
  expect(ledger.deleted.length).toBeGreaterThanOrEqual(DELETED);
  const repaired = await cluster.run(["repair", "--all"]);
  expect([repaired.exitCode, repaired.stderr]).toEqual([0, expect.stringContaining("compared")]);
  const quiet = { note: () => undefined, sample: 300, settleMs: SETTLE_MS };
  expect(await verdict({ ...quiet, cluster, place })).toEqual([]);
  sound();
});

test("nothing is kept for anybody any more", async () => {
  const hints = await cluster.run(["hints"]);
  expect(hints.stdout).toBe("no node holds anything for another one\n");
});
