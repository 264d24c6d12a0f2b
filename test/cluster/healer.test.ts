/** Damage is found, contained and healed from the other owners (C13, R12c, rows 78 to 84). */
import { expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { Healer, type HealerOptions, type OwnKeys } from "../../src/cluster/healer.ts";
import type { KeyRange } from "../../src/cluster/key-scan.ts";
import { piecesOf } from "../../src/cluster/lost-pieces.ts";
import { systemKey } from "../../src/cluster/replica-store.ts";
import { scrubUpkeep } from "../../src/cluster/scrub-upkeep.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { parseFileName } from "../../src/storage/file-names.ts";
import { type StoreOptions, WriteBatch } from "../../src/storage/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "../support/open-store.ts";
import { keyIn } from "../support/merkle-world.ts";

const Q = 16;
const NAMES = Array.from({ length: 12 }, (_, i) => `key-${10 + i}`);
const OPTIONS: StoreOptions = {
  ...SMALL_OPTIONS,
  memtableBytes: 1 << 20,
  walSegmentBytes: 1 << 20,
  readMode: "read",
  blockCacheBytes: 0,
  onDamagedLog: "quarantine",
};

async function settle(): Promise<void> {
  for (let i = 0; i < 2000; i++) await Promise.resolve();
}

/** A store with every name in every partition, its healer, and what the other owners hold. */
class World {
  disk = new SimDisk({ seed: "healer" });
  clock = new ManualClock();
  opened!: OpenStore;
  healer!: Healer;
  /** What the others hold, by key. */
  readonly others = new Map<string, { key: Uint8Array; value: string }>();
  /** Keys that were collected: whoever offers them is told no. */
  readonly collected = new Set<string>();
  readonly log: string[] = [];
  isReachable = true;
  isAlone = false;
  own = new Set(Array.from({ length: Q }, (_, i) => i));
  sole: readonly KeyRange[] = [];
  ownKeys: readonly OwnKeys[] = [];

  /** A new life of the node; timers of the one before never fire. */
  async restart(): Promise<void> {
    this.disk = this.disk.kill();
    this.clock = new ManualClock();
    await this.start();
  }

  async start(options: Partial<HealerOptions> = {}): Promise<void> {
    const prng = new Prng("healer");
    const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
    this.opened = await openStore({ disk: this.disk, clock: this.clock, random }, OPTIONS);
    const { store } = this.opened;
    this.healer = new Healer({
      store,
      clock: this.clock,
      logger: silentLogger,
      pace: { rest: () => Promise.resolve() },
      q: Q,
      ownKeys: this.ownKeys,
      isOwn: (partition) => this.own.has(partition),
      isAlone: () => this.isAlone,
      soleOf: (partition) => (partition === 3 ? this.sole : []),
      fetchRange: (partition, range) => this.fetchRange(partition, range),
      offer: (key, record) => this.offer(key, record),
      forgotten: (partitions) => void this.log.push(`forgotten ${partitions.join()}`),
      rebuildTree: async (partition) => void this.log.push(`tree ${partition}`),
      ...options,
    });
    this.healer.start();
  }

  async fill(): Promise<void> {
    for (let partition = 0; partition < Q; partition++)
      for (const name of NAMES) {
        const key = keyIn(partition, name);
        await this.put(key, `${partition}/${name}`);
        this.others.set(String(key), { key, value: `${partition}/${name}` });
      }
    await this.opened.store.flush();
  }

  put(key: Uint8Array, value: string): Promise<void> {
    return this.opened.store.apply(new WriteBatch().put(key, utf8(value)));
  }

  private async fetchRange(partition: number, { lower, upper }: KeyRange): Promise<boolean> {
    await Promise.resolve();
    if (!this.isReachable) return false;
    this.log.push(`fetch ${partition}`);
    for (const { key, value } of this.others.values()) {
      const isIn = Buffer.compare(key, lower) >= 0 && Buffer.compare(key, upper!) < 0;
      if (isIn && this.opened.store.getOrLost(key) === "lost") await this.put(key, value);
    }
    return true;
  }

  private async offer(key: Uint8Array, record: Uint8Array): Promise<void> {
    await Promise.resolve();
    const isLost = this.opened.store.getOrLost(key) === "lost";
    if (isLost && !this.collected.has(String(key))) await this.put(key, utf8Text(record)!);
  }

  /** `value`, `absent` or `lost`, as a replica that asks `covers` first. */
  read(key: Uint8Array): string {
    if (this.healer.covers(key)) return "lost";
    return this.stored(key);
  }

  stored(key: Uint8Array): string {
    try {
      const found = this.opened.store.get(key);
      return found === undefined ? "absent" : utf8Text(found.value)!;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      return "lost";
    }
  }

  lost(): string[] {
    return [...this.others.values()]
      .filter(({ key }) => this.read(key) === "lost")
      .map(({ value }) => value);
  }

  /** Flips a bit in a block of the newest table and reads until it is found. */
  async damage(offset = 40, table = this.tables().at(-1)!): Promise<void> {
    this.disk.damage.flipBit(table, 8 * offset);
    for (const { key } of this.others.values()) this.stored(key);
    await settle();
  }

  tables(): string[] {
    return this.disk.list("").filter((name) => parseFileName(name)?.kind === "table");
  }

  /** Lets time pass until nothing more happens. */
  async pass(byMs = 200_000): Promise<void> {
    for (let passedMs = 0; passedMs < byMs; passedMs += 500) {
      this.clock.advance(500);
      await Promise.resolve();
      if (passedMs % 5000 === 0) await settle();
    }
    await settle();
  }

  expectAll(): void {
    for (const { key, value } of this.others.values()) expect(this.read(key)).toBe(value);
  }
}

async function filled(): Promise<World> {
  const world = new World();
  await world.start();
  await world.fill();
  return world;
}

test("R12c: the incarnation is renewed in the turn in which damage is known, before anything is fetched or minted", async () => {
  const world = await filled();
  world.isReachable = false;
  await world.damage();
  expect(world.lost().length).toBeGreaterThan(1);
  expect(world.log[0]).toMatch(/^forgotten \d/);
  expect(world.log.filter((line) => line.startsWith("fetch"))).toEqual([]);
});

test("C13: what a damaged block held is fetched from the others, byte for byte, and the trees are built again", async () => {
  const world = await filled();
  await world.damage();
  await world.pass();
  world.expectAll();
  expect(world.healer.report()).toMatchObject({ state: "sound", lostRanges: 0 });
  expect(world.log.some((line) => line.startsWith("tree "))).toBe(true);
  expect(world.log.findIndex((line) => line.startsWith("tree"))).toBeGreaterThan(
    world.log.findIndex((line) => line.startsWith("fetch")),
  );
});

test("C13: while the others are away it is tried again and again, and only what is lost is not answered", async () => {
  const world = await filled();
  world.isReachable = false;
  await world.damage();
  const lost = world.lost();
  await world.pass(30_000);
  expect(world.lost()).toEqual(lost);
  expect(world.healer.report()).toMatchObject({ state: "waiting" });
  expect(lost.length).toBeLessThan(world.others.size);
  world.isReachable = true;
  await world.pass();
  world.expectAll();
});

test("C13: nobody is answered from a piece before all of it is healed, not even from what was merged into it already", async () => {
  const world = await filled();
  world.isReachable = false;
  await world.damage();
  const key = [...world.others.values()].find(({ key: each }) => world.read(each) === "lost")!.key;
  await world.put(key, "of the first exchange");
  expect(world.stored(key)).toBe("of the first exchange");
  expect(world.read(key)).toBe("lost");
});

/** Two names of partition 3 have older values below a table that is damaged in their block. */
async function withOlder(): Promise<{ world: World; kept: Uint8Array; dead: Uint8Array }> {
  const world = await filled();
  const [kept, dead] = [keyIn(3, "older-1"), keyIn(3, "older-2")];
  await world.put(kept, "only here");
  await world.put(dead, "deleted and collected");
  await world.opened.store.flush();
  await world.opened.store.compact();
  await world.opened.store.apply(new WriteBatch().delete(dead));
  await world.put(keyIn(3, "older-0"), "x");
  await world.put(keyIn(3, "older-3"), "x");
  await world.opened.store.flush();
  world.collected.add(String(dead));
  world.disk.damage.flipBit(world.tables().at(-1)!, 8 * 20);
  world.stored(keyIn(3, "older-0"));
  await settle();
  return { world, kept, dead };
}

test("R42: an older entry that was left is offered like a state from elsewhere: what only this node had stays", async () => {
  const { world, kept } = await withOlder();
  await world.pass();
  expect(world.healer.isSound).toBe(true);
  expect(world.read(kept)).toBe("only here");
});

test("R42: a deletion whose entry was lost does not come undone by the older value below it", async () => {
  const { world, dead } = await withOlder();
  await world.pass();
  expect(world.healer.isSound).toBe(true);
  expect(world.read(dead)).toBe("absent");
  await world.opened.store.compact();
  expect(world.read(dead)).toBe("absent");
});

test("row 80: with one copy there is nobody to ask: the keys stay lost, and never become absent", async () => {
  const world = await filled();
  world.isAlone = true;
  await world.damage();
  const before = world.lost();
  expect(before.length + world.opened.store.lostRanges.length).toBeGreaterThan(1);
  await world.pass();
  expect(world.healer.report()).toMatchObject({ state: "lost" });
  for (const { key, value } of world.others.values())
    expect(["lost", value]).toContain(world.stored(key));
  expect(world.log.filter((line) => line.startsWith("fetch"))).toEqual([]);
});

test("row 80: of a bucket with one copy the keys stay lost, the others of the partition are healed", async () => {
  const world = await filled();
  world.sole = [{ lower: keyIn(3, "key-14"), upper: keyIn(3, "key-17") }];
  await world.opened.store.compact();
  for (const table of world.tables()) world.disk.unlink(table);
  await world.opened.store.scrub();
  await world.pass();
  const lost = world.lost();
  expect(lost).toEqual(["3/key-14", "3/key-15", "3/key-16"]);
  expect(world.healer.report().state).toBe("lost");
});

test("row 81: all tables gone: every partition comes back, in key order, without ranges piling up", async () => {
  const world = await filled();
  for (const table of world.tables()) world.disk.unlink(table);
  await world.opened.store.scrub();
  await world.pass();
  world.expectAll();
  const fetched = world.log.filter((line) => line.startsWith("fetch"));
  expect(fetched).toEqual(Array.from({ length: Q }, (_, partition) => `fetch ${partition}`));
});

test("row 78: a flipped bit in the log: nothing is answered before it is healed, then everything, and it survives restarts in between", async () => {
  const world = await filled();
  await world.put(keyIn(1, "in the log"), "first");
  await world.put(keyIn(1, "behind it"), "second");
  await settle();
  const log = world.disk
    .list("")
    .find((name) => parseFileName(name)?.kind === "wal" && world.disk.sizeOf(name) > 100)!;
  world.disk.damage.flipBit(log, 8 * 110);
  world.isReachable = false;
  await world.restart();
  expect(world.lost()).toHaveLength(world.others.size);
  await world.pass(10_000);
  expect(world.lost()).toHaveLength(world.others.size);
  world.isReachable = true;
  await world.restart();
  await world.pass();
  world.expectAll();
  // Nobody else had it, and its record verified.
  expect(world.read(keyIn(1, "behind it"))).toBe("second");
  expect(world.healer.isSound).toBe(true);
});

test("what the node keeps for itself is restored before its part is healed; what is not written again is gone or stays, as its keeper wants", async () => {
  const world = new World();
  let isReady = false;
  const rangeOf = (name: string): { start: Uint8Array; end: Uint8Array } => ({
    start: systemKey(name),
    end: systemKey(`${name}~`),
  });
  world.ownKeys = [
    {
      ...rangeOf("facts/"),
      keepsOld: false,
      restore: async () => {
        if (isReady) await world.put(systemKey("facts/1"), "from memory");
        return isReady;
      },
    },
    { ...rangeOf("notes/"), keepsOld: true, restore: () => Promise.resolve(true) },
  ];
  await world.start();
  for (const name of ["facts/1", "facts/2", "notes/1"]) await world.put(systemKey(name), "older");
  await world.opened.store.flush();
  await world.opened.store.compact();
  for (const name of ["facts/0", "facts/3", "notes/2"]) await world.put(systemKey(name), "newer");
  await world.opened.store.flush();
  world.disk.unlink(world.tables().at(-1)!);
  await world.opened.store.scrub();
  await world.pass(10_000);
  expect(world.healer.isSound).toBe(false);
  isReady = true;
  await world.pass();
  expect(world.healer.isSound).toBe(true);
  expect(world.stored(systemKey("facts/1"))).toBe("from memory");
  expect(world.stored(systemKey("facts/2"))).toBe("absent");
  expect(world.stored(systemKey("notes/1"))).toBe("older");
});

test("a partition that this node does not hold any more is not fetched, and what was left of it goes", async () => {
  const world = await filled();
  world.own = new Set([0, 1]);
  for (const table of world.tables()) world.disk.unlink(table);
  await world.opened.store.scrub();
  await world.pass();
  expect(world.log.filter((line) => line.startsWith("fetch"))).toEqual(["fetch 0", "fetch 1"]);
  expect(world.read(keyIn(1, NAMES[0]!))).toBe(`1/${NAMES[0]}`);
  expect(world.read(keyIn(5, NAMES[0]!))).toBe("absent");
});

test("damage to what was healed a moment ago is healed again", async () => {
  const world = await filled();
  for (let round = 0; round < 5; round++) {
    await world.opened.store.flush();
    await world.damage(40 + round * 7);
    await world.pass(30_000);
    expect(world.healer.isSound).toBe(true);
    world.expectAll();
  }
});

test("row 84: an error while older entries are settled postpones the piece, and nothing of it is answered", async () => {
  const { world, kept } = await withOlder();
  const { offer } = { offer: world["offer"].bind(world) };
  let failures = 3;
  world["offer"] = async (key, record) => {
    if (failures-- > 0) throw new HutchError("unavailable", "Cannot ask the other owners");
    return offer(key, record);
  };
  await world.pass(500);
  await world.pass();
  expect(world.healer.isSound).toBe(true);
  expect(world.read(kept)).toBe("only here");
});

test("C24: a scrub on request finds damage that nobody has read, heals it and says so; with nobody to ask it fails", async () => {
  const world = await filled();
  const upkeep = scrubUpkeep(world.opened.store, world.healer);
  const told: number[] = [];
  expect(await upkeep.run((progress) => told.push(progress))).toContain("0 damaged");
  world.disk.damage.flipBit(world.tables().at(-1)!, 8 * 40);
  expect(await upkeep.run((progress) => told.push(progress))).toContain("1 damaged and healed");
  world.expectAll();
  expect(told.every((progress) => progress >= 0 && progress <= 1)).toBe(true);
  expect(upkeep.report()).toMatchObject({ state: "sound", damaged: 1, lostRanges: 0 });
  world.isAlone = true;
  world.disk.damage.flipBit(world.tables().at(-1)!, 8 * 40);
  await expect(upkeep.run(() => undefined)).rejects.toThrow("no other node has a copy");
});

test("piecesOf() covers every lost range without a gap", () => {
  const range = { start: keyIn(2, "m"), end: keyIn(5, "c"), sequenceMax: 9 };
  const pieces = piecesOf([range], Q, () => []);
  expect(pieces.map(({ kind, partition }) => `${kind} ${partition}`)).toEqual([
    "data 2",
    "own 3",
    "data 3",
    "own 4",
    "data 4",
    "own 5",
    "data 5",
  ]);
  expect(pieces[0]!.range.start).toEqual(range.start);
  expect(pieces.at(-1)!.range.end).toEqual(range.end);
  for (let i = 1; i < pieces.length; i++)
    expect(pieces[i]!.range.start).toEqual(pieces[i - 1]!.range.end);
});
