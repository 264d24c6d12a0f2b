/**
 * Runs one plan and prints the names of the invariants that it breaks, as JSON; with a planted bug:
 *
 *   HUTCH_PLANTED_BUG=lww-by-arrival bun --preload ./test/planted/plant.ts test/planted/run-plan.ts FILE
 *
 *   --chances 24    where nothing breaks, again with other streams of chance, up to so many, until something does. A minimal plan hangs on who is first by
 *                   less than a millisecond, and any change of hutch may turn that round
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import "../../src/bun/native-kernels.ts";
import { type Plan, readPlan } from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { chances: { type: "string", default: "0" } },
});

function broken(plan: Plan): string[] {
  const { violations } = runPlan(plan, { words: 0 });
  return [...new Set(violations.map(({ invariant }) => invariant))].sort();
}

const plan = readPlan(readFileSync(positionals[0] ?? "", "utf8"));
let invariants = broken(plan);
for (let chance = 1; chance <= Number(values.chances) && invariants.length === 0; chance++)
  invariants = broken({ ...plan, chance: `${chance}` });
process.stdout.write(`${JSON.stringify(invariants)}\n`);
