/**
 * A slice of `bun run power-loss`: the real program on real file systems whose power is cut under load, or that are copied at some instant.
 * On a machine that cannot do that, what is held is that it says so; the same rows are held there by the simulated disk (`torture`).
 */
import { afterAll, expect, test } from "bun:test";
import { PowerLossDisk, sweepPowerLossDisks } from "../nemesis/power-loss-disk.ts";
import { powerLossClusterRun } from "../support/power-loss-cluster-run.ts";
import { powerLossRun } from "../support/power-loss-run.ts";

const whyNot = PowerLossDisk.available();

if (whyNot === undefined) {
  afterAll(() => void sweepPowerLossDisks());

  test("rows 75, 76: power lost under load and while starting, and images of the disk at any instant: start below 10 s, no acknowledged write lost", async () => {
    const result = await powerLossRun({ seed: 1, recoveries: 12 });
    expect(result.acknowledged).toBeGreaterThan(100);
    expect(result.recoveries.get("cut")).toBeGreaterThan(0);
    expect(result.recoveries.get("image")).toBeGreaterThan(0);
    expect(result.slowestStartMs).toBeLessThan(10_000);
  }, 300_000);

  test("row 76: the same run with fsync os finds what was lost", async () => {
    const lost = await powerLossRun({ seed: 1, recoveries: 60, fsync: "os" }).catch(
      (error: Error) => error.cause,
    );
    expect(lost).toBeInstanceOf(Error);
    expect(String(lost)).toContain("acknowledged up to");
  }, 300_000);

  test("row 76: three nodes of which one or all lose their power at one instant: every write acknowledged at QUORUM is there, all copies are equal again", async () => {
    const result = await powerLossClusterRun({ seed: 1, nodes: 3, rounds: 2 });
    expect(result).toMatchObject({ single: 1, total: 1 });
    expect(result.acknowledged).toBeGreaterThan(79);
  }, 300_000);
} else
  test(`rows 75, 76 on a real file system cannot be run here: ${whyNot}`, () => {
    expect(() => PowerLossDisk.make()).toThrow(whyNot);
  });
