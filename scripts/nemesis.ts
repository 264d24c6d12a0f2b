/**
 * Five real nodes under load while everything around them fails (`bun run nemesis`), judged by the checkers of the simulator.
 *
 *   --minutes 10        --seed N             drawn and printed where it is left out
 *   --on namespaces     or loopback; what the machine can do where it is left out
 *   --kinds kill,stop   only these kinds of faults     --pace 0.5   pauses between faults are half as long
 *   --operations 400    in a second, of all clients together
 *   --args="--fsync os" for every node, behind what it gets anyway
 *   --out DIR           where plan, history and logs are kept
 *   --check             only says what this machine can and cannot do
 *   --judge DIR         judges a history that was kept there once more, with the checkers of today
 *
 * Three processes, so that it cleans up whatever happens:
 *
 *   this one   looks what the machine can do, makes namespaces, waits for the run
 *   run        has the relay, the clients and the checkers, inside the router's namespace, and the nodes as its children
 *   janitor    sleeps until this one has ended, in whatever way, and then removes all that the run has left
 *
 * What even the janitor could not remove the next start does. Exits with 1 on a violation.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { storyOf } from "../src/simulator/run-parts.ts";
import {
  type Abilities,
  type Place,
  abilitiesOfThisMachine,
  describeAbilities,
  whyWithout,
} from "../test/nemesis/abilities.ts";
import { loadHistory } from "../test/nemesis/history-file.ts";
import { judgeHistory } from "../test/nemesis/judge.ts";
import { entering, hubOf, makeNamespaces } from "../test/nemesis/namespaces.ts";
import {
  type FaultKind,
  FAULT_KINDS,
  NODES,
  describeFault,
  drawPlan,
} from "../test/nemesis/plan.ts";
import { reportOf } from "../test/nemesis/report.ts";
import { type RunOptions, runNemesis } from "../test/nemesis/run.ts";
import { makeDirectory, removeRun, runNameOf, sweep } from "../test/nemesis/scratch.ts";

const MINUTE_MS = 60_000;
const SEED_MAX = 1_000_000;
const OPTIONS_FILE = "options.json";
/** The client that reads every key in the end. */
const JUDGE = "judge";
/** Of a run that was told to end from outside. */
const INTERRUPTED = 130;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
    on: { type: "string" },
    kinds: { type: "string" },
    pace: { type: "string", default: "1" },
    operations: { type: "string", default: "400" },
    out: { type: "string" },
    args: { type: "string", default: "" },
    check: { type: "boolean", default: false },
    judge: { type: "string" },
    // Of the other two processes.
    inside: { type: "string" },
    janitor: { type: "string" },
  },
});

function placeOf({ namespaces }: Abilities): Place {
  const { on } = values;
  if (on === undefined) return namespaces === undefined ? "namespaces" : "loopback";
  if (on !== "loopback" && on !== "namespaces")
    throw new Error(`--on ${on}: want loopback or namespaces`);
  if (on === "namespaces" && namespaces !== undefined)
    throw new Error(`--on namespaces: this machine cannot: ${namespaces}`);
  return on;
}

function kindsOf(abilities: Abilities, place: Place): readonly FaultKind[] {
  const wanted = values.kinds?.split(",") ?? FAULT_KINDS;
  const unknown = wanted.find((kind) => !FAULT_KINDS.some((known) => known === kind));
  if (unknown !== undefined) throw new Error(`--kinds ${unknown}: want ${FAULT_KINDS.join()}`);
  return FAULT_KINDS.filter(
    (kind) => wanted.includes(kind) && whyWithout(kind, abilities, place) === undefined,
  );
}

async function supervise(): Promise<number> {
  const dead = await sweep();
  if (dead.length > 0) console.log(`removed what was left of ${dead.join(", ")}`);
  const abilities = await abilitiesOfThisMachine();
  const place = placeOf(abilities);
  console.log(["this machine:", ...describeAbilities(abilities, place)].join("\n"));
  if (values.check) return 0;
  const run = runNameOf(process.pid);
  const janitor = startJanitor(run);
  try {
    return await superviseRun(run, place, abilities);
  } finally {
    await janitor.stdin.end();
    await janitor.exited;
  }
}

