/** What a full disk takes back after others have it: it must not come to cover what they hold (R12, row 88). */
import { expect, test } from "bun:test";
import { formed, get, put } from "../support/sim-requests.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const ENVELOPE = { Accept: "application/vnd.hutch.siblings+json" };

test("R12, row 88: a write that its minter's full disk took back stays a sibling of what the minter writes later", () => {
  const cluster = formed("taken back");
  const properties = JSON.stringify({ blindPut: "sibling" });
  cluster.request(0, "/v1/buckets/b", { method: "PUT", headers: JSON_TYPE, body: properties });
  cluster.world.run(2000);
  const [minter] = cluster.ownersOf("b", "k");
  expect(put(cluster, minter!, "k", "first").status).toBe(204);
  cluster.world.run(1000);
  const { faults, image } = cluster.machines[minter!]!.disk;
  faults.quotaBytes = image.usedBytes();
  // The other two have it before the disk has said that it is full.
  expect(put(cluster, minter!, "k", "taken back").status).toBe(204);
  faults.quotaBytes = 2 ** 40;
  cluster.waitFor(
    "the minter takes writes again",
    () => put(cluster, minter!, "k", "third", { "X-Consistency": "ONE" }).status === 204,
    10_000,
  );
  cluster.world.run(1000);
  const { text } = get(cluster, minter!, "k", { ...ENVELOPE, "X-Consistency": "ALL" });
  const { siblings } = JSON.parse(text) as { siblings: { value: string }[] };
  expect(new Set(siblings.map(({ value }) => value))).toEqual(
    new Set(["first", "taken back", "third"]),
  );
});
