/**
 * What the clients of a nemesis run ask: the steps of the simulator (`workload.ts`), on keys that change with time.
 *
 * Most operations of one window of time go to a few keys, so that clients meet; the next window has others, so that the history of one key stays short
 * enough to be judged. A few go to keys of any earlier window, which have lain in tables, hints and trees meanwhile.
 */
import { Prng } from "../../src/base/prng.ts";
import type { PlannedClient } from "../../src/simulator/plan.ts";
import {
  BUCKETS,
  DEFAULT_WORKLOAD,
  drawClient,
  type Workload,
} from "../../src/simulator/workload.ts";

export const WORKLOAD: Workload = { ...DEFAULT_WORKLOAD, valueBytes: [0, 20, 200, 200, 2000] };
export { BUCKETS };

/** What one operation takes with its pause, roughly: how many clients make how many operations in a second. */
const CYCLE_MS = 75;
const WINDOW_MS = 20_000;
/** Of operations, to keys of earlier windows. */
const EARLIER_CHANCE = 0.2;
/** Operations on one key within its window. */
const OPERATIONS_PER_KEY = 150;

export function drawClients(
  seed: string,
  durationMs: number,
  operationsPerSecond: number,
): readonly PlannedClient[] {
  const count = Math.max(2, Math.round((operationsPerSecond * CYCLE_MS) / 1000));
  const inWindow = (operationsPerSecond * WINDOW_MS) / 1000;
  const keys = Math.max(2, Math.round(inWindow / BUCKETS.length / OPERATIONS_PER_KEY));
  return Array.from({ length: count }, (_, i) => {
    const name = `c${i + 1}`;
    const prng = new Prng(`nemesis/${seed}/${name}`);
    return moved(drawClient(prng.fork("steps"), name, WORKLOAD, durationMs), prng, keys);
  });
}

/** The same steps, each on a key of its window or of an earlier one. */
function moved(client: PlannedClient, prng: Prng, keysPerWindow: number): PlannedClient {
  let atMs = 0;
  const steps = client.steps.map((step) => {
    atMs += step.afterMs;
    const current = Math.floor(atMs / WINDOW_MS);
    const window = prng.chance(EARLIER_CHANCE) ? prng.below(current + 1) : current;
    return { ...step, key: `w${window}-${prng.below(keysPerWindow)}` };
  });
  return { ...client, steps };
}
