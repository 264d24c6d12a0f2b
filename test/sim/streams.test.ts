/** Exports pin a snapshot each, so they are counted and none is left behind. */
import { expect, test } from "bun:test";
import { NodeOnSim } from "../support/sim-node.ts";

const STREAMS_MAX = 16;

function pinned(sim: NodeOnSim): number {
  return (JSON.parse(sim.request("/v1/admin/storage").text) as { pinnedViews: number }).pinnedViews;
}

test("HEAD of an export begins none: no snapshot stays pinned and no place is taken", () => {
  const sim = new NodeOnSim("head", { memtableBytes: "8KiB" });
  for (let i = 0; i < 40; i++) sim.put(`key-${i}`, "v".repeat(3000));
  for (let i = 0; i < STREAMS_MAX * 2; i++)
    expect(sim.request("/v1/export/b", { method: "HEAD" }).status).toBe(200);
  for (let i = 0; i < 10; i++) sim.put(`more-${i}`, "w".repeat(3000));
  sim.world.run(2000);
  expect(pinned(sim)).toBe(0);
});

test("one export too many is 503 overloaded, and a place is free again when one is cancelled or read to its end", async () => {
  const sim = new NodeOnSim("streams");
  for (let i = 0; i < 5; i++) sim.put(`key-${i}`, "v");
  const open = (): Response => {
    const answer = sim.node.app.fetch(new Request("http://localhost/v1/export/b"));
    return sim.world.runUntil(Promise.resolve(answer));
  };
  const streams = Array.from({ length: STREAMS_MAX }, open);
  for (const { status } of streams) expect(status).toBe(200);
  expect(open().status).toBe(503);
  sim.world.runUntil(streams[0]!.body!.cancel());
  const next = open();
  expect(next.status).toBe(200);
  expect(open().status).toBe(503);
  expect(sim.world.runUntil(next.text()).trim().split("\n")).toHaveLength(5);
  expect(open().status).toBe(200);
});
