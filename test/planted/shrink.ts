/**
 * Finds a seed that a planted bug breaks, shrinks its plan, and keeps the plan in `test/plans`:
 *
 *   HUTCH_PLANTED_BUG=no-write-back bun --preload ./test/planted/plant.ts test/planted/shrink.ts
 *
 *   --seed 1        the first seed           --seeds 200     how many are looked through
 *   --runs 600      runs of the shrinker     --keep FILE     where the plan goes
 *   --plan FILE     shrinks this plan instead of one of a seed
 *   --faults A,B    --changes A,B    plans with these only; "none" for none
 *   --nodes 3       --duration 4000  plans of this size, in ms
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import "../../src/bun/native-kernels.ts";
import { type DrawOptions, drawPlan } from "../../src/simulator/draw-plan.ts";
import {
  CHANGE_KINDS,
  FAULT_KINDS,
  type Plan,
  readPlan,
  writePlan,
} from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";
import { shrink } from "../../src/simulator/shrink.ts";
import { sizesOf, tellPlan } from "../../src/simulator/tell-plan.ts";
import type { Verdict } from "../../src/simulator/verdict.ts";
import { bugOf } from "./planted-source.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "200" },
    runs: { type: "string", default: "600" },
    plan: { type: "string" },
    keep: { type: "string" },
    nodes: { type: "string" },
    duration: { type: "string" },
    faults: { type: "string" },
    changes: { type: "string" },
  },
});
const VIOLATIONS_TOLD_MAX = 3;
const bug = bugOf(process.env["HUTCH_PLANTED_BUG"] ?? "");
const keep = values.keep ?? `test/plans/planted-${bug.name}.json`;
const say = (line: string): void => void process.stderr.write(`${bug.name}: ${line}\n`);
const invariantsOf = ({ violations }: Verdict): string[] => [
  ...new Set(violations.map(({ invariant }) => invariant)),
];

/** Kinds that there are, of a list of names. */
function kindsOf<Kind extends string>(text: string, known: readonly Kind[]): Kind[] {
  const names = text === "none" ? [] : text.split(",");
  return known.filter((kind) => names.includes(kind));
}

const options: DrawOptions = {
  ...(values.nodes !== undefined && { nodes: Number(values.nodes) }),
  ...(values.duration !== undefined && { durationMs: Number(values.duration) }),
  ...(values.faults !== undefined && { faults: kindsOf(values.faults, FAULT_KINDS) }),
  ...(values.changes !== undefined && { changes: kindsOf(values.changes, CHANGE_KINDS) }),
};

async function* plans(): AsyncGenerator<Plan> {
  if (values.plan !== undefined) return yield readPlan(await Bun.file(values.plan).text());
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.seeds); seed++) yield drawPlan(seed, options);
}

async function findBroken(): Promise<Verdict | undefined> {
  for await (const plan of plans()) {
    const verdict = runPlan(plan);
    if (verdict.violations.length > 0) return verdict;
  }
  return undefined;
}

/** How much smaller it has become, on one line. */
function ratios(before: Plan, after: Plan): string {
  const [from, to] = [sizesOf(before), sizesOf(after)];
  const names = Object.keys(from) as (keyof typeof from)[];
  return names.map((name) => `${name} ${from[name]} -> ${to[name]}`).join(", ");
}

const startedAtMs = performance.now();
const secondsSince = (atMs: number): string => ((performance.now() - atMs) / 1000).toFixed(1);
const broken = await findBroken();
if (broken === undefined) {
  say(`no plan breaks in ${secondsSince(startedAtMs)} s`);
  process.exit(1);
}
say(
  `${broken.plan.title} breaks ${invariantsOf(broken).join(", ")} (${secondsSince(startedAtMs)} s)`,
);
const shrinkingAtMs = performance.now();
const save = (plan: Plan, verdict: Verdict): void => {
  const title = `${bug.name} breaks ${invariantsOf(verdict).join(", ")}: ${bug.what}`;
  writeFileSync(keep, writePlan({ ...plan, title }));
};
const shrunk = shrink(broken.plan, broken, runPlan, {
  runsMax: Number(values.runs),
  onStep: ({ isKept, pass, runs, plan }) => {
    if (!isKept) return;
    // Who stops it here still has what there is.
    save(plan, broken);
    say(`run ${runs} ${pass}: ${JSON.stringify(sizesOf(plan))}`);
  },
});
save(shrunk.plan, shrunk.verdict);
say(`${ratios(broken.plan, shrunk.plan)}, ${shrunk.runs} runs, ${secondsSince(shrinkingAtMs)} s`);
const told = shrunk.verdict.violations
  .slice(0, VIOLATIONS_TOLD_MAX)
  .map(({ invariant, message }) => `  ${invariant}: ${message}`);
process.stdout.write(`${[...tellPlan(shrunk.plan), ...told].join("\n")}\n`);
