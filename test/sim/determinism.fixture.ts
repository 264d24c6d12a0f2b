/**
 * Runs whose traces are compared, in this process or in one of their own:
 *
 *   bun test/sim/determinism.fixture.ts KIND SEED [FROM TO]   prints the `TraceRecord`, with the events of that window
 *   bun test/sim/determinism.fixture.ts compare KIND SEED     makes the run in two processes and prints where they part
 *
 *   world     three nodes that write, sync, sleep, run jobs, crash and restart
 *   cluster   five whole nodes under faults
 *   elastic   a cluster that changes under faults
 *   planted   `cluster`, and one number in 100 that nodes draw depends on the process
 */
import type { JobTable } from "../../src/ports/workers.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimRandom } from "../../src/sim/random.ts";
import {
  findDifference,
  recordOf,
  type RecordRun,
  tellDifference,
  type TraceRecord,
} from "../../src/sim/trace-difference.ts";
import { recordTrace, type TraceWindow } from "../../src/sim/trace-hash.ts";
import { type SimNode, SimWorld } from "../../src/sim/world.ts";
import { drawPlan } from "../../src/simulator/draw-plan.ts";
import { CHANGE_KINDS } from "../../src/simulator/plan.ts";
import { runPlan } from "../../src/simulator/run.ts";

const RUNS = {
  world: (seed) => runWorld(seed),
  cluster: (seed) => runPlan(drawPlan(seed, { nodes: 5, changes: [], durationMs: 2000 })),
  elastic: (seed) => runPlan(drawPlan(seed, { changes: CHANGE_KINDS, durationMs: 4000 })),
  planted: (seed) => plantedRun(seed),
} satisfies Record<string, (seed: number) => unknown>;

export type RunKind = keyof typeof RUNS;

/** Makes the run here. */
export function record(kind: RunKind, seed: number, window?: TraceWindow): TraceRecord {
  return recordOf(recordTrace(() => RUNS[kind](seed), window).trace);
}

/** Makes the run in a process of its own. */
export const recordApart =
  (kind: RunKind, seed: number, environment: Readonly<Record<string, string>> = {}): RecordRun =>
  async ({ from, to }) => {
    const command = [process.execPath, import.meta.path, kind, seed, from, to].map(String);
    const env = { ...process.env, ...environment };
    const child = Bun.spawn(command, { env, stdout: "pipe", stderr: "pipe" });
    const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if (errors !== "") throw new Error(errors);
    return JSON.parse(text) as TraceRecord;
  };

const jobs: JobTable = {
  count: { lane: "x", run: async ({ disk }) => disk.list("").length },
};

export interface RunSummary {
  readonly digest: string;
  readonly events: number;
  readonly checkpoints: readonly string[];
  readonly log: string;
}

export function runWorld(seed: number | string): RunSummary {
  const world = new SimWorld(seed, { jobs });
  const nodes = ["a", "b", "c"].map((name) => world.node(name));
  for (const node of nodes) {
    node.disk.faults.syncDelayMs = { min: 0.1, max: 3 };
    begin(node);
  }
  for (let round = 0; round < 10; round++) {
    world.run(50);
    const node = nodes[round % 3]!;
    if (round % 2 === 0) node.powerLoss();
    else node.crash();
    world.run(5);
    node.restart();
    begin(node);
  }
  const { eventCount, checkpoints } = world.scheduler.trace;
  const log = JSON.stringify(world.log);
  return { digest: world.scheduler.trace.digest(), events: eventCount, checkpoints, log };
}

function begin(node: SimNode): void {
  work(node).catch((thrown: unknown) => {
    if (!(thrown instanceof SimCrash)) throw thrown;
  });
}

async function work({ disk, clock, random, workers, logger }: SimNode): Promise<void> {
  for (;;) {
    const name = `${random.u32() % 50}`;
    const file = disk.sizeOf(name) < 0 ? disk.create(name) : disk.open(name, "read-write");
    file.append(random.bytes(random.u32() % 100));
    await Promise.all([file.sync(), clock.sleep((random.u32() % 1000) / 500)]);
    if (random.u32() % 3 === 0) disk.syncDirectory("");
    logger.info("wrote", { name, size: file.size(), atMs: clock.wallMs() });
    file.close();
    logger.debug("counted", { files: await workers.run<null, number>("count", null) });
  }
}

/** A process id is a plain value: no trap can be in front of it. */
function plantedRun(seed: number): unknown {
  const { u32 } = SimRandom.prototype;
  let draws = 0;
  SimRandom.prototype.u32 = function planted(): number {
    draws++;
    return draws % 100 === 0
      ? (u32.call(this) ^ Math.imul(process.pid, 0x9e3779b1)) >>> 0
      : u32.call(this);
  };
  try {
    return RUNS.cluster(seed);
  } finally {
    SimRandom.prototype.u32 = u32;
  }
}

async function main([command, ...rest]: readonly string[]): Promise<void> {
  if (command === "compare") {
    const run = recordApart(rest[0] as RunKind, Number(rest[1]));
    const difference = await findDifference(run, run);
    return console.log(difference === undefined ? "equal" : tellDifference(difference));
  }
  const [seed, from, to] = rest.map(Number);
  console.log(JSON.stringify(record(command as RunKind, seed!, { from: from ?? 0, to: to ?? 0 })));
}

if (import.meta.main) await main(process.argv.slice(2));
