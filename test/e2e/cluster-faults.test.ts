/** Any one of five real nodes dies, or stands still, under load: nobody is refused, nothing is lost, nothing old is read. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { drill, heaviestMinter, unequalKeys } from "../support/cluster-drill.ts";
import { ClusterLoad } from "../support/cluster-load.ts";
import { type ClusterProcess, withCluster } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const ALL = [0, 1, 2, 3, 4];

/** Nobody lost, nobody refused, all copies equal. */
async function expectSound(cluster: ClusterProcess, load: ClusterLoad): Promise<void> {
  expect(load.unusualWrites).toEqual([]);
  expect(load.unusualReads).toEqual([]);
  expect(await load.checkAll(ALL)).toEqual([]);
  expect(load.violations).toEqual([]);
  expect(await unequalKeys(cluster, load)).toEqual([]);
  expect(load.acknowledged).toBeGreaterThan(200);
}

test.each(["kill", "stop"] as const)(
  "S1, R53: one of five nodes under load (%s): no write refused, none lost, no old read, its hints come, all copies are equal",
  async (how) => {
    await withCluster(ALL.length, async (cluster) => {
      const load = new ClusterLoad(cluster, { seed: how, through: ALL });
      const index = await heaviestMinter(cluster, load);
      const result = await drill({ cluster, load, index, how, awayMs: 1000 });
      expect(result.hints).toMatch(new RegExp(`^n${index + 1}: \\d+$`));
      await expectSound(cluster, load);
    });
  },
);
