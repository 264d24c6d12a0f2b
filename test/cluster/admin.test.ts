import { describe, expect, test } from "bun:test";
import { Metrics } from "../../src/base/metrics.ts";
import type { AdminParts } from "../../src/cluster/admin.ts";
import { Admin } from "../../src/cluster/admin.ts";
import { AdminJobs } from "../../src/cluster/admin-jobs.ts";
import type { AdminApi } from "../../src/http/admin-api.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { Prng } from "../../src/base/prng.ts";
import { keepEverything } from "../../src/storage/jobs.ts";
import { SMALL_OPTIONS, openStore } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

async function adminWith(extra: Partial<AdminParts>): Promise<Admin> {
  const random = new SimRandom(new Prng("admin"));
  const disk = new SimDisk({ seed: 1 });
  const world = { disk, clock: new StillClock(), random, retention: keepEverything };
  const { store } = await openStore(world, SMALL_OPTIONS);
  const facts = {
    nodeId: "n1",
    clusterName: "test",
    clusterId: new Uint8Array([0xab, 1]),
    q: 16,
    n: 3,
    address: "127.0.0.1:7001",
    peerAddress: "127.0.0.1:7101",
    zone: { dc: "dc1", rack: "rack1", host: "host1" },
    weight: 1,
    incarnation: 1,
  };
  const base = { facts, store, metrics: new Metrics(), logger: silentLogger };
  return new Admin({ ...base, partitionOf: () => 3, ...extra });
}

describe("Admin", () => {
  test("is what the REST face asks for, and answers for a cluster of one", async () => {
    const admin: AdminApi = await adminWith({});
    expect(admin.cluster()).toEqual({
      name: "test",
      id: "ab01",
      layoutVersion: 1,
      q: 16,
      n: 3,
      nodes: { up: 1, suspect: 0, down: 0 },
      partitions: { serving: 16, syncing: 0 },
    });
    expect(admin.route("demo", new Uint8Array([1]))).toMatchObject({ owners: ["n1"] });
    expect(await admin.nodes()).toHaveLength(1);
    expect(admin.readiness()).toEqual({
      isReady: true,
      checks: { storage: "ok", lifecycle: "ok" },
    });
  });

  test("D4: a node that is syncing is not ready, and one that is draining is leaving", async () => {
    let phase = "syncing";
    const admin = await adminWith({ phase: () => phase });
    expect(admin.readiness()).toEqual({
      isReady: false,
      checks: { storage: "ok", cluster: "syncing", lifecycle: "ok" },
    });
    phase = "serving";
    expect(admin.readiness()).toMatchObject({ isReady: true, checks: { cluster: "ok" } });
    admin.drain();
    expect(admin.readiness()).toMatchObject({ isReady: false, checks: { lifecycle: "draining" } });
    expect((await admin.nodes())[0]!.state).toBe("leaving");
  });

  test("upkeep is what the parts of the node do, with progress; alone it is what the store does", async () => {
    const alone = await adminWith({});
    expect(await ended(alone, "repair")).toMatchObject({ state: "done" });
    expect(await ended(alone, "scrub")).toMatchObject({ detail: "0 tables (0 bytes) are sound" });
    expect(await ended(alone, "compact")).toMatchObject({
      detail: "all tables are merged into one level",
    });
    expect(alone.repair()).toEqual({});
    expect(alone.scrub()).toEqual({ quarantinedTables: 0, lostRanges: 0 });
    expect(alone.suspects()).toEqual([]);
    expect(alone.acceptSuspect("s1")).rejects.toMatchObject({ code: "key-not-found" });
    expect(await alone.layout.show()).toMatchObject({ version: 1, q: 16, n: 1, change: null });

    const gate = Promise.withResolvers<string>();
    const accepted: string[] = [];
    const parts: Partial<AdminParts> = {
      repair: {
        run: (onProgress) => {
          onProgress(0.25, "4 of 16 partitions");
          return gate.promise;
        },
        report: () => ({ pairs: 3 }),
      },
      scrub: { run: async () => "all sound", report: () => ({ bytesVerified: 7 }) },
      collect: async () => ({ collected: 12, postponed: 3 }),
      suspects: { list: () => [{ id: "s1" }], accept: async (id) => void accepted.push(id) },
    };
    const admin = await adminWith(parts);
    const job = admin.start("repair");
    expect(admin.start("repair")).toBe(job);
    expect(job).toMatchObject({ progress: 0.25, detail: "4 of 16 partitions" });
    gate.resolve("nothing was different");
    expect(await ended(admin, "scrub")).toMatchObject({ detail: "all sound" });
    expect(job).toMatchObject({ state: "done", progress: 1, detail: "nothing was different" });
    expect((await ended(admin, "compact")).detail).toStartWith(
      "12 deletions are collected, 3 have to wait; ",
    );
    expect(admin.repair()).toEqual({ pairs: 3 });
    expect(admin.scrub()).toMatchObject({ lostRanges: 0, bytesVerified: 7 });
    await admin.acceptSuspect("s1");
    expect([admin.suspects(), accepted]).toEqual([[{ id: "s1" }], ["s1"]]);
  });
});

async function ended(admin: Admin, kind: Parameters<Admin["start"]>[0]) {
  const job = admin.start(kind);
  while (job.state === "running") await new Promise((resolve) => setImmediate(resolve));
  return job;
}

describe("AdminJobs", () => {
  test("keeps the last hundred, never lets a running one go, and starts no more than that", async () => {
    const jobs = new AdminJobs(silentLogger);
    const gate = Promise.withResolvers<string>();
    const first = jobs.start("layout", () => gate.promise);
    for (let count = 1; count < 100; count++) jobs.start("layout", () => gate.promise);
    expect(() => jobs.start("flush", async () => "done")).toThrow("100 jobs are running");
    gate.resolve("");
    await new Promise((resolve) => setImmediate(resolve));
    expect(first.state).toBe("done");
    for (let count = 0; count < 150; count++) {
      jobs.start("flush", async () => "done");
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(jobs.list().length).toBe(100);
    expect(jobs.get(first.id)).toBeUndefined();
  });

  test("a share does not go back, and a failure says why", async () => {
    const jobs = new AdminJobs(silentLogger);
    const job = jobs.start("layout", async (onProgress) => {
      onProgress(0.5, "half");
      onProgress(0.25, "more to do");
      throw new Error("no more nodes");
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(job).toMatchObject({ state: "failed", progress: 0.5, detail: "no more nodes" });
  });
});
