import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { HutchError } from "../../src/base/errors.ts";
import { NO_RANK, PartitionFacts } from "../../src/cluster/partition-facts.ts";
import { type ReplicaStore, systemKey } from "../../src/cluster/replica-store.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { openStore } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

const Q = 16;

class World {
  disk = new SimDisk({ seed: 1 });
  nowHlc = 1000;
  store!: ReplicaStore;
  facts!: PartitionFacts;
  private closeStore!: () => Promise<void>;

  static async start(): Promise<World> {
    const world = new World();
    await world.open();
    return world;
  }

  async open(): Promise<void> {
    const random = new SimRandom(new Prng("facts"));
    const opened = await openStore({ disk: this.disk, clock: new StillClock(), random });
    this.store = opened.store;
    this.closeStore = () => opened.close();
    this.facts = this.load();
  }

  load(store = this.store): PartitionFacts {
    return new PartitionFacts({
      store,
      logger: silentLogger,
      q: Q,
      nowHlc: () => this.nowHlc,
      floorMax: () => this.nowHlc,
    });
  }

  async restart(): Promise<void> {
    await this.facts.saved();
    await this.closeStore();
    await this.open();
  }

  async powerLoss(): Promise<void> {
    this.disk = this.disk.powerLoss("strict");
    await this.open();
  }

  /** What a drop does. */
  raise(partition: number, newest: number): Promise<void> {
    const batch = new WriteBatch();
    this.facts.raiseIn(batch, partition, newest);
    return this.store.apply(batch);
  }
}

test("R42: the floor goes with the batch of the drop, survives a power loss, and never falls", async () => {
  const world = await World.start();
  expect(world.facts.gcFloorOf(3)).toBe(0);
  await world.raise(3, 500);
  await world.raise(3, 400);
  await world.raise(4, 7);
  await world.powerLoss();
  expect(world.facts.gcFloorOf(3)).toBe(500);
  expect(world.facts.gcFloorOf(4)).toBe(7);
  expect(world.facts.floors()[3]).toBe(500);
});

test("R42: a batch that the disk takes back leaves every later one with a floor of its own", async () => {
  const world = await World.start();
  const refused = new WriteBatch();
  world.facts.raiseIn(refused, 3, 900);
  // Not applied. A drop with a lower floor follows.
  await world.raise(3, 500);
  await world.powerLoss();
  expect(world.facts.gcFloorOf(3)).toBeGreaterThanOrEqual(500);
});

test("R42: floors of other nodes join by maximum, in any order, and one in the future is cut to now", async () => {
  const world = await World.start();
  for (const floor of [300, 900, 100]) world.facts.learnFloor(5, floor);
  world.facts.learnFloor(6, 1e15);
  world.facts.learnFloor(99, 5);
  expect([world.facts.gcFloorOf(5), world.facts.gcFloorOf(6)]).toEqual([900, 1000]);
  await world.restart();
  expect([world.facts.gcFloorOf(5), world.facts.gcFloorOf(6)]).toEqual([900, 1000]);
});

test("R42: a partition is owned since it was gained, not since the last start; a better place is a new beginning", async () => {
  const world = await World.start();
  await world.facts.setRanks((partition) => (partition < 4 ? 1 : NO_RANK));
  expect([world.facts.ownedSinceOf(2), world.facts.ownedSinceOf(9)]).toEqual([1000, 0]);
  world.nowHlc = 2000;
  await world.restart();
  await world.facts.setRanks((partition) => (partition === 3 ? 0 : partition < 4 ? 1 : NO_RANK));
  expect([world.facts.ownedSinceOf(2), world.facts.ownedSinceOf(3)]).toEqual([1000, 2000]);
  world.nowHlc = 3000;
  await world.facts.setRanks(() => NO_RANK);
  expect(world.facts.ownedSinceOf(2)).toBe(0);
  await world.facts.setRanks(() => 1);
  expect(world.facts.ownedSinceOf(2)).toBe(3000);
});

test("R12: who may have forgotten something owns since now, all or some of it, and that is on disk", async () => {
  const world = await World.start();
  await world.facts.setRanks((partition) => (partition < 8 ? 0 : NO_RANK));
  world.nowHlc = 2000;
  await world.facts.resetOwnedSince([1, 9]);
  await world.powerLoss();
  expect([0, 1, 9].map((partition) => world.facts.ownedSinceOf(partition))).toEqual([
    1000, 2000, 0,
  ]);
  world.nowHlc = 3000;
  await world.facts.resetOwnedSince();
  expect([0, 1, 9].map((partition) => world.facts.ownedSinceOf(partition))).toEqual([
    3000, 3000, 0,
  ]);
});

test("R42: an entry that cannot be read, and all that may have been behind it, is taken for the worst", async () => {
  const world = await World.start();
  await world.raise(2, 500);
  await world.raise(7, 600);
  await world.store.apply(new WriteBatch().put(systemKey("facts/0005"), new Uint8Array([1, 2])));
  const facts = world.load();
  expect(facts.gcFloorOf(2)).toBe(500);
  for (const partition of [3, 5, 7]) expect(facts.gcFloorOf(partition)).toBe(1000);
  await facts.saved();
  world.nowHlc = 5000;
  await world.restart();
  // It is written down: the next start does not begin to doubt anew.
  expect(world.facts.gcFloorOf(7)).toBe(1000);
});

test("R42, C13: a lost range that touches the facts is taken for the worst", async () => {
  const world = await World.start();
  await world.raise(2, 500);
  const { store } = world;
  const lost = { start: systemKey("a"), end: systemKey("z") };
  const damaged: ReplicaStore = Object.create(store, {
    snapshot: {
      value: () =>
        Object.create(store.snapshot(), { lostRanges: { value: [lost] } }) as ReturnType<
          ReplicaStore["snapshot"]
        >,
    },
  }) as ReplicaStore;
  const facts = world.load(damaged);
  expect(facts.gcFloorOf(2)).toBe(500);
  expect(facts.gcFloorOf(3)).toBe(1000);
});

test("a full disk is told, and what was not written is written by the next call", async () => {
  const world = await World.start();
  let isFull = true;
  const store: ReplicaStore = Object.create(world.store, {
    apply: {
      value: (batch: WriteBatch) =>
        isFull ? Promise.reject(new HutchError("disk-full", "full")) : world.store.apply(batch),
    },
  }) as ReplicaStore;
  const facts = world.load(store);
  facts.learnFloor(3, 500);
  let code = "";
  try {
    await facts.setRanks(() => 0);
  } catch (thrown) {
    code = (thrown as HutchError).code;
  }
  expect(code).toBe("disk-full");
  isFull = false;
  await facts.saved();
  await world.restart();
  expect([world.facts.gcFloorOf(3), world.facts.ownedSinceOf(3)]).toEqual([500, 1000]);
});

test("what a damaged table took is written anew from memory", async () => {
  const world = await World.start();
  await world.raise(2, 500);
  await world.store.apply(new WriteBatch().delete(systemKey("facts/0002")));
  await world.facts.rewrite();
  await world.powerLoss();
  expect(world.facts.gcFloorOf(2)).toBe(500);
});
