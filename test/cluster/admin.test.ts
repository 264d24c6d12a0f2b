import { describe, expect, test } from "bun:test";
import { Metrics } from "../../src/base/metrics.ts";
import type { AdminParts } from "../../src/cluster/admin.ts";
import { Admin } from "../../src/cluster/admin.ts";
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
});
