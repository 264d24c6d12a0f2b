/**
 * Shows that the simulator bites (`bun run planted`): each bug of `test/planted/bugs.ts` in turn is planted in processes of its own, which run the seeds of
 * `hutch sim` until one is broken; then the seeds that found them run without a bug, and have to pass.
 *
 *   --only NAME,NAME   these bugs               --seed 1       where the seeds begin
 *   --minutes 10       for each bug             --jobs 2       processes
 *   --seeds 1          how many seeds at most; with `--only` and `--seed` this repeats one run, and tells all of it
 *
 * Prints a table for docs/testing.md. The exit code is 1 where a bug was not found or a run without one is broken.
 */
import { parseArgs } from "node:util";
import { BUGS, type PlantedBug } from "../test/planted/bugs.ts";
import { type Catch, hunt } from "../test/planted/hunt.ts";
import { bugOf } from "../test/planted/planted-source.ts";

const MINUTE_MS = 60_000;
const WORDS = 40;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1000000" },
    minutes: { type: "string", default: "10" },
    jobs: { type: "string", default: "2" },
  },
});

const bugs = values.only === undefined ? BUGS : values.only.split(",").map(bugOf);
const seeds = Number(values.seeds);
const common = {
  firstSeed: Number(values.seed),
  seeds,
  jobs: Number(values.jobs),
  limitMs: Number(values.minutes) * MINUTE_MS,
  words: seeds === 1 ? WORDS : 0,
};

const HEAD = [
  "| bug | what it is | found by seed | broken | seeds | seconds | of CPU |",
  "|---|---|---|---|---|---|---|",
];

function rowOf({ name, what }: PlantedBug, { found, runs, seconds, cpuSeconds }: Catch): string {
  const seed = found === undefined ? "not found" : `${found.seed}`;
  const broken = found?.invariant ?? "";
  const figures = [runs, seconds.toFixed(0), cpuSeconds.toFixed(0)];
  return `| \`${name}\` | ${[what, seed, broken, ...figures].join(" | ")} |`;
}

/** Without a bug all of it holds. */
async function control(found: readonly number[]): Promise<number[]> {
  const broken: number[] = [];
  for (const firstSeed of new Set(found)) {
    const caught = await hunt({ ...common, bug: "", firstSeed, seeds: 1, words: 0 });
    if (caught.found !== undefined) broken.push(firstSeed);
  }
  return broken;
}

console.log(HEAD.join("\n"));
const caught: { bug: PlantedBug; result: Catch }[] = [];
for (const bug of bugs) {
  const result = await hunt({ ...common, bug: bug.name });
  caught.push({ bug, result });
  console.log(rowOf(bug, result));
}

console.log("\nThe one command that repeats each:\n");
for (const { bug, result } of caught)
  if (result.found !== undefined)
    console.log(`  bun run planted --only ${bug.name} --seed ${result.found.seed} --seeds 1`);

const missed = caught.filter(({ result }) => result.found === undefined);
const found = caught.flatMap(({ result }) => (result.found ? [result.found.seed] : []));
const broken = await control(found);
console.log(
  `\n${found.length} of ${bugs.length} found. Of their seeds ${broken.length} are broken without a bug.`,
);
if (broken.length > 0) process.stderr.write(`broken without a bug: ${broken.join(" ")}\n`);
process.exitCode = missed.length + broken.length > 0 ? 1 : 0;
