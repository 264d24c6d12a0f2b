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
