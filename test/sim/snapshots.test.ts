/** Snapshots of nodes, and what comes of the cluster that is made of them again (row 93). */
import { describe, expect, test } from "bun:test";
import type { DiskImage } from "../../src/sim/disk-image.ts";
import type { SimCluster } from "../../src/simulator/cluster.ts";
import {
  GC_DELAY_MS,
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
import { copyOfSnapshot } from "../support/snapshot-copy.ts";

/** The snapshot's files in an empty data directory. */
function imageOf(cluster: SimCluster, node: number, name: string): DiskImage {
  return copyOfSnapshot(cluster.imageOf(node), name);
}

function begin(cluster: SimCluster, node: number, name: string): void {
  expect(post(cluster, node, "/v1/admin/snapshot", { name }).status).toBe(202);
}

function waitTaken(cluster: SimCluster, node: number, name: string): void {
  const isTaken = (): boolean => {
    const { snapshots } = cluster.json<{ snapshots: { name: string }[] }>(
      node,
      "/v1/admin/snapshots",
    );
    return snapshots.some((one) => one.name === name);
  };
  for (let i = 0; i < 100 && !isTaken(); i++) cluster.world.run(20);
  expect(isTaken()).toBe(true);
}

function take(cluster: SimCluster, node: number, name: string): void {
  begin(cluster, node, name);
  waitTaken(cluster, node, name);
}

/** All nodes end, get the disks, and start. */
function restoreAll(cluster: SimCluster, images: readonly DiskImage[]): void {
  for (const i of cluster.present) if (cluster.isUp(i)) cluster.powerLoss(i);
  cluster.world.run(2000);
  for (const i of cluster.present) {
    cluster.replaceDisk(i, images[i]);
    cluster.restart(i);
  }
  cluster.waitFor("all serve", () => cluster.present.every((i) => isServing(cluster, i)), 60_000);
}

const isServing = (cluster: SimCluster, node: number): boolean =>
  cluster.isStarted(node) && cluster.isServing(node);

describe("one node is restored among others that live", () => {
  test("row 93, R12: it has a new incarnation, gets what it missed before it serves, and brings nothing back", () => {
    const cluster = formed("restored alone");
    const kept = fill(cluster, 20);
    fill(cluster, 10, "gone");
    const before = cluster.json<{ nodes: { id: string; incarnation: number }[] }>(
      0,
      "/v1/cluster/nodes",
    );
    take(cluster, 2, "monday");
    const image = imageOf(cluster, 2, "monday");
    for (let i = 0; i < 10; i++) expect(remove(cluster, i % 3, `gone${i}`).status).toBe(204);
    for (const [key, value] of fill(cluster, 20, "later")) kept.set(key, value);
    cluster.powerLoss(2);
    cluster.replaceDisk(2, image);
    cluster.restart(2);
    cluster.waitFor("it is there", () => isServing(cluster, 2), 30_000);
    for (const [key, value] of kept)
      expect(get(cluster, 2, key, { "X-Consistency": "ONE" }).text).toBe(value);
    const after = cluster.json<typeof before>(0, "/v1/cluster/nodes");
    expect(after.nodes[2]!.incarnation).toBeGreaterThan(before.nodes[2]!.incarnation);
    expectWhole(cluster);
    expectAll(cluster, kept);
    expectNothingDead(cluster);
    for (let i = 0; i < 10; i++) expect(get(cluster, 2, `gone${i}`).status).toBe(404);
  });

  test("row 93: killed before it has caught up, it rebuilds again", () => {
    const cluster = formed("restored twice");
    fill(cluster, 5);
    take(cluster, 2, "monday");
    const image = imageOf(cluster, 2, "monday");
    const later = fill(cluster, 60, "later");
    cluster.powerLoss(2);
    cluster.world.run(5000);
    cluster.replaceDisk(2, image);
    cluster.restart(2);
    for (let ms = 0; ms < 5000 && !cluster.isStarted(2); ms++) cluster.world.run(1);
    expect([cluster.isStarted(2), cluster.isServing(2)]).toEqual([true, false]);
    cluster.crash(2);
    cluster.restart(2);
    cluster.waitFor("it serves", () => isServing(cluster, 2), 30_000);
    for (const [key, value] of later)
      expect([key, get(cluster, 2, key, { "X-Consistency": "ONE" }).text]).toEqual([key, value]);
  });
});

describe("a whole cluster is restored from the snapshots of all nodes", () => {
  test("every write that was acknowledged before they began is there at QUORUM, whatever was written meanwhile", () => {
    const cluster = formed("restored whole");
    const kept = fill(cluster, 30);
    const images: DiskImage[] = [];
    for (const i of cluster.present) {
      begin(cluster, i, "all");
      // Goes on meanwhile, and between one node and the next.
      for (let k = 0; k < 30; k++) put(cluster, k % 3, `during${k}`, `${i}`);
      waitTaken(cluster, i, "all");
      images[i] = imageOf(cluster, i, "all");
    }
    fill(cluster, 20, "after");
    restoreAll(cluster, images);
    expectAll(cluster, kept);
    expectWhole(cluster);
    expectAll(cluster, kept);
    for (let k = 0; k < 20; k++) expect(get(cluster, k % 3, `after${k}`).status).toBe(404);
    for (let k = 0; k < 30; k++)
      expect(["0", "1", "2"]).toContain(get(cluster, 0, `during${k}`).text);
    fill(cluster, 10, "goes on");
  });

  test("also where deletions were collected: what was deleted before stays so, what was deleted after is there again", () => {
    const cluster = formed("restored after collection");
    fill(cluster, 10, "gone");
    for (let i = 0; i < 10; i++) expect(remove(cluster, i % 3, `gone${i}`).status).toBe(204);
    const kept = fill(cluster, 20);
    cluster.world.run(2 * GC_DELAY_MS);
    expectNothingDead(cluster);
    const images: DiskImage[] = [];
    for (const i of cluster.present) {
      take(cluster, i, "all");
      images[i] = imageOf(cluster, i, "all");
    }
    for (let i = 0; i < 10; i++) expect(remove(cluster, i % 3, `k${i}`).status).toBe(204);
    cluster.world.run(2 * GC_DELAY_MS);
    expectNothingDead(cluster);
    restoreAll(cluster, images);
    expectAll(cluster, kept);
    cluster.world.run(2 * GC_DELAY_MS);
    expectWhole(cluster);
    expectAll(cluster, kept);
    for (let i = 0; i < 10; i++) expect(get(cluster, i % 3, `gone${i}`).status).toBe(404);
  });

  test("a write that one node had missed is there; what was deleted between the first snapshot and the last is alike at all nodes", () => {
    const cluster = formed("restored late");
    const kept = fill(cluster, 20);
    fill(cluster, 10, "gone");
    take(cluster, 2, "all");
    const early = imageOf(cluster, 2, "all");
    for (let i = 0; i < 10; i++) expect(remove(cluster, i % 3, `gone${i}`).status).toBe(204);
    cluster.world.run(2 * GC_DELAY_MS);
    expectNothingDead(cluster);
    cluster.crash(2);
    cluster.world.run(2000);
    // On two nodes of three, and on both of their snapshots.
    for (let i = 0; i < 10; i++) {
      kept.set(`missed${i}`, "by one");
      expect(put(cluster, i % 2, `missed${i}`, "by one").status).toBe(204);
    }
    for (const i of [0, 1]) take(cluster, i, "all");
    const images = [imageOf(cluster, 0, "all"), imageOf(cluster, 1, "all"), early];
    cluster.world.run(3 * GC_DELAY_MS);
    restoreAll(cluster, images);
    expectAll(cluster, kept);
    cluster.world.run(2 * GC_DELAY_MS);
    expectWhole(cluster);
    expectAll(cluster, kept);
    for (let i = 0; i < 10; i++) {
      const { status } = get(cluster, 0, `gone${i}`);
      for (const node of [1, 2]) expect(get(cluster, node, `gone${i}`).status).toBe(status);
    }
  });
});
