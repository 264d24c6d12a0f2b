import { describe, expect, test } from "bun:test";
import { WALL_START_MS } from "../../src/sim/clock.ts";
import { SimProcess, SimScheduler } from "../../src/sim/scheduler.ts";
import { SimWorld } from "../../src/sim/world.ts";

const process = new SimProcess("p");

function orderOf(seed: number, timesUs: readonly number[]): number[] {
  const scheduler = new SimScheduler(seed);
  const order: number[] = [];
  timesUs.forEach((timeUs, index) => scheduler.at(timeUs, process, "", () => order.push(index)));
  scheduler.run(1000);
  return order;
}

describe("SimScheduler", () => {
  test("runs events in order of time, and those of one instant in an order of the seed", () => {
    const times = Array.from({ length: 200 }, (_, i) => (i * 7919) % 1000);
    const sorted = orderOf(1, times).map((index) => times[index]!);
    expect(sorted).toEqual(times.toSorted((a, b) => a - b));
    const ties = [5, 5, 5, 5, 5, 5, 5, 5];
    expect(orderOf(1, ties)).toEqual(orderOf(1, ties));
    const orders = new Set(Array.from({ length: 20 }, (_, seed) => orderOf(seed, ties).join()));
    expect(orders.size).toBeGreaterThan(15);
  });

  test("drains all microtasks between two events", () => {
    const scheduler = new SimScheduler(1);
    const log: string[] = [];
    const chain = async (name: string): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        log.push(name);
        await undefined;
      }
    };
    scheduler.at(1, process, "", () => void chain("a"));
    scheduler.at(2, process, "", () => void chain("b"));
    scheduler.run(1);
    expect(log.join("")).toBe("aaabbb");
  });

  test("run() stops at its time and leaves later events for later", () => {
    const scheduler = new SimScheduler(1);
    const ran: number[] = [];
    for (const timeMs of [1, 2, 3]) {
      scheduler.at(timeMs * 1000, process, "", () => ran.push(scheduler.nowMs()));
    }
    scheduler.run(2.5);
    expect([ran, scheduler.nowMs()]).toEqual([[1, 2], 2.5]);
    scheduler.run(10);
    expect([ran, scheduler.nowMs()]).toEqual([[1, 2, 3], 10]);
  });

  test("drops the events of a process that has died", () => {
    const scheduler = new SimScheduler(1);
    const mortal = new SimProcess("mortal");
    const ran: string[] = [];
    scheduler.at(1, process, "", () => {
      mortal.isAlive = false;
    });
    scheduler.at(2, mortal, "", () => ran.push("dead"));
    scheduler.at(2, process, "", () => ran.push("alive"));
    scheduler.run(1);
    expect(ran).toEqual(["alive"]);
  });

  test("runUntil() returns the value or throws the reason", () => {
    const world = new SimWorld(1);
    const { clock } = world.node("a");
    const later = async <T>(value: T): Promise<T> => {
      await clock.sleep(1000);
      return value;
    };
    expect(world.runUntil(later(7))).toBe(7);
    const failing = later(0).then(() => Promise.reject(new Error("the reason")));
    expect(() => world.runUntil(failing)).toThrow("the reason");
    expect(world.scheduler.nowMs()).toBeGreaterThan(1999);
  });

  test("runUntil() ends when nothing is left to run, and at its limit", () => {
    const world = new SimWorld(1);
    const never = new Promise<void>(() => undefined);
    expect(() => world.runUntil(never)).toThrow("something inside the simulation");
    const { clock } = world.node("a");
    const tick = (): void => void clock.after(10, tick);
    tick();
    expect(() => world.runUntil(never, 5000)).toThrow("within 5000 virtual ms");
  });

  test("time that stands still, and an event without end, are caught", () => {
    const world = new SimWorld(1);
    const { clock } = world.node("a");
    const again = (): void => void clock.after(0, again);
    again();
    expect(() => world.run(1)).toThrow("time goes on (livelock)");
    const other = new SimWorld(2);
    const { disk, clock: otherClock } = other.node("a");
    otherClock.after(1, () => {
      for (;;) disk.sizeOf("a");
    });
    expect(() => other.run(5)).toThrow("one event ends within its calls (livelock)");
  });

  test("an option delays every event a little", () => {
    const scheduler = new SimScheduler(1, 50);
    const late = new Set<number>();
    for (let i = 0; i < 500; i++) {
      scheduler.at(1000, process, "", () => late.add(scheduler.nowUs() - 1000));
    }
    scheduler.run(5);
    expect(Math.min(...late)).toBe(0);
    expect(Math.max(...late)).toBe(50);
  });

  test("a rejection that nobody handles fails the program", () => {
    const path = JSON.stringify(new URL("../../src/sim/world.ts", import.meta.url).href);
    const script = `
      import { SimWorld } from ${path};
      const world = new SimWorld(1);
      world.node("a").clock.after(1, () => void Promise.reject(new Error("forgotten")));
      world.run(10);
      setTimeout(() => console.log("went on"), 50);`;
    const child = Bun.spawnSync([globalThis.process.execPath, "-e", script]);
    expect(child.exitCode).not.toBe(0);
    expect(child.stdout.toString()).toBe("");
    expect(child.stderr.toString()).toContain("forgotten");
  });
});

