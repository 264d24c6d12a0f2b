/** How much of a node background work takes, in virtual time. */
import { describe, expect, test } from "bun:test";
import { REST_MS_MAX, RepairPace, SHARE_MIN } from "../../src/cluster/repair-pace.ts";
import { settle } from "../support/many-nodes.ts";
import { ManualClock } from "../support/manual-clock.ts";

class LateClock extends ManualClock {
  lateMs = 0;

  override sleep(delayMs: number): Promise<void> {
    return super.sleep(delayMs + this.lateMs);
  }
}

class Node {
  readonly clock = new LateClock();
  inFlight = 0;
  operations = 0;
  readonly pace: RepairPace;

  constructor(bytesPerSecond?: number) {
    this.pace = new RepairPace({
      clock: this.clock,
      load: () => this,
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    });
  }

  /** Workers that do slices of `sliceMs` until `untilMs`. @returns ms of work in all */
  async work(workers: number, sliceMs: number, untilMs: number, bytes = 0): Promise<number> {
    let workMs = 0;
    let busyUntilMs = 0;
    const worker = async (): Promise<void> => {
      while (this.clock.monoMs() < untilMs) {
        // One event loop: a slice begins when the one before has ended.
        const startMs = Math.max(this.clock.monoMs(), busyUntilMs);
        busyUntilMs = startMs + sliceMs;
        await this.clock.sleep(busyUntilMs - this.clock.monoMs());
        workMs += sliceMs;
        await this.pace.rest(sliceMs, bytes);
      }
    };
    const done = Promise.all(Array.from({ length: workers }, worker));
    while (this.clock.monoMs() < untilMs + REST_MS_MAX) {
      await settle();
      this.clock.advance(0.25);
    }
    await done;
    return workMs;
  }
}

describe("RepairPace", () => {
  test("R34: alone on the node, background work takes all of the time", async () => {
    const node = new Node();
    expect(await node.work(1, 1, 200)).toBeGreaterThanOrEqual(190);
  });

  test("R34: a busy node gives it a tenth of the time, however many work, and never nothing", async () => {
    for (const workers of [1, 5]) {
      const node = new Node();
      node.inFlight = 1000;
      expect(node.pace.share).toBeCloseTo(SHARE_MIN);
      const workMs = await node.work(workers, 1, 1000);
      expect(workMs).toBeGreaterThan(80);
      expect(workMs).toBeLessThanOrEqual(100 + workers);
    }
  });

  test("R34: slices that are shorter than a timer are not for free", async () => {
    const node = new Node();
    node.inFlight = 1000;
    expect(await node.work(1, 0.25, 1000)).toBeLessThanOrEqual(105);
  });

  test("R34: the share falls with the operations of clients, and comes back", async () => {
    const node = new Node();
    expect(node.pace.share).toBe(1);
    node.inFlight = 4;
    expect(node.pace.share).toBeCloseTo(0.55);
    node.inFlight = 0;
    for (let i = 0; i < 40; i++) {
      node.clock.advance(100);
      node.operations += 500;
      void node.pace.share;
    }
    expect(node.pace.share).toBeCloseTo(SHARE_MIN);
    node.clock.advance(60_000);
    expect(node.pace.share).toBe(1);
  });

  test("R34: a loop that runs late is a busy node", async () => {
    const node = new Node();
    const restOften = async (lateMs: number): Promise<void> => {
      node.clock.lateMs = lateMs;
      for (let i = 0; i < 20; i++) {
        let isRested = false;
        void node.pace.rest(1, 0).then(() => (isRested = true));
        for (await settle(); !isRested; await settle()) node.clock.advance(1);
      }
    };
    await restOften(40);
    expect(node.pace.share).toBeCloseTo(SHARE_MIN);
    await restOften(0);
    expect(node.pace.share).toBe(1);
  });

  test("R34: bytes have a rate of their own", async () => {
    const node = new Node(1_000_000);
    const slices = await node.work(3, 1, 2000, 10_000);
    expect(slices * 10_000).toBeLessThan(2_000_000 * 1.1);
    expect(slices * 10_000).toBeGreaterThan(2_000_000 * 0.8);
  });

  test("one slice that took minutes does not stop the work for an hour", async () => {
    const node = new Node();
    node.inFlight = 1000;
    let isRested = false;
    void node.pace.rest(120_000, 0).then(() => (isRested = true));
    await settle();
    node.clock.advance(REST_MS_MAX);
    await settle();
    expect(isRested).toBe(true);
  });
});
