/** Any of five real nodes die, or stand still, under load: nobody is refused, nothing is lost, nothing old is read. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { drill, mintersByLoad, unequalKeys } from "../support/cluster-drill.ts";
import {
  indexOf,
  nameOf,
  put,
  routeOf,
  untilAllUp,
  untilNoHints,
  untilSeen,
} from "../support/cluster-eyes.ts";
import { ClusterLoad } from "../support/cluster-load.ts";
import { networkFault } from "../support/network-faults.ts";
import { PeerRelay } from "../support/peer-relay.ts";
import { type ClusterProcess, withCluster } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const ALL = [0, 1, 2, 3, 4];
const STRICT = "r=2, w=2, sloppy=?0";

/** Nothing lost, nothing old, all copies equal. */
async function expectSound(cluster: ClusterProcess, load: ClusterLoad): Promise<void> {
  expect(load.violations).toEqual([]);
  expect(await load.checkAll(ALL)).toEqual([]);
  expect(load.violations).toEqual([]);
  expect(await unequalKeys(cluster, load)).toEqual([]);
  expect(load.acknowledged).toBeGreaterThan(100);
}

test.each(["kill", "stop"] as const)(
  "S1, R53: one of five nodes under load (%s): no write refused, none lost, no old read, its hints come, all copies are equal",
  async (how) => {
    await withCluster(ALL.length, async (cluster) => {
      const load = new ClusterLoad(cluster, { seed: how, through: ALL });
      const [victim] = await mintersByLoad(cluster, load);
      const result = await drill({ cluster, load, victims: [victim!], how, awayMs: 1000 });
      expect(result.hints).toMatch(new RegExp(`^${nameOf(victim!)}: \\d+$`));
      expect(result.statesOnReturn[0]!.at(-1)).toBe("up");
      expect([load.unusualWrites, load.unusualReads]).toEqual([[], []]);
      await expectSound(cluster, load);
    });
  },
);

test("R53, D4: the first answers of owners that stood still are refusals, never what they knew before", async () => {
  await withCluster(ALL.length, async (cluster) => {
    const { owners } = await routeOf(cluster, 0, "demo/k");
    const stale = owners.slice(0, 2).map(indexOf);
    const fresh = ALL.filter((index) => !stale.includes(index));
    const all = { "X-Consistency": "ALL" };
    expect((await put(cluster.key(0, "demo", "k"), "old", all)).status).toBe(204);

    for (const index of stale) await cluster.kill(index, "SIGSTOP");
    for (const index of stale) await untilSeen(cluster, fresh, index, ["down"]);
    const written = await put(cluster.key(fresh[0]!, "demo", "k"), "new");
    expect(written.status).toBe(204);

    // Whoever knows better cannot be asked when the two wake up, each with the questions of its clients before its eyes.
    for (const index of fresh) await cluster.kill(index, "SIGSTOP");
    const questions = stale.flatMap((index) =>
      Array.from({ length: 20 }, () => fetch(cluster.key(index, "demo", "k"))),
    );
    await Bun.sleep(500);
    for (const index of stale) await cluster.kill(index, "SIGCONT");
    const answers = await Promise.all(questions);
    for (const { status } of answers) expect([503, 504]).toContain(status);

    for (const index of fresh) await cluster.kill(index, "SIGCONT");
    await untilAllUp(cluster);
    await untilNoHints(cluster, 0);
    for (const index of ALL)
      expect(await (await fetch(cluster.key(index, "demo", "k"))).text()).toBe("new");
  });
});

test("row 111: one-way and bridge partitions and a flapping link lose nothing, and soon all agree", async () => {
  const relay = await PeerRelay.start(ALL.length);
  const options = { argsOf: (index: number) => relay.argsOf(index) };
  const body = async (cluster: ClusterProcess): Promise<void> => {
    // Owners only, so that what was acknowledged is what is read (R3).
    const load = new ClusterLoad(cluster, { seed: 111, through: ALL, level: STRICT });
    const prng = new Prng("row-111");
    load.start();
    for (const fault of ["one-way", "bridge", "flap"] as const)
      await networkFault(relay, ALL.length, fault, prng, 1500);
    await untilAllUp(cluster);
    await load.stop();
    await untilNoHints(cluster, 0);
    await expectSound(cluster, load);
  };
  try {
    await withCluster(ALL.length, body, options);
  } finally {
    relay.stop();
  }
});