async function superviseRun(run: string, place: Place, abilities: Abilities): Promise<number> {
  const directory = makeDirectory(run);
  const seed = values.seed ?? String(Math.floor(Math.random() * SEED_MAX));
  const durationMs = Number(values.minutes) * MINUTE_MS;
  const pace = Number(values.pace);
  const plan = drawPlan(seed, { durationMs, pace, kinds: kindsOf(abilities, place) });
  const out = values.out ?? join(".hutch", "nemesis", `seed-${seed}`);
  const operationsPerSecond = Number(values.operations);
  const args = values.args.split(" ").filter((word) => word !== "");
  const options: RunOptions = {
    run,
    directory,
    place,
    abilities,
    plan,
    operationsPerSecond,
    out,
    args,
  };
  mkdirSync(out, { recursive: true });
  writeFileSync(join(directory, OPTIONS_FILE), JSON.stringify(options));
  console.log(
    [`seed ${seed}, ${values.minutes} minutes:`, ...plan.faults.map(describeFault)].join("\n"),
  );
  if (place === "namespaces") await makeNamespaces(run, NODES);
  const own = [process.execPath, "--no-orphans", import.meta.path, "--inside", directory];
  const command = place === "namespaces" ? entering(hubOf(run), own) : own;
  // Whatever makes files for a while makes them where the janitor looks.
  const env = { ...process.env, BUN_BE_BUN: "1", TMPDIR: directory };
  const child = Bun.spawn([...command], { env, stdio: ["ignore", "inherit", "inherit"] });
  const interrupt = (): void => child.kill("SIGKILL");
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  const exitCode = await child.exited;
  console.log(`seed ${seed}; plan, history and logs are in ${out}`);
  return child.signalCode === null ? exitCode : INTERRUPTED;
}

/** In a session of its own: what ends a terminal does not end it. */
function startJanitor(run: string) {
  // Whoever runs this with `--no-orphans` would have the janitor end with it.
  const { BUN_FEATURE_FLAG_NO_ORPHANS: _, ...env } = process.env;
  return Bun.spawn([process.execPath, import.meta.path, "--janitor", run], {
    env: { ...env, BUN_BE_BUN: "1" },
    stdio: ["pipe", "ignore", "inherit"],
    detached: true,
  });
}

/** Its standard input ends when the one that began the run has ended. */
async function cleanUpAfter(run: string): Promise<number> {
  const stay = (): void => undefined;
  process.on("SIGINT", stay).on("SIGTERM", stay).on("SIGHUP", stay);
  for await (const _ of Bun.stdin.stream()) stay();
  await removeRun(run);
  return 0;
}

async function inside(directory: string): Promise<number> {
  const options = JSON.parse(readFileSync(join(directory, OPTIONS_FILE), "utf8")) as RunOptions;
  const result = await runNemesis(options, (line) => console.log(line));
  console.log(reportOf(result));
  return result.violations.length === 0 ? 0 : 1;
}

async function judgeAgain(directory: string): Promise<number> {
  const history = await loadHistory(directory);
  const finals = history.operations.filter(({ client }) => client === JUDGE);
  const violations = judgeHistory(history, finals);
  const counted = `${history.operations.length} operations, ${finals.length} keys`;
  console.log(
    violations.length === 0 ? `${counted}, no violations` : storyOf(violations, history, ""),
  );
  return violations.length === 0 ? 0 : 1;
}

if (values.judge !== undefined) process.exitCode = await judgeAgain(values.judge);
else if (values.janitor !== undefined) process.exitCode = await cleanUpAfter(values.janitor);
else if (values.inside !== undefined) process.exit(await inside(values.inside));
else process.exitCode = await supervise();
