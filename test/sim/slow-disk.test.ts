/** A slow disk keeps nobody beyond the deadline of the request (L5), whatever the coordinator waits for. */
import { expect, test } from "bun:test";
import type { SimCluster } from "../../src/simulator/cluster.ts";
import { codeOf, formed, put } from "../support/sim-requests.ts";

const SLOW = { min: 5000, max: 5000 };
/** Deadlines are looked at every 10 ms. */
const LATE_MS_MAX = 50;

function slowDown(cluster: SimCluster, node: number): void {
  cluster.machines[node]!.disk.faults.syncDelayMs = SLOW;
}

/** The code of the refusal, which has to come in time. */
function refusedInTime(cluster: SimCluster, node: number, headers: Record<string, string>): string {
  const startMs = cluster.nowMs;
  const answer = put(cluster, node, "k", "2", { "X-Timeout": "300ms", ...headers });
  expect(cluster.nowMs - startMs).toBeLessThan(300 + LATE_MS_MAX);
  return codeOf(answer);
}

test("L5: a condition that fails on what the disk does not hold yet is 503 at the deadline", () => {
  const cluster = formed("slow condition");
  const [minter] = cluster.ownersOf("b", "k");
  slowDown(cluster, minter!);
  expect(put(cluster, minter!, "k", "1", { "X-Timeout": "300ms" }).status).toBe(204);
  expect(refusedInTime(cluster, minter!, { "If-None-Match": "*" })).toBe("503 unavailable");
  cluster.world.run(6000);
  expect(refusedInTime(cluster, minter!, { "If-None-Match": "*" })).toBe("412 precondition-failed");
});

test("L5: fallbacks whose disks are slow to lease them an actor answer 503 at the deadline", () => {
  const cluster = formed("slow lease", { nodes: 5 });
  const owners = cluster.ownersOf("b", "k");
  const fallbacks = cluster.present.filter((i) => !owners.includes(i));
  for (const owner of owners) cluster.crash(owner);
  cluster.world.run(5000);
  for (const fallback of fallbacks) slowDown(cluster, fallback);
  expect(refusedInTime(cluster, fallbacks[0]!, { "X-Consistency": "ONE" })).toBe("503 unavailable");
});
