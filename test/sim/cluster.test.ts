/** Whole clusters over seeds: clients, faults from a plan, and every invariant at the end (see test/support/cluster-run.ts). */
import { expect, test } from "bun:test";
import { type ClusterRunResult, clusterRun } from "../../src/simulator/cluster-run.ts";

/** `HUTCH_SEEDS` scales all simulations; a cluster is worth fewer seeds than a node. */
const SEEDS = Math.ceil(Number(process.env["HUTCH_SEEDS"] ?? 15) * 0.7);
/** Seeds that have found something: they stay. */
const REGRESSIONS = [1, 3, 4, 5, 9, 15, 20, 21, 22, 29];
/** Of all runs together; a single one asserts `OK_SHARE_MIN` of itself. */
const OK_SHARE_ALL = 0.5;

function runAll(seeds: readonly number[]): ClusterRunResult[] {
  return seeds.map((seed) => clusterRun({ seed }));
}

function check(results: readonly ClusterRunResult[]): void {
  const sum = (count: (result: ClusterRunResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  expect(sum(({ ok }) => ok)).toBeGreaterThan(OK_SHARE_ALL * sum((own) => own.operations));
  // Faults that hit nothing prove nothing (FAULTS.md 2.10).
  expect(sum(({ unknown }) => unknown)).toBeGreaterThan(results.length);
  expect(sum(({ failed }) => failed)).toBeGreaterThan(results.length);
  expect(sum(({ dots }) => dots)).toBeGreaterThan(results.length * 50);
}

test("S1 to S7, L1 to L5, R7, I6: five nodes through crashes, cuts, loss and wrong clocks (seeds that found something)", () => {
  check(runAll(REGRESSIONS));
}, 120_000);

test("S1 to S7, L1 to L5, R7, I6: five nodes through crashes, cuts, loss and wrong clocks (fresh seeds)", () => {
  check(runAll(Array.from({ length: SEEDS }, (_, i) => 1000 + i)));
}, 600_000);

test("S1 to S7, L1 to L5: three nodes, and seven in three racks", () => {
  for (const seed of [1, 2]) {
    clusterRun({ seed, nodes: 3 });
    clusterRun({ seed, nodes: 7, racks: 3, durationMs: 8000 });
  }
}, 120_000);

test("without faults every operation is answered, and no write has two outcomes", () => {
  const { operations, ok, failed, unknown } = clusterRun({ seed: "calm", kinds: [] });
  expect(unknown).toBe(0);
  // Conditions that do not hold are refused.
  expect(ok + failed).toBe(operations);
  expect(ok).toBeGreaterThan(0.9 * operations);
});

test("the same seed gives the same trace of a whole cluster", () => {
  const once = (): ClusterRunResult => clusterRun({ seed: "twice", durationMs: 5000 });
  const first = once();
  expect(once()).toEqual(first);
  expect(clusterRun({ seed: "other", durationMs: 5000 }).trace).not.toBe(first.trace);
});
