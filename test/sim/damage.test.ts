/** Disks that lie, in a cluster: nobody is told a wrong thing, nothing is lost, and the damaged node heals while it serves. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { HutchError } from "../../src/base/errors.ts";
import type { SimCluster } from "../../src/simulator/cluster.ts";
import { TABLE_DAMAGES, damageTable, tablesOf } from "../../src/simulator/damage.ts";
import {
  expectAll,
  expectNothingDead,
  expectWhole,
  fill,
  formed,
  get,
  post,
  put,
  remove,
} from "../support/sim-requests.ts";

/** Every node's memtable becomes a table. */
function flush(cluster: SimCluster): void {
  for (const i of cluster.present)
    expect(post(cluster, i, "/v1/admin/flush").status).toBeLessThan(300);
  cluster.world.run(2000);
}

/** Keys in tables, and some written over since. */
function stored(seed: string, count = 120): { cluster: SimCluster; written: Map<string, string> } {
  const cluster = formed(seed);
  const written = fill(cluster, count);
  flush(cluster);
  for (let i = 0; i < count; i += 7) {
    expect(put(cluster, i % 3, `k${i}`, `newer ${i}`).status).toBe(204);
    written.set(`k${i}`, `newer ${i}`);
  }
  return { cluster, written };
}

function damageAll(cluster: SimCluster, index: number, how: (typeof TABLE_DAMAGES)[number]): void {
  const prng = new Prng(`${cluster.seed}/damage`);
  const tables = tablesOf(cluster, index);
  expect(tables.length).toBeGreaterThan(0);
  for (const path of tables) damageTable(cluster, index, path, how, prng);
}

/** Without the others: what it says now it says of itself. */
function expectAllAlone(
  cluster: SimCluster,
  index: number,
  written: ReadonlyMap<string, string>,
): void {
  for (const i of cluster.present) if (i !== index) cluster.crash(i);
  cluster.world.run(5000);
  for (const [key, value] of written) {
    const { status, text } = get(cluster, index, key, { "X-Consistency": "ONE" });
    expect([key, status, text]).toEqual([key, 200, value]);
  }
}

describe("tables", () => {
  test.each(TABLE_DAMAGES)(
    "row 80, row 81: damage of every table of one node of three (%s) is found at its start and healed",
    (how) => {
      const { cluster, written } = stored(`restart ${how}`);
      cluster.crash(1);
      damageAll(cluster, 1, how);
      cluster.restart(1);
      cluster.waitFor("it is back", () => cluster.isStarted(1), 10_000);
      expectAll(cluster, written);
      expectWhole(cluster);
      expectAll(cluster, written);
      expectAllAlone(cluster, 1, written);
    },
  );

  test.each(TABLE_DAMAGES)(
    "row 80, row 82: damage under a running node (%s) is found by its scrub and healed; nobody is told a wrong thing",
    (how) => {
      const { cluster, written } = stored(`running ${how}`);
      damageAll(cluster, 2, how);
      for (let round = 0; round < 4; round++) {
        expectAll(cluster, written);
        cluster.world.run(1000);
      }
      cluster.world.run(10_000);
      expectWhole(cluster);
      expectAll(cluster, written);
      // What the scrub has not found a restart would.
      cluster.crash(2);
      cluster.restart(2);
      expectWhole(cluster);
      expectAllAlone(cluster, 2, written);
    },
  );

  test("row 84: sectors that cannot be read are damage like any other; the node heals", () => {
    const { cluster, written } = stored("eio");
    cluster.crash(0);
    const { disk } = cluster.machines[0]!;
    for (const path of tablesOf(cluster, 0)) disk.damage.failReads(path, 0, 64);
    cluster.restart(0);
    // A map over a bad sector ends the process once or twice: it starts without maps then (C12).
    for (let tries = 0; tries < 5; tries++) {
      cluster.world.run(1000);
      if (cluster.isUp(0)) break;
      cluster.crash(0);
      cluster.restart(0);
    }
    expectAll(cluster, written);
    expectWhole(cluster);
    expectAllAlone(cluster, 0, written);
  });

  test("C13: a write over a damaged key, and a deletion of one, hold", () => {
    const { cluster, written } = stored("over damage");
    cluster.crash(1);
    damageAll(cluster, 1, "empty");
    cluster.restart(1);
    cluster.waitFor("it is back", () => cluster.isStarted(1), 10_000);
    for (let i = 0; i < 120; i += 5) {
      const key = `k${i}`;
      if (i % 2 === 0) {
        expect(put(cluster, i % 3, key, `after ${i}`).status).toBe(204);
        written.set(key, `after ${i}`);
      } else {
        expect(remove(cluster, i % 3, key).status).toBe(204);
        written.delete(key);
      }
    }
    expectWhole(cluster);
    expectNothingDead(cluster);
    expectAll(cluster, written);
    for (let i = 5; i < 120; i += 10) expect(get(cluster, i % 3, `k${i}`).status).toBe(404);
  });
});

describe("what the node cannot start without", () => {
  test("row 83: a node whose manifest is damaged refuses to start; with an empty disk it takes its own place", () => {
    const { cluster, written } = stored("manifest");
    cluster.crash(1);
    const { image, damage } = cluster.machines[1]!.disk;
    const manifests = [...image.visible.keys()].filter((path) => path.endsWith(".manifest"));
    for (const path of manifests) damage.flipBit(path, 8 * 40);
    cluster.mayEnd.add(1);
    cluster.restart(1);
    cluster.waitFor("it refuses", () => cluster.endings.has(1), 10_000);
    expect((cluster.endings.get(1) as HutchError).code).toBe("data-refused");
    expectAllFrom(cluster, [0, 2], written);
    cluster.replaceDisk(1);
    cluster.restart(1, { replace: "n2" });
    expectWhole(cluster);
    expectAll(cluster, written);
  });

  test("row 78: a log that is damaged in its middle is refused; the others serve, and an empty disk heals", () => {
    const { cluster, written } = stored("log");
    cluster.crash(2);
    const { image, damage } = cluster.machines[2]!.disk;
    const logs = [...image.visible.keys()].filter((path) => path.endsWith(".wal")).sort();
    damage.flipBit(logs.at(-1)!, 8 * 200);
    cluster.mayEnd.add(2);
    cluster.restart(2);
    cluster.waitFor(
      "it ends or serves",
      () => cluster.endings.has(2) || cluster.isStarted(2),
      10_000,
    );
    if (cluster.endings.has(2)) {
      cluster.replaceDisk(2);
      cluster.restart(2, { replace: "n3" });
    }
    expectWhole(cluster);
    expectAll(cluster, written);
  });
});

function expectAllFrom(
  cluster: SimCluster,
  nodes: readonly number[],
  written: ReadonlyMap<string, string>,
): void {
  for (const [key, value] of written)
    for (const i of nodes) expect(get(cluster, i, key).text).toBe(value);
}
