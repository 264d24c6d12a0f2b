/**
 * Trees through many lives of a node on a simulated disk that loses its power at a random call: writes, saves, rebuilds, full disks, flushes
 * and compactions, all at once. At the start of each life a tree that is loaded is as the store is; so are all trees whenever nothing is being built.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { HutchError } from "../../src/base/errors.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { settled } from "../support/hint-world.ts";
import { ALL, MerkleWorld, keyIn } from "../support/merkle-world.ts";

const LIVES = 8;
const STEPS = 120;
const SMALL = { memtableBytes: 4096, level0Trigger: 2 };
const QUOTA_BYTES = 2 ** 40;

interface Tally {
  loaded: number;
  rebuilt: number;
  crashes: number;
  refused: number;
}

/** The guard of free space needs time that passes, and has none here. */
const withoutAdmission = (store: ReplicaStore): ReplicaStore =>
  Object.assign(Object.create(store) as ReplicaStore, { admit: () => undefined });

class CrashingNode {
  readonly tally: Tally = { loaded: 0, rebuilt: 0, crashes: 0, refused: 0 };
  private readonly prng: Prng;
  private disk: SimDisk;

  constructor(seed: number) {
    this.prng = new Prng(`merkle-crash/${seed}`);
    this.disk = new SimDisk({ seed });
  }

  async run(): Promise<Tally> {
    for (let life = 0; life < LIVES; life++) {
      this.disk.crashAtCall(this.prng.between(20, 500));
      try {
        await this.live();
      } catch (thrown) {
        if (!this.disk.isDead || !isOfDisk(thrown)) throw thrown;
        this.tally.crashes++;
      }
      if (!this.disk.isDead) this.disk.die("the test ends this life");
      await settled();
      this.disk = this.prng.chance(0.8) ? this.disk.powerLoss("strict") : this.disk.kill();
    }
    return this.tally;
  }

  private async live(): Promise<void> {
    const rest = (): Promise<void> => (this.prng.chance(0.5) ? settled() : Promise.resolve());
    const { disk } = this;
    const world = await MerkleWorld.open({ disk, store: SMALL, wrap: withoutAdmission, rest });
    const ready = world.ready();
    expect(world.trees(ready)).toBe(world.expected(ready));
    this.tally.loaded += ready.length;
    world.index.start(ALL);
    for (let step = 0; step < STEPS && !disk.isDead; step++) {
      await this.step(world);
      if (step % 40 === 39) await this.check(world);
    }
    if (disk.isDead || !this.prng.chance(0.5)) return;
    await world.index.close();
    await world.opened.close();
  }

  private async step(world: MerkleWorld): Promise<void> {
    const { prng } = this;
    const dice = prng.below(100);
    if (dice < 2) await world.opened.store.flush();
    else if (dice < 8) void world.index.save();
    else if (dice < 12) void world.index.rebuild(prng.below(ALL.length), "test");
    else if (dice < 14) await this.withFullDisk(world);
    else if (dice < 30) await settled();
    else void this.write(world);
  }

  private async write(world: MerkleWorld): Promise<void> {
    const { prng } = this;
    const key = keyIn(prng.below(4) * 5, `${prng.below(30)}`, prng.pick(["demo", "two"]));
    const record = prng.chance(0.25) ? undefined : prng.bytes(prng.between(1, 80));
    try {
      await world.write(key, record);
    } catch (thrown) {
      if (!isOfDisk(thrown)) throw thrown;
      this.tally.refused++;
    }
  }

  private async withFullDisk(world: MerkleWorld): Promise<void> {
    this.disk.faults.quotaBytes = 1;
    const writes = Array.from({ length: 3 }, () => this.write(world));
    await Promise.all(writes);
    this.disk.faults.quotaBytes = QUOTA_BYTES;
  }

  private async check(world: MerkleWorld): Promise<void> {
    const built = world.index.rebuildCounters.built;
    await world.idle();
    if (this.disk.isDead) return;
    this.tally.rebuilt += world.index.rebuildCounters.built - built;
    expect(world.trees()).toBe(world.expected());
    expect(world.ready()).toEqual(ALL);
  }
}

/** All that a disk can make the code above it throw. */
function isOfDisk(thrown: unknown): boolean {
  return thrown instanceof SimCrash || thrown instanceof DiskError || thrown instanceof HutchError;
}

test("R37: no tree that a crash leaves is taken for right and is not", async () => {
  const total: Tally = { loaded: 0, rebuilt: 0, crashes: 0, refused: 0 };
  for (let seed = 1; seed <= 40; seed++) {
    const tally = await new CrashingNode(seed).run();
    for (const name of ["loaded", "rebuilt", "crashes", "refused"] as const)
      total[name] += tally[name];
  }
  // The runs met what they are about.
  expect(total.loaded).toBeGreaterThan(100);
  expect(total.rebuilt).toBeGreaterThan(100);
  expect(total.crashes).toBeGreaterThan(20);
  expect(total.refused).toBeGreaterThan(20);
}, 60_000);
