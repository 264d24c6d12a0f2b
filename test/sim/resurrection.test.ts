/** What was deleted stays deleted, whoever comes back with whatever (R39 to R43), and what is there is not taken for deleted. */
import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import type { SimCluster } from "../../src/simulator/cluster.ts";
import {
  GC_DELAY_MS,
  expectAll,
  expectNothingDead,
  expectWhole,
  fill,
  formed,
  get,
  put,
  remove,
} from "../support/sim-requests.ts";

const GONE = 20;

function removeAll(cluster: SimCluster, through: readonly number[]): void {
  for (let i = 0; i < GONE; i++)
    expect(remove(cluster, through[i % through.length]!, `gone${i}`).status).toBe(204);
}

function expectGone(cluster: SimCluster): void {
  for (const level of ["ONE", "QUORUM", "ALL"])
    for (let i = 0; i < GONE; i++)
      for (const node of cluster.present) {
        const { status } = get(cluster, node, `gone${i}`, { "X-Consistency": level });
        expect([`gone${i}`, level, node, status]).toEqual([`gone${i}`, level, node, 404]);
      }
}

describe("collection", () => {
  test("R39: deletions and expired values are collected at all owners, and leave nothing", () => {
    const cluster = formed("collect");
    const kept = fill(cluster, 20);
    fill(cluster, GONE, "gone");
    removeAll(cluster, [0, 1, 2]);
    for (let i = 0; i < 10; i++)
      expect(put(cluster, i % 3, `brief${i}`, "x", { "X-TTL": "1s" }).status).toBe(204);
    cluster.world.run(GC_DELAY_MS);
    expectNothingDead(cluster);
    expectWhole(cluster);
    expectGone(cluster);
    expectAll(cluster, kept);
    const answer = get(cluster, 0, "gone1");
    // Nobody remembers that it ever was.
    expect(answer.headers.get("X-Tombstone")).toBe(null);
  });

  test("R39: nothing is collected while an owner is away, and it gets the deletions when it is back", () => {
    const cluster = formed("away", { flags: { maxAbsenceMs: "7s", rejoin: "rebuild" } });
    fill(cluster, GONE, "gone");
    cluster.crash(2);
    cluster.world.run(2000);
    removeAll(cluster, [0, 1]);
    cluster.world.run(3 * GC_DELAY_MS);
    // The 404 of a deletion that is still known.
    expect(get(cluster, 0, "gone1").headers.get("X-Tombstone")).toBe("true");
    cluster.restart(2);
    expectWhole(cluster);
    expectNothingDead(cluster);
    expectGone(cluster);
  });

  test("R39: a key that is written again while its deletion is collected has the new value", () => {
    const cluster = formed("again");
    fill(cluster, GONE, "gone");
    removeAll(cluster, [0, 1, 2]);
    const written = new Map<string, string>();
    cluster.world.run(GC_DELAY_MS - 500);
    for (let round = 0; round < 10; round++) {
      for (let i = round; i < GONE; i += 10) {
        const [key, value] = [`gone${i}`, `again ${round}`];
        expect(put(cluster, i % 3, key, value).status).toBe(204);
        written.set(key, value);
      }
      cluster.world.run(200);
    }
    expectWhole(cluster);
    expectNothingDead(cluster);
    expectAll(cluster, written);
  });
});

describe("those who come back", () => {
  test("row 106, R43: a node that was away too long refuses to start, and says what to do", () => {
    const cluster = formed("too long");
    fill(cluster, GONE, "gone");
    cluster.crash(1);
    cluster.world.run(2 * GC_DELAY_MS);
    cluster.mayEnd.add(1);
    cluster.restart(1);
    cluster.waitFor("it refuses", () => cluster.endings.has(1), 10_000);
    const error = cluster.endings.get(1) as HutchError;
    expect([error.code, error.message]).toEqual([
      "data-refused",
      expect.stringContaining("--rejoin rebuild"),
    ]);
  });

  test("row 106, R42: a node that was away while its deletions were collected rebuilds, and brings nothing back", () => {
    const cluster = formed("rebuilt", { nodes: 4 });
    const kept = fill(cluster, 20);
    fill(cluster, GONE, "gone");
    cluster.crash(1);
    cluster.world.run(1000);
    removeAll(cluster, [0, 2, 3]);
    cluster.world.run(2 * GC_DELAY_MS);
    cluster.restart(1, { rejoin: "rebuild" });
    expectWhole(cluster);
    expectNothingDead(cluster);
    expectGone(cluster);
    expectAll(cluster, kept);
  });

  test("row 93, R61: a disk put back to an earlier state brings nothing back and loses nothing", () => {
    for (const kind of ["killed", "stopped"] as const) {
      const cluster = formed(`snapshot ${kind}`);
      const kept = fill(cluster, 20);
      fill(cluster, GONE, "gone");
      if (kind === "stopped") cluster.world.runUntil(cluster.stop(2), 15_000);
      const image = cluster.imageOf(2);
      if (kind === "stopped") cluster.restart(2);
      cluster.quiesce();
      removeAll(cluster, [0, 1, 2]);
      for (const [key, value] of fill(cluster, 20, "later")) kept.set(key, value);
      cluster.crash(2);
      cluster.replaceDisk(2, image);
      cluster.restart(2);
      cluster.waitFor("it is there", () => cluster.isStarted(2), 30_000);
      for (const [key, value] of fill(cluster, 20, "latest")) kept.set(key, value);
      expectWhole(cluster);
      expectAll(cluster, kept);
      expectGone(cluster);
      expectNothingDead(cluster);
      expectGone(cluster);
      expectAll(cluster, kept);
    }
  });

  test("row 93, R42: a disk put back to before deletions that are collected meanwhile brings none of them back", () => {
    const cluster = formed("collected snapshot");
    const kept = fill(cluster, 20);
    fill(cluster, GONE, "gone");
    const image = cluster.imageOf(2);
    removeAll(cluster, [0, 1, 2]);
    cluster.world.run(GC_DELAY_MS);
    expectNothingDead(cluster);
    for (const [key, value] of fill(cluster, 20, "later")) kept.set(key, value);
    cluster.crash(2);
    cluster.replaceDisk(2, image);
    cluster.restart(2, { rejoin: "rebuild" });
    expectWhole(cluster);
    cluster.world.run(GC_DELAY_MS);
    expectWhole(cluster);
    expectGone(cluster);
    expectAll(cluster, kept);
  });

  test("row 93, R12: a node restored from a snapshot mints under no name that it has used since", () => {
    const cluster = formed("names");
    cluster.world.runUntil(cluster.stop(0), 15_000);
    const image = cluster.imageOf(0);
    cluster.restart(0);
    cluster.quiesce();
    const dots = new Set<string>();
    const mint = (key: string): void => {
      expect(put(cluster, 0, key, key, { "X-Consistency": "ALL" }).status).toBe(204);
      for (const { dots: own } of cluster.explain(1, "b", key).owners)
        for (const dot of own) dots.add(dot.split(".")[0]!);
    };
    for (let i = 0; i < 30; i++) mint(`before${i}`);
    const used = new Set(dots);
    dots.clear();
    cluster.crash(0);
    cluster.replaceDisk(0, image);
    cluster.restart(0);
    cluster.quiesce();
    for (let i = 0; i < 30; i++) mint(`after${i}`);
    const own = cluster.clusterOf(0).view.self;
    expect([...used].some((actor) => actor.startsWith(own))).toBe(true);
    const again = [...dots].filter((actor) => actor.startsWith(own) && used.has(actor));
    expect(again).toEqual([]);
  });
});
