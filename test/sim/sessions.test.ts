/** Sessions that outlive what they have seen. */
import { expect, test } from "bun:test";
import { codeOf, expectNothingDead, formed, get, put, remove } from "../support/sim-requests.ts";

test("R7, R39: a session that has seen a deletion is answered after the deletion has been collected", () => {
  const cluster = formed("outlived");
  put(cluster, 0, "k", "1");
  remove(cluster, 0, "k");
  const seen = get(cluster, 0, "k", { "X-Session": "new" });
  expect(seen.status).toBe(404);
  const session = { "X-Session": seen.headers.get("X-Session")! };
  cluster.world.run(9000);
  expectNothingDead(cluster);
  for (const i of cluster.present) expect(get(cluster, i, "k", session).status).toBe(404);
  // The same through a write of somebody else, who never knew of it.
  put(cluster, 1, "k", "2");
  for (const i of cluster.present) expect(get(cluster, i, "k", session).text).toBe("2");
});

test("R7: what a session has seen a moment ago is not taken for collected", () => {
  const cluster = formed("seen just now");
  const owners = cluster.ownersOf("b", "k");
  for (const owner of owners.slice(1)) cluster.crash(owner);
  cluster.world.run(3000);
  const written = put(cluster, owners[0]!, "k", "1", {
    "X-Session": "new",
    "X-Consistency": "ONE",
  });
  expect(written.status).toBe(204);
  const session = { "X-Session": written.headers.get("X-Session")!, "X-Consistency": "r=1" };
  cluster.powerLoss(owners[0]!);
  for (const owner of owners.slice(1)) cluster.restart(owner);
  cluster.waitFor("the others are back", () => cluster.isStarted(owners[1]!), 10_000);
  cluster.world.run(2000);
  expect(codeOf(get(cluster, owners[1]!, "k", session)).startsWith("503 ")).toBe(true);
});
