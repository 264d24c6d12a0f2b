/**
 * A cluster of real nodes under load, each on a disk of its own, of which one loses its power at a random instant, or all at the same one.
 *
 * What was acknowledged at QUORUM is on the disks of most of its owners. So it is there when all come back, whatever each of them has lost;
 * and afterwards all owners of a key are equal again.
 */
import { join } from "node:path";
import { Prng } from "../../src/base/prng.ts";
import { type ClusterProcess, withCluster } from "../e2e/node-process.ts";
import { PowerLossDisk } from "../nemesis/power-loss-disk.ts";
import { unequalKeys } from "./cluster-drill.ts";
import { until, untilAllUp } from "./cluster-eyes.ts";
import { ClusterLoad } from "./cluster-load.ts";
import { SMALL_SIZES } from "./kill-run.ts";

export interface PowerLossClusterOptions {
  readonly seed: number | string;
  readonly nodes: number;
  readonly rounds: number;
  readonly log?: (line: string) => void;
}

export interface PowerLossClusterResult {
  /** Rounds in which one lost its power, and in which all did. */
  readonly single: number;
  readonly total: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly slowestStartMs: number;
}

const LOG_EVERY = 10;
/** A loss before which nothing was acknowledged proves nothing. */
const WRITES_MIN = 40;
const ANSWERS_TIMEOUT_MS = 60_000;

class PowerLossCluster {
  private readonly prng: Prng;
  private readonly load: ClusterLoad;
  private readonly cluster: ClusterProcess;
  private readonly disks: readonly PowerLossDisk[];
  private readonly every: readonly number[];
  private single = 0;
  private total = 0;
  private slowestStartMs = 0;

  constructor(
    options: PowerLossClusterOptions,
    cluster: ClusterProcess,
    disks: readonly PowerLossDisk[],
  ) {
    const { seed } = options;
    this.prng = new Prng(`power-loss-cluster/${seed}`);
    this.cluster = cluster;
    this.disks = disks;
    this.every = disks.map((_, index) => index);
    this.load = new ClusterLoad(cluster, { seed, pauseMs: 2, through: this.every });
  }

  get result(): PowerLossClusterResult {
    const { single, total, slowestStartMs } = this;
    const { acknowledged, reads } = this.load;
    return { single, total, acknowledged, reads, slowestStartMs };
  }

  async round(): Promise<void> {
    const { prng, load, every } = this;
    const isTotal = this.total < this.single;
    const victims = isTotal ? every : [prng.pick(every)];
    const { acknowledged } = load;
    load.start();
    while (load.acknowledged < acknowledged + WRITES_MIN) await Bun.sleep(1);
    await Bun.sleep(prng.between(1, 400));
    for (const index of victims) this.disks[index]!.cut(prng.chance(0.3));
    await Bun.sleep(prng.between(0, 200));
    await Promise.all(victims.map((index) => this.cluster.kill(index)));
    await Promise.all(victims.map((index) => this.disks[index]!.restore()));
    if (isTotal) await load.stop();
    await Promise.all(victims.map((index) => this.restart(index)));
    await untilAllUp(this.cluster);
    await load.stop();
    // A node that has just come back may refuse for a moment; what it says wrongly is a violation, which stays.
    const refusals = await until(
      "every read has an answer",
      () => load.checkAll(every),
      (wrong) => wrong.length === 0 || load.violations.length > 0,
      ANSWERS_TIMEOUT_MS,
    ).catch((error: Error) => [error.message]);
    const broken = [...refusals, ...load.violations, ...(await unequalKeys(this.cluster, load))];
    if (broken.length > 0)
      throw new Error(`power lost by ${victims.join(", ")}:\n${broken.join("\n")}`);
    if (isTotal) this.total++;
    else this.single++;
  }

  private async restart(index: number): Promise<void> {
    const started = performance.now();
    await this.cluster.restart(index);
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(performance.now() - started));
  }
}

async function onDisks(
  count: number,
  body: (disks: readonly PowerLossDisk[]) => Promise<void>,
): Promise<void> {
  const disks: PowerLossDisk[] = [];
  try {
    while (disks.length < count) disks.push(PowerLossDisk.make({ name: `n${disks.length + 1}` }));
    await body(disks);
  } finally {
    for (const disk of disks) await disk.close();
  }
}

export async function powerLossClusterRun(
  options: PowerLossClusterOptions,
): Promise<PowerLossClusterResult> {
  const { nodes, rounds, seed, log } = options;
  let run: PowerLossCluster | undefined;
  await onDisks(nodes, (disks) =>
    withCluster(
      nodes,
      async (cluster) => {
        run = new PowerLossCluster(options, cluster, disks);
        for (let number = 1; number <= rounds; number++) {
          await run.round().catch((error: unknown) => {
            throw new Error(`seed ${seed}, round ${number}`, { cause: error });
          });
          if (number % LOG_EVERY === 0) log?.(`${number} rounds: ${JSON.stringify(run.result)}`);
        }
      },
      {
        args: SMALL_SIZES,
        dataDirOf: (index) => join(disks[index]!.mountPoint, "data"),
      },
    ),
  );
  return run!.result;
}
