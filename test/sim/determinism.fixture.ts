/** A small busy world: three nodes that write, sync, sleep, run jobs, crash and restart. Prints its trace when run. */
import type { JobTable } from "../../src/ports/workers.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { type SimNode, SimWorld } from "../../src/sim/world.ts";

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

if (import.meta.main) {
  const { digest, events, checkpoints } = runWorld(process.argv[2]!);
  console.log(JSON.stringify({ digest, events, checkpoints }));
}
