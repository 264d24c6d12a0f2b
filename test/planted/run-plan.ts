/**
 * Runs one plan and prints the names of the invariants that it breaks, as JSON; with a planted bug:
 *
 *   HUTCH_PLANTED_BUG=no-write-back bun --preload ./test/planted/plant.ts test/planted/run-plan.ts FILE
 */
import { readFileSync } from "node:fs";
import "../../src/bun/native-kernels.ts";
import { readPlan } from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";

const plan = readPlan(readFileSync(process.argv[2] ?? "", "utf8"));
const { violations } = runPlan(plan, { words: 0 });
const invariants = [...new Set(violations.map(({ invariant }) => invariant))].sort();
process.stdout.write(`${JSON.stringify(invariants)}\n`);
