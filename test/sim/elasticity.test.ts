/** A cluster that grows and shrinks while it serves: scenarios one by one. */
import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { SimCluster } from "../../src/simulator/cluster.ts";
import { SimOperator } from "../../src/simulator/operator.ts";
import {
  codeOf,
  countAt,
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

const NOTICE_MS = 10_000;
const versionOf = (cluster: SimCluster): number =>
  cluster.clusterOf(cluster.present[0]!).view.layout.version;

describe("joins", () => {
  test("I8: a node that joins takes its share and no more, and nobody misses a key", () => {
    const cluster = formed("join");
    const written = fill(cluster, 80);
    cluster.add();
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(versionOf(cluster)).toBe(2);
    // Three copies of each key on four nodes: three quarters each.
    for (const i of cluster.present) expect(countAt(cluster, i)).toBeLessThan(80);
    const counts = cluster.present.map((i) => countAt(cluster, i));
    expect(counts.reduce((sum, count) => sum + count)).toBe(240);
  });

  test("row 103: nodes that join at once are one layout version", () => {
    const cluster = formed("joins");
    const written = fill(cluster, 30);
    cluster.add();
    cluster.add();
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(versionOf(cluster)).toBe(2);
    expect(cluster.present).toHaveLength(5);
  });

  test("row 103: a join while the cluster is cut in two waits, and ends when it is whole again", () => {
    const cluster = formed("cut join", { nodes: 5 });
    const written = fill(cluster, 30);
    cluster.world.network.partition(["n1", "n2"], ["n3", "n4", "n5"]);
    cluster.world.run(NOTICE_MS / 2);
    const late = cluster.add();
    // It hears one side only: two of five vote for nothing.
    const heal = cluster.world.network.partition(["n3", "n4", "n5"], [cluster.names[late]!]);
    cluster.world.run(NOTICE_MS);
    expect(versionOf(cluster)).toBe(1);
    cluster.heal();
    heal();
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(versionOf(cluster)).toBe(2);
  });

  test("row 102: a node under the name of another is refused, and says why", () => {
    const cluster = formed("namesake");
    const written = fill(cluster, 5);
    const twin = cluster.names.length;
    cluster.mayEnd.add(twin);
    cluster.add({ nodeId: "n1" }, "stranger");
    cluster.waitFor("it is refused", () => cluster.endings.has(twin), NOTICE_MS);
    expect((cluster.endings.get(twin) as HutchError).code).toBe("duplicate-node-id");
    cluster.gone.add(twin);
    expectWhole(cluster);
    expectAll(cluster, written);
  });

  test("row 102, R52: of two processes on copies of one disk one goes on", () => {
    const cluster = formed("clone");
    const written = fill(cluster, 20);
    const image = cluster.imageOf(0);
    const clone = cluster.names.length;
    cluster.mayEnd.add(0);
    cluster.mayEnd.add(clone);
    cluster.add({ nodeId: "n1" }, "clone");
    cluster.crash(clone);
    cluster.replaceDisk(clone, image);
    cluster.restart(clone);
    cluster.waitFor("one has ended", () => cluster.endings.size > 0, 30_000);
    const [ended] = cluster.endings.keys();
    expect((cluster.endings.get(ended!) as HutchError).code).toBe("duplicate-node-id");
    cluster.gone.add(ended!);
    expectWhole(cluster);
    expectAll(cluster, written);
  });

  test("row 110: all nodes die in the middle of a join and come back in any order; the join goes on", () => {
    for (const atMs of [1500, 1800, 2100]) {
      const cluster = formed(`dead join ${atMs}`);
      const written = fill(cluster, 40);
      const late = cluster.add();
      cluster.waitFor("it is there", () => cluster.isStarted(late), NOTICE_MS);
      cluster.world.run(atMs);
      for (const i of cluster.present) if (cluster.isUp(i)) cluster.powerLoss(i);
      for (const i of [2, late, 0, 1]) {
        cluster.restart(i);
        cluster.world.run(300);
      }
      expectWhole(cluster);
      expectAll(cluster, written);
      expect(versionOf(cluster)).toBe(2);
    }
  });
});

describe("moves", () => {
  /** As `hutch cluster` with other ports on the same data: all stop, all start at other addresses, which are the seeds. */
  function moveAll(cluster: SimCluster, basePort: number, seeds: readonly string[] = []): void {
    const all = cluster.present.map((i) => `127.0.0.1:${basePort + i}`);
    for (const i of cluster.present) cluster.crash(i);
    for (const i of cluster.present)
      cluster.restart(i, { peer: all[i]!, seeds: [...seeds, ...all].join() });
  }

  test("all nodes start at other addresses at once and find each other by their seeds", () => {
    // Away from all old addresses, and on each other's.
    for (const basePort of [7601, 7102]) {
      const cluster = formed(`move ${basePort}`, { nodes: 4 });
      const written = fill(cluster, 30);
      moveAll(cluster, basePort);
      expectWhole(cluster);
      expectAll(cluster, written);
      expect(versionOf(cluster)).toBe(1);
    }
  });

  test("one that starts late, when the others have found each other, finds them, too", () => {
    const cluster = formed("late move");
    const written = fill(cluster, 20);
    const seeds = [0, 1, 2].map((i) => `127.0.0.1:${7601 + i}`);
    const move = (i: number): void => cluster.restart(i, { peer: seeds[i]!, seeds: seeds.join() });
    for (const i of cluster.present) cluster.crash(i);
    move(0);
    move(1);
    cluster.world.run(2 * NOTICE_MS);
    move(2);
    expectWhole(cluster);
    expectAll(cluster, written);
  });

  test("seeds of another cluster, and where nobody is, are asked in vain and do no harm", () => {
    const cluster = formed("move among others");
    const written = fill(cluster, 20);
    const { world } = cluster;
    const options = { nodes: 1, prefix: "x", basePort: 7401, world };
    const other = new SimCluster("others", options).form();
    moveAll(cluster, 7601, ["127.0.0.1:7999", "127.0.0.1:7401"]);
    expectWhole(cluster);
    expectAll(cluster, written);
    const knocks = world.log.filter(({ event }) => event === "looked_for_members");
    expect(knocks.length).toBeGreaterThan(0);
    for (const { fields } of knocks) expect(fields).toEqual({ seeds: 4, answered: 2 });
    const reasons = world.log.map(({ fields }) =>
      fields["address"] === "127.0.0.1:7401" ? fields["reason"] : undefined,
    );
    expect(reasons).toContain("the peer refused the link with 421");
    expect(other.isSettled()).toBeTrue();
  });

  test("nobody is asked where somebody is heard in time", () => {
    const cluster = formed("stay");
    for (const i of cluster.present) cluster.crash(i);
    for (const i of cluster.present) cluster.restart(i);
    expectWhole(cluster);
    cluster.world.run(2 * NOTICE_MS);
    expect(cluster.world.log.filter(({ event }) => event === "looked_for_members")).toEqual([]);
  });
});

describe("leaves", () => {
  test("R60: a node that leaves hands over, ends, and never starts on its data again", () => {
    const cluster = formed("leave", { nodes: 4 });
    const written = fill(cluster, 40);
    const operator = new SimOperator(cluster);
    expect(cluster.world.runUntil(operator.leave(1))).toBe(true);
    cluster.waitFor("it has left", () => cluster.gone.has(1) && !cluster.isUp(1), 30_000);
    expectWhole(cluster);
    expectAll(cluster, written);
    cluster.restart(1);
    cluster.waitFor("it is refused", () => cluster.endings.has(1), NOTICE_MS);
    expect((cluster.endings.get(1) as HutchError).code).toBe("data-refused");
  });

  test("row 104: a leave that leaves fewer than n nodes is refused unless forced", () => {
    const cluster = formed("under");
    const written = fill(cluster, 20);
    const refused = post(cluster, 0, "/v1/cluster/nodes/n3/leave");
    expect(codeOf(refused)).toBe("409 would-underreplicate");
    cluster.mayEnd.add(2);
    expect(post(cluster, 0, "/v1/cluster/nodes/n3/leave", { force: true }).status).toBe(202);
    cluster.waitFor("it has left", () => cluster.gone.has(2), 30_000);
    expectWhole(cluster);
    expectAll(cluster, written);
    const { headers } = put(cluster, 0, "k", "x");
    expect(headers.get("X-Effective-N")).toBe("2");
  });

  test("R60: a node that is killed while it leaves goes on leaving", () => {
    for (const atMs of [5, 20, 50, 200, 600]) {
      const cluster = formed(`killed leaver ${atMs}`, { nodes: 4 });
      const written = fill(cluster, 40);
      const operator = new SimOperator(cluster);
      expect(cluster.world.runUntil(operator.leave(3))).toBe(true);
      cluster.world.run(atMs);
      if (!cluster.gone.has(3)) {
        cluster.powerLoss(3);
        cluster.world.run(1000);
        if (!cluster.gone.has(3)) cluster.restart(3);
      }
      cluster.waitFor("it has left", () => cluster.gone.has(3) || cluster.endings.has(3), 60_000);
      cluster.gone.add(3);
      expectWhole(cluster);
      expectAll(cluster, written);
    }
  });
});

test("R60: a node that has just joined and leaves again does not ask to be let in anew", () => {
  const cluster = formed("in and out");
  const written = fill(cluster, 30);
  cluster.powerLoss(1);
  cluster.replaceDisk(1);
  cluster.restart(1, { replace: "n2" });
  const late = cluster.add();
  const isIn = (): boolean => cluster.isStarted(late) && cluster.isServing(late);
  cluster.waitFor("both are in", () => isIn() && cluster.isSettled(), 30_000);
  // One of them runs with --replace, the other without.
  for (const leaver of [1, late]) {
    cluster.mayEnd.add(leaver);
    const path = `/v1/cluster/nodes/${cluster.names[leaver]}/leave`;
    expect(post(cluster, 0, path, { force: true }).status).toBe(202);
    cluster.world.run(20);
    if (cluster.isUp(leaver)) {
      cluster.crash(leaver);
      cluster.restart(leaver);
    }
    cluster.waitFor(
      "it has left",
      () => cluster.gone.has(leaver) || cluster.endings.has(leaver),
      30_000,
    );
    const ending = cluster.endings.get(leaver) as HutchError | undefined;
    expect(ending?.code ?? "data-refused").toBe("data-refused");
    cluster.gone.add(leaver);
    expectWhole(cluster);
    expectAll(cluster, written);
  }
});

test("R60: a node that is cut off in the middle of its leave stays until somebody knows that it is done", () => {
  for (const atMs of [0, 2, 4, 6, 8, 12, 16, 24]) {
    const cluster = formed(`cut leaver ${atMs}`, { nodes: 4 });
    const written = fill(cluster, 20);
    const operator = new SimOperator(cluster);
    expect(cluster.world.runUntil(operator.leave(3))).toBe(true);
    cluster.world.run(atMs);
    const heal = cluster.world.network.isolate("n4", cluster.names);
    cluster.world.run(NOTICE_MS / 2);
    heal();
    cluster.waitFor("it has left", () => cluster.gone.has(3) && !cluster.isUp(3), 60_000);
    expectWhole(cluster);
    expectAll(cluster, written);
  }
});

describe("removals", () => {
  test("row 105: a node that is up is removed by force only; it learns that and ends", () => {
    const cluster = formed("fence", { nodes: 4 });
    const written = fill(cluster, 40);
    expect(codeOf(post(cluster, 0, "/v1/cluster/nodes/n4/remove"))).toBe("409 node-alive");
    cluster.mayEnd.add(3);
    expect(post(cluster, 0, "/v1/cluster/nodes/n4/remove", { force: true }).status).toBe(202);
    cluster.waitFor("it has ended", () => !cluster.isUp(3), 30_000);
    cluster.gone.add(3);
    expectWhole(cluster);
    expectAll(cluster, written);
  });

  test("row 106: a removed node that comes back with its data is refused, and nothing deleted comes back with it", () => {
    const cluster = formed("zombie", { nodes: 4 });
    const kept = fill(cluster, 20);
    fill(cluster, 20, "gone");
    cluster.crash(3);
    cluster.world.run(NOTICE_MS);
    const operator = new SimOperator(cluster);
    expect(cluster.world.runUntil(operator.remove(3))).toBe(true);
    cluster.gone.add(3);
    for (let i = 0; i < 20; i++) expect(remove(cluster, i % 3, `gone${i}`).status).toBe(204);
    expectWhole(cluster);
    expectNothingDead(cluster);
    cluster.restart(3);
    cluster.waitFor("it is refused", () => cluster.endings.has(3) || !cluster.isUp(3), 30_000);
    cluster.world.run(NOTICE_MS);
    expectWhole(cluster);
    expectAll(cluster, kept);
    for (let i = 0; i < 20; i++) expect(get(cluster, i % 3, `gone${i}`).status).toBe(404);
  });

  test("row 115: a node that is lost for good is replaced: data complete, writes taken all the time", () => {
    const cluster = formed("replace");
    const written = fill(cluster, 60);
    cluster.destroy(1);
    cluster.world.run(NOTICE_MS);
    for (const [key, value] of fill(cluster, 20, "meanwhile")) written.set(key, value);
    const heir = cluster.add({ replace: "n2" });
    for (let round = 0; round < 10; round++) {
      for (const [key, value] of fill(cluster, 3, `during${round}-`)) written.set(key, value);
      cluster.world.run(300);
    }
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(countAt(cluster, heir)).toBe(written.size);
  });

  test("row 115: a disk that was wiped is filled again under the same name", () => {
    const cluster = formed("wiped");
    const written = fill(cluster, 60);
    cluster.powerLoss(2);
    cluster.replaceDisk(2);
    cluster.world.run(NOTICE_MS);
    cluster.restart(2, { replace: "n3" });
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(countAt(cluster, 2)).toBe(written.size);
  });
});

test("row 107: the number of copies of a bucket changes while it serves, up and down", () => {
  const cluster = formed("copies", { nodes: 5 });
  const written = fill(cluster, 40);
  const headers = { "Content-Type": "application/json" };
  for (const n of [5, 2, 3]) {
    const init = { method: "PATCH", headers, body: JSON.stringify({ n }) };
    expect(cluster.request(0, "/v1/buckets/b", init).status).toBe(200);
    expectAll(cluster, written);
    expectWhole(cluster);
    expectAll(cluster, written);
    expect(cluster.explain(0, "b", "k1").owners).toHaveLength(n);
    const total = cluster.present.reduce((sum, i) => sum + countAt(cluster, i), 0);
    expect(total).toBe(n * written.size);
  }
}, 30_000);