describe("SimWorld", () => {
  test("timers, jobs and syncs of a dead process never come back; the machine does", () => {
    const jobs = { slow: { lane: "x", run: async () => "done" } };
    const world = new SimWorld(1, { jobs });
    const node = world.node("a");
    const seen: string[] = [];
    const file = node.disk.create("kept");
    node.disk.syncDirectory("");
    node.disk.faults.syncDelayMs = { min: 10, max: 10 };
    node.clock.after(10, () => seen.push("timer"));
    void file.sync().finally(() => seen.push("sync"));
    void node.workers.run("slow", 1).finally(() => seen.push("job"));
    const { disk, clock } = node;
    node.powerLoss();
    expect(node.isUp).toBe(false);
    world.run(100);
    node.restart();
    world.run(100);
    expect(seen).toEqual([]);
    expect(node.isUp).toBe(true);
    expect(node.epoch).toBe(2);
    expect(node.disk).not.toBe(disk);
    expect(node.clock).not.toBe(clock);
    expect(node.disk.list("")).toEqual(["kept"]);
    expect(world.runUntil(node.workers.run<number, string>("slow", 1))).toBe("done");
  });

  test("a crash at the n-th disk call takes the process along", () => {
    const world = new SimWorld(1);
    const node = world.node("a");
    node.disk.crashAtCall(3);
    let calls = 0;
    const poll = (): void => {
      node.disk.sizeOf("a");
      calls++;
      node.clock.after(1, poll);
    };
    poll();
    world.run(100);
    expect(calls).toBe(2);
    expect(node.isUp).toBe(false);
    node.powerLoss();
    node.restart();
    expect(node.disk.list("")).toEqual([]);
  });

  test("every node has a clock and streams of its own, and a restarted one does not repeat itself", () => {
    const world = new SimWorld(1);
    const [a, b] = [world.node("a"), world.node("b")];
    expect(a.clock.wallMs()).not.toBe(b.clock.wallMs());
    const first = a.random.bytes(16);
    expect(first).not.toEqual(b.random.bytes(16));
    a.crash();
    a.restart();
    expect(a.random.bytes(16)).not.toEqual(first);
    expect(new SimWorld(1).node("a").random.bytes(16)).toEqual(first);
  });

  test("row 95: step() moves the wall clock in both directions and leaves durations alone", () => {
    const world = new SimWorld(1);
    const { clock } = world.node("a", { offsetMs: 0, driftPpm: 0 });
    const [wallMs, monoMs] = [clock.wallMs(), clock.monoMs()];
    clock.step(-3_600_000);
    expect(clock.wallMs()).toBe(wallMs - 3_600_000);
    clock.step(7_200_000);
    expect(clock.wallMs()).toBe(wallMs + 3_600_000);
    expect(clock.monoMs()).toBe(monoMs);
  });

  test("drift makes a clock fast or slow by its parts per million", () => {
    const world = new SimWorld(1);
    const fast = world.node("fast", { driftPpm: 100 }).clock;
    const slow = world.node("slow", { driftPpm: -100 }).clock;
    world.run(1_000_000);
    expect(fast.monoMs()).toBeCloseTo(1_000_100, 3);
    expect(slow.monoMs()).toBeCloseTo(999_900, 3);
  });

  test("a drift that changes: wall and monotonic time go on from where they are, no timer is early", () => {
    const world = new SimWorld(1);
    const { clock } = world.node("a", { driftPpm: 0 });
    world.run(1000);
    const late: number[] = [];
    for (const delayMs of [0, 1, 10, 100, 1000]) {
      const dueMs = clock.monoMs() + delayMs;
      clock.after(delayMs, () => late.push(clock.monoMs() - dueMs));
    }
    const cancelled = clock.after(500, () => late.push(-1));
    clock.setDrift(-500_000);
    expect(clock.monoMs()).toBe(1000);
    world.run(600);
    cancelled.cancel();
    expect(clock.monoMs()).toBe(1300);
    clock.setDrift(1_000_000);
    world.run(1000);
    expect(clock.monoMs()).toBe(3300);
    expect(clock.wallMs()).toBe(WALL_START_MS + 3300);
    expect(late).toHaveLength(5);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  });

  test("what was set on a machine's clock stays set for its next process, whose monotonic time begins anew", () => {
    const world = new SimWorld(1);
    const node = world.node("a", { offsetMs: 7, driftPpm: 0 });
    node.clock.step(-5000);
    world.run(1000);
    node.crash();
    world.run(1000);
    node.restart();
    expect(node.clock.wallMs()).toBe(WALL_START_MS + 7 - 5000 + 2000);
    expect(node.clock.monoMs()).toBe(0);
    node.clock.setDrift(100_000);
    node.powerLoss();
    node.restart();
    world.run(1000);
    expect(node.clock.monoMs()).toBeCloseTo(1100, 3);
    expect(node.clock.wallMs()).toBe(WALL_START_MS + 7 - 5000 + 3100);
  });

  test("an option makes every event of a world a little late", () => {
    const lateUs = (jitterUsMax: number): number => {
      const { scheduler } = new SimWorld(1, { jitterUsMax });
      let sum = 0;
      for (let i = 0; i < 100; i++)
        scheduler.at(1000, process, "", () => void (sum += scheduler.nowUs() - 1000));
      scheduler.run(5);
      return sum;
    };
    expect(lateUs(0)).toBe(0);
    expect(lateUs(50)).toBeGreaterThan(1000);
  });

  test("the log has node, virtual time and fields", () => {
    const world = new SimWorld(1);
    world.run(5);
    world.node("a").logger.warn("wal_tail_truncated", { bytes: 3 });
    expect(world.log).toEqual([
      { timeMs: 5, node: "a", level: "warn", event: "wal_tail_truncated", fields: { bytes: 3 } },
    ]);
  });
});
