/** A small slice of `bench/gossip.ts`: what must not grow with the cluster. */
import { expect, test } from "bun:test";
import { MESSAGE_BYTES_MAX } from "../../src/gossip/message.ts";
import { GossipRun, idOf } from "./gossip-run.ts";

function bytesPerNodeSecond(nodes: number): number {
  const run = new GossipRun({ seed: 5, nodes, intervalMs: 1000, loss: 0.01 });
  let longest = 0;
  run.onSend = (_from, _to, bytes) => (longest = Math.max(longest, bytes.length));
  run.run(15_000);
  const sent = (): number => run.nodes.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
  const before = sent();
  run.run(15_000);
  expect(longest).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
  return (sent() - before) / nodes / 15;
}

test("bytes per node and second grow no faster than the logarithm of the cluster's size", () => {
  const [ten, hundred, many] = [10, 100, 400].map(bytesPerNodeSecond);
  expect(hundred! / ten!).toBeLessThan(Math.log(100) / Math.log(10));
  expect(many! / ten!).toBeLessThan(Math.log(400) / Math.log(10));
});

test("a hundred nodes all know of a death within 15 intervals, and suspect nobody else", () => {
  const run = new GossipRun({ seed: 6, nodes: 100, intervalMs: 1000, loss: 0.01 });
  run.run(10_000);
  run.kill(50);
  const isKnown = (): boolean =>
    run.nodes.every(({ index }) => index === 50 || run.liveness(index, 50) === "down");
  expect(run.runUntil(isKnown, 30_000, 100)).toBeLessThan(15_000);
  expect(
    run.changes.filter(({ subject, liveness }) => subject !== 50 && liveness === "suspect"),
  ).toEqual([]);
});

test("a fresh start among a hundred learns the table by one exchange or two", () => {
  const run = new GossipRun({ seed: 7, nodes: 100, intervalMs: 1000 });
  run.run(5000);
  run.kill(3);
  run.run(1000);
  run.restart(3);
  run.run(4000);
  expect(run.membership(3).snapshot().length).toBe(100);
  expect(run.nodes[3]!.exchanges).toBeWithin(1, 4);
  expect(run.membership(3).members().get(idOf(77))!.liveness).toBe("alive");
});
