/**
 * Looks for the first seed of the simulator that a planted bug breaks: processes side by side, each with every n-th seed, until one of them has it.
 *
 * The runs are those of `hutch sim --seed N`: the same plans, the same judges. Only here is said how a process with a bug is started.
 */
import { messageOf } from "../../src/base/errors.ts";

/** One run, as `hunt-child.ts` tells it. */
export interface HuntedRun {
  readonly seed: number;
  /** The first violation, "" for none. */
  readonly broken: string;
  readonly invariant: string;
  /** Of its process until then. */
  readonly cpuSeconds: number;
}

export interface Hunt {
  /** "" for none: then nothing may be found. */
  readonly bug: string;
  readonly firstSeed: number;
  /** How many at most. */
  readonly seeds: number;
  readonly jobs: number;
  readonly limitMs: number;
  /** Lines of the logs that come with the story of a broken run; 0 for no story. */
  readonly words?: number;
}

export interface Catch {
  /** `undefined` where nothing was broken. */
  readonly found: HuntedRun | undefined;
  readonly runs: number;
  readonly seconds: number;
  /** Of all processes together. */
  readonly cpuSeconds: number;
}

const FOLDER = import.meta.dir;
/** What a broken child says last. */
const ERROR_CHARACTERS_MAX = 2000;

function start({ bug, words = 0 }: Hunt, seed: number, step: number, seeds: number) {
  const preload = bug === "" ? [] : ["--preload", `${FOLDER}/plant.ts`];
  const options = { seed, step, seeds, words };
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  return Bun.spawn([process.execPath, ...preload, `${FOLDER}/hunt-child.ts`, ...flags], {
    env: { ...process.env, BUN_BE_BUN: "1", HUTCH_PLANTED_BUG: bug },
    stdio: ["ignore", "pipe", words > 0 ? "inherit" : "pipe"],
  });
}

type Child = ReturnType<typeof start>;

/** Throws where a process ends in any other way than by its last seed: a bug that cannot be planted is none that is not found. */
export async function hunt(hunted: Hunt): Promise<Catch> {
  const { firstSeed, seeds, limitMs } = hunted;
  const jobs = Math.max(1, Math.min(hunted.jobs, seeds));
  const startMs = performance.now();
  const tally: Tally = { found: undefined, runs: 0, isOver: false };
  const children = Array.from({ length: jobs }, (_, i) =>
    start(hunted, firstSeed + i, jobs, Math.ceil((seeds - i) / jobs)),
  );
  const stop = (): void => {
    tally.isOver = true;
    for (const child of children) child.kill();
  };
  const timer = setTimeout(stop, limitMs);
  try {
    const times = await Promise.all(children.map((child) => follow(child, tally, stop)));
    const { found, runs } = tally;
    const cpuSeconds = times.reduce((sum, own) => sum + own, 0);
    return { found, runs, seconds: (performance.now() - startMs) / 1000, cpuSeconds };
  } finally {
    clearTimeout(timer);
    stop();
    await Promise.all(children.map((child) => child.exited));
  }
}

interface Tally {
  found: HuntedRun | undefined;
  runs: number;
  /** The rest is not wanted any more. */
  isOver: boolean;
}

/** @returns CPU seconds that it has told of */
async function follow(child: Child, tally: Tally, stop: () => void): Promise<number> {
  let cpuSeconds = 0;
  for await (const run of runsOf(child)) {
    ({ cpuSeconds } = run);
    if (tally.isOver) continue;
    tally.runs++;
    if (run.broken === "") continue;
    tally.found = run;
    stop();
  }
  const exitCode = await child.exited;
  if (exitCode !== 0 && !tally.isOver) throw new Error(await reasonOf(child, exitCode));
  return cpuSeconds;
}

async function* runsOf({ stdout }: Child): AsyncGenerator<HuntedRun> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stdout) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as HuntedRun; // written by `hunt-child.ts`
  }
}

async function reasonOf({ stderr }: Child, exitCode: number): Promise<string> {
  const ended = `a run of the simulator ended with exit code ${exitCode}`;
  if (stderr === undefined || stderr === null) return ended;
  const words = await new Response(stderr).text().catch(messageOf);
  return `${ended}: ${words.slice(-ERROR_CHARACTERS_MAX)}`;
}
