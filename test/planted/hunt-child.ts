/**
 * Runs seeds of the simulator until one is broken, and tells of each run as a line of JSON. Started by `hunt.ts`, with a planted bug or without.
 *
 *   --seed 1        the first seed       --step 2    from one seed to the next
 *   --seeds 100     how many at most     --all       does not end at the first broken run
 *   --words 40      tells the story of a broken run on standard error, with so many lines of the logs
 */
import { parseArgs } from "node:util";
import "../../src/bun/native-kernels.ts";
import { drawPlan } from "../../src/simulator/draw-plan.ts";
import { runPlan } from "../../src/simulator/run.ts";
import type { HuntedRun } from "./hunt.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    step: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    words: { type: "string", default: "0" },
    all: { type: "boolean", default: false },
  },
});

const words = Number(values.words);
const step = Number(values.step);
const end = Number(values.seed) + Number(values.seeds) * step;
for (let seed = Number(values.seed); seed < end; seed += step) {
  const { violations, told, story } = runPlan(drawPlan(seed), { words });
  const [first] = violations;
  const cpuSeconds = process.cpuUsage().user / 1e6;
  const broken = first === undefined ? "" : `${first.invariant}: ${first.message.split("\n")[0]}`;
  const run: HuntedRun = { seed, broken, invariant: first?.invariant ?? "", cpuSeconds };
  process.stdout.write(`${JSON.stringify(run)}\n`);
  if (first === undefined) continue;
  if (words > 0) process.stderr.write(`${told.join("\n")}\n${story}\n`);
  if (!values.all) break;
}
