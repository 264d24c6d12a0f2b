/** The trees of a node are as its store is: through writes, rebuilds, crashes and damage. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import { CorruptionError } from "../../src/base/errors.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { BucketCopies } from "../../src/cluster/bucket-copies.ts";
import { Buckets } from "../../src/cluster/bucket-properties.ts";
import { hintKey } from "../../src/cluster/hint-format.ts";
import {
  LIFETIME_MS,
  LIFETIME_SPREAD_MS,
  SAVE_INTERVAL_MS,
} from "../../src/cluster/merkle-index.ts";
import { RETRY_MS } from "../../src/cluster/merkle-rebuild.ts";
import {
  decodeForest,
  encodeForest,
  markKey,
  touchesMerkle,
  treeKey,
} from "../../src/cluster/merkle-store.ts";
import { type ReplicaStore, systemKey } from "../../src/cluster/replica-store.ts";
import { MerkleForest } from "../../src/merkle/merkle-forest.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { B, settled } from "../support/hint-world.ts";
import { ALL, MerkleWorld, Q, keyIn } from "../support/merkle-world.ts";
import { codeOf } from "../support/one-node.ts";

const expectExact = (world: MerkleWorld): void => expect(world.trees()).toBe(world.expected());
const rootsOf = (world: MerkleWorld): string =>
  ALL.map((partition) => world.index.root(partition, 3).join("-")).join(" ");

/** Lets `rest` wait until the test says so. */
class Gate {
  private waiting: (() => void)[] = [];
  readonly rest = (): Promise<void> => new Promise((resolve) => this.waiting.push(resolve));

  get isClosedOnSomebody(): boolean {
    return this.waiting.length > 0;
  }

  async open(): Promise<void> {
    for (const resolve of this.waiting.splice(0)) resolve();
    await settled();
  }
}

describe("MerkleIndex.changing()", () => {
  test("R37: the trees are as a scan of the store, whatever was written, overwritten and deleted", async () => {
    const step = fc.record({
      partition: fc.integer({ min: 0, max: 3 }),
      name: fc.integer({ min: 0, max: 12 }),
      bucket: fc.constantFrom("demo", "two"),
      record: fc.option(fc.uint8Array({ minLength: 1, maxLength: 700 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = await MerkleWorld.start();
        for (const { partition, name, bucket, record } of steps)
          await world.write(keyIn(partition, `${name}`, bucket), record);
        expectExact(world);
        await world.index.rebuild(1, "test");
        expectExact(world);
      }),
      { numRuns: 25 },
    );
  });

  test("R36: nodes with equal records have equal trees, in whatever order they were written", async () => {
    const [a, b] = [await MerkleWorld.start(), await MerkleWorld.start()];
    const names = Array.from({ length: 60 }, (_, i) => i);
    for (const i of names) await a.write(keyIn(i % Q, `${i}`), utf8(`v${i}`));
    for (const i of names.toReversed()) {
      await b.write(keyIn(i % Q, `${i}`), utf8("an older state"));
      await b.write(keyIn(i % Q, `${i}`), utf8(`v${i}`));
    }
    expect(rootsOf(a)).toBe(rootsOf(b));
    await b.write(keyIn(7, "7"), utf8("another"));
    const differing = ALL.filter((p) => a.index.root(p, 3).join() !== b.index.root(p, 3).join());
    expect(differing).toEqual([7]);
    const leaf = a.index.leafOf(keyIn(7, "7"));
    const perBranch = a.index.leafCount / 64;
    const branch = Math.floor(leaf / perBranch);
    const [ofA, ofB] = [a.index.leaves(7, 3, branch), b.index.leaves(7, 3, branch)];
    const differs = [...ofA.keys()].filter((at) => ofA[at] !== ofB[at]);
    expect(new Set(differs.map((at) => at >> 1))).toEqual(new Set([leaf % perBranch]));
  });

  test("R37: an entry hash is what the tree has of a key", async () => {
    const world = await MerkleWorld.start();
    await world.write(keyIn(3, "k"), utf8("v"));
    expect([...world.index.root(3, 3)]).toEqual([
      ...world.index.entryHash(keyIn(3, "k"), utf8("v")),
    ]);
  });

  test("R38: buckets with different numbers of copies are in different trees", async () => {
    const world = await MerkleWorld.start();
    await world.write(keyIn(5, "k", "two"), utf8("v"));
    expect(world.index.trees()).toEqual([{ partition: 5, n: 2 }]);
    expect([...world.index.root(5, 3)]).toEqual([0, 0]);
    expect([...world.index.root(5, 2)]).not.toEqual([0, 0]);
  });

  test("what is the node's own is in no tree", async () => {
    const world = await MerkleWorld.start();
    const own = new WriteBatch()
      .put(systemKey("layout"), utf8("x"))
      .put(hintKey(B, keyIn(0, "k")), utf8("x"))
      .put(new Uint8Array([0, 0, 2, 9]), utf8("x"));
    await world.store.apply(own);
    await world.index.rebuild(0, "test");
    expect(world.trees()).toBe("");
  });

  test("a batch that the disk took back is taken out by building its tree again", async () => {
    const world = await MerkleWorld.start();
    await world.fill(40);
    world.disk.faults.quotaBytes = 1;
    expect(await codeOf(world.write(keyIn(2, "refused"), utf8("v")))).toBe("disk-full");
    world.disk.faults.quotaBytes = Infinity;
    await world.idle();
    expectExact(world);
    await world.write(keyIn(2, "taken"), utf8("v"));
    expectExact(world);
  });
});

describe("MerkleIndex.save()", () => {
  test("R37: after a clean stop every tree is loaded, and none is built", async () => {
    const first = await MerkleWorld.start();
    await first.fill(100);
    await first.write(keyIn(4, "k", "two"), utf8("v"));
    const next = await first.restart("clean");
    expect(next.ready()).toEqual(ALL);
    expectExact(next);
    next.index.start(ALL);
    await next.idle();
    expect(next.index.rebuildCounters.built).toBe(0);
    expect(next.index.counters.loaded).toBe(Q);
  });

  test("R37: after a crash exactly the trees that changed since they were saved are built again", async () => {
    const first = await MerkleWorld.start();
    await first.fill(100);
    await first.index.save();
    await first.write(keyIn(3, "late"), utf8("v"));
    const next = await first.restart("power-loss");
    expect(next.ready()).toEqual(ALL.filter((partition) => partition !== 3));
    next.index.start(ALL);
    await next.idle();
    expect(next.index.rebuildCounters.built).toBe(1);
    expect(next.ready()).toEqual(ALL);
    expectExact(next);
  });

  test("R37: the mark of a tree that changes is in the batch of the first change, and in no later one", async () => {
    const world = await MerkleWorld.start();
    await world.write(keyIn(3, "a"), utf8("v"));
    await world.index.save();
    expect(world.store.get(markKey(3))).toBeUndefined();
    const marks: number[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      const batch = new WriteBatch().put(keyIn(3, name), utf8("w"));
      const before = world.store.get(keyIn(3, name))?.value;
      world.index.changing(batch, 3, 3, keyIn(3, name), before, utf8("w"));
      marks.push(batch.count - 1);
      await world.store.apply(batch);
    }
    expect(marks).toEqual([1, 0, 0, 0]);
  });

  test("R37: a batch with many records of a partition has one mark", async () => {
    const world = await MerkleWorld.start();
    await world.index.save();
    const batch = new WriteBatch();
    for (const name of ["a", "b", "c"])
      world.index.changing(batch, 3, 3, keyIn(3, name), undefined, utf8("v"));
    expect(batch.count).toBe(1);
  });

  test("R37: a tree that was saved between a change and its refusal is not believed", async () => {
    const world = await MerkleWorld.start();
    world.index.changing(new WriteBatch(), 3, 3, keyIn(3, "a"), undefined, utf8("v"));
    await world.index.save();
    world.index.takenBack(3);
    await world.store.apply(new WriteBatch().put(keyIn(4, "sync"), utf8("v")));
    expect((await world.restart("power-loss")).index.isReady(3)).toBe(false);
  });

  test("R37: a mark that the disk may still take back is said again", async () => {
    const world = await MerkleWorld.start();
    await world.write(keyIn(3, "a"), utf8("v"));
    await world.index.save();
    world.disk.faults.quotaBytes = 1;
    const refused = codeOf(world.write(keyIn(3, "b"), utf8("v")));
    expect(await refused).toBe("disk-full");
    world.disk.faults.quotaBytes = Infinity;
    await world.write(keyIn(3, "c"), utf8("v"));
    const next = await world.restart("power-loss", { store: {} });
    for (const partition of next.ready())
      expect(next.trees([partition])).toBe(next.expected([partition]));
  });

  test("only what changed is saved, from time to time", async () => {
    const world = await MerkleWorld.start();
    await world.fill(40);
    world.clock.advance(2 * SAVE_INTERVAL_MS);
    await settled();
    const { saved } = world.index.counters;
    await world.write(keyIn(9, "k"), utf8("v"));
    world.clock.advance(2 * SAVE_INTERVAL_MS);
    await settled();
    expect(world.index.counters.saved).toBe(saved + 1);
    expect((await world.restart("power-loss")).ready()).toEqual(ALL);
  });

  test("a save that the disk refuses is tried again", async () => {
    const wrap = (store: ReplicaStore): ReplicaStore =>
      Object.assign(Object.create(store) as ReplicaStore, { admit: () => undefined });
    const world = await MerkleWorld.start({ wrap });
    await world.fill(40);
    world.disk.faults.quotaBytes = 1;
    await world.index.save();
    world.disk.faults.quotaBytes = Infinity;
    await world.write(keyIn(1, "k"), utf8("v"));
    await world.index.save();
    const next = await world.restart("power-loss");
    expect(next.ready()).toEqual(ALL);
    expectExact(next);
  });

  test("trees that were made under another secret, or for other numbers of copies, are not loaded", async () => {
    const first = await MerkleWorld.start();
    await first.fill(20);
    await first.index.close();
    const { disk } = first;
    const asBefore = await first.restart("clean");
    expect(asBefore.ready()).toEqual(ALL);
    await asBefore.opened.close();
    const foreign = await MerkleWorld.open({ disk, secret: new Uint8Array(16).fill(8) });
    expect(foreign.ready()).toEqual([]);
    await foreign.opened.close();
    const { copies } = first;
    copies.set("demo", 5);
    const changed = await MerkleWorld.open({ disk, copies });
    expect(changed.ready()).toEqual([]);
  });

  test("a saved tree that is damaged is built again", async () => {
    const first = await MerkleWorld.start();
    await first.fill(40);
    await first.index.close();
    await first.store.apply(new WriteBatch().put(treeKey(6), new Uint8Array([1, 2, 3])));
    const next = await first.restart("power-loss");
    expect(next.ready()).toEqual(ALL.filter((partition) => partition !== 6));
    next.index.start(ALL);
    await next.idle();
    expectExact(next);
    expect((await next.restart("power-loss")).ready()).toEqual(ALL);
  });

  test("where marks may have been lost nothing saved is believed", async () => {
    const first = await MerkleWorld.start();
    await first.fill(40);
    const lost = { start: systemKey("merkle/b"), end: systemKey("merkle/c"), sequenceMax: 1e9 };
    const next = await first.restart("clean", {
      wrap: (store) => losing(store, [lost]),
    });
    expect(next.ready()).toEqual([]);
    next.index.start(ALL);
    await next.idle();
    expectExact(next);
    expect(touchesMerkle(lost)).toBe(true);
  });

  test("a tree of which part of the partition was lost is made of what can be read", async () => {
    const first = await MerkleWorld.start();
    await first.fill(64);
    const lost = { start: keyIn(3, "1"), end: keyIn(3, "4"), sequenceMax: 1e9 };
    const next = await first.restart("clean", { wrap: (store) => losing(store, [lost]) });
    expect(next.ready()).toEqual(ALL.filter((partition) => partition !== 3));
  });

  test("saved trees and marks stay in compaction, and are no records of a bucket", () => {
    const retain = retainEntries({ nowMs: 1e15, collectBeforeMs: 1e15 });
    for (const key of [treeKey(0xffff), markKey(0xffff)]) {
      expect(retain(key, 0, key.length, new Uint8Array(1), 0, 1)).toBe(true);
      expect([...key.subarray(0, 3)]).toEqual([0, 0, 1]);
    }
  });

  test("a saved forest decodes to what it was, and nothing else does", () => {
    const toggle = fc.tuple(
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 0, max: 63 }),
      fc.integer({ min: 0, max: 0xffffffff }),
    );
    fc.assert(
      fc.property(fc.array(toggle), fc.nat(), (toggles, cut) => {
        const forest = new MerkleForest(64);
        for (const [copies, leaf, word] of toggles) forest.toggle(copies, leaf, word, word ^ 5);
        const bytes = encodeForest(77, { forest, builtAtMs: 1234 });
        const saved = decodeForest(bytes, 64, 77)!;
        expect(saved.builtAtMs).toBe(1234);
        expect(encodeForest(77, saved)).toEqual(bytes);
        expect(decodeForest(bytes, 64, 78)).toBeUndefined();
        expect(decodeForest(bytes.subarray(0, cut % bytes.length), 64, 77)).toBeUndefined();
      }),
    );
  });
});

test("a saved forest of more trees than there can be is as good as none", () => {
  const forest = (count: number): Uint8Array => {
    const made = new MerkleForest(64);
    for (let copies = 1; copies <= count; copies++) made.toggle(copies, 0, copies, copies);
    return encodeForest(77, { forest: made, builtAtMs: 1234 });
  };
  expect(decodeForest(forest(256), 64, 77)?.forest.trees.size).toBe(256);
  expect(decodeForest(forest(257), 64, 77)).toBeUndefined();
});

/** A store in which some ranges are lost. */
function losing(
  store: ReplicaStore,
  lostRanges: ReturnType<ReplicaStore["snapshot"]>["lostRanges"],
): ReplicaStore {
  return Object.assign(Object.create(store) as ReplicaStore, {
    snapshot: () => {
      const snapshot = store.snapshot();
      Object.defineProperty(snapshot, "lostRanges", { value: lostRanges });
      return snapshot;
    },
  });
}

describe("MerkleIndex.rebuild()", () => {
  test("R37: writes go on while a tree is built, on both sides of the cursor, and the old tree serves", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    const names = Array.from({ length: 3600 }, (_, i) => String(i).padStart(4, "0"));
    for (const name of names) void world.write(keyIn(2, name), utf8(`v${name}`));
    const next = await world.restart("clean", { rest: gate.rest });
    next.index.start(ALL);
    expect(next.ready()).toEqual(ALL);
    const rebuilt = next.index.rebuild(2, "test");
    let turns = 0;
    for (; gate.isClosedOnSomebody; turns++) {
      for (const at of [5, 1000, 1030, 2000, 2500, 3590])
        await next.write(keyIn(2, names[at]!), turns % 2 === 0 ? utf8(`w${turns}`) : undefined);
      await next.write(keyIn(2, `new${turns}`), utf8("v"));
      expect(next.index.isReady(2)).toBe(true);
      expectExact(next);
      await gate.open();
    }
    await rebuilt;
    expect(turns).toBe(4);
    expect(next.index.rebuildCounters.built).toBe(1);
    expectExact(next);
  });

  test("R37: a tree that was wrong is right afterwards, also after a crash in the middle", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    await world.fill(32);
    const spoil = (it: MerkleWorld): void =>
      it.index.changing(new WriteBatch(), 5, 3, keyIn(5, "ghost"), undefined, utf8("v"));
    spoil(world);
    await world.index.save(); // a wrong tree, saved as a right one
    const next = await world.restart("power-loss", { rest: gate.rest });
    expect(next.ready()).toEqual(ALL);
    expect(next.trees()).not.toBe(next.expected());
    next.index.start(ALL);
    void next.index.rebuild(5, "test");
    await settled();
    expect(gate.isClosedOnSomebody).toBe(true);
    const last = await next.restart("power-loss", { rest: () => Promise.resolve() });
    expect(last.ready()).toEqual(ALL.filter((partition) => partition !== 5));
    last.index.start(ALL);
    await last.idle();
    expectExact(last);
  });

  test("a request during a scan begins another, and both are answered by the second", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    await world.fill(32);
    const next = await world.restart("clean", { rest: gate.rest });
    next.index.start(ALL);
    const first = next.index.rebuild(1, "first");
    await settled();
    const second = next.index.rebuild(1, "second");
    while (gate.isClosedOnSomebody) await gate.open();
    await Promise.all([first, second]);
    expect(next.index.rebuildCounters).toMatchObject({ built: 1, keysScanned: 4 });
  });

  test("one partition after the other, each waiting once however often it was asked for", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    const next = await world.restart("clean", { rest: gate.rest });
    next.index.start(ALL);
    for (let i = 0; i < 5; i++) next.index.rebuildAll("test");
    expect(next.index.pendingRebuilds).toBeLessThanOrEqual(Q + 1);
    for (let i = 0; gate.isClosedOnSomebody; i++) await gate.open();
    expect(next.index.rebuildCounters.built).toBe(Q);
  });

  test("damage in the way is tried again later; the tree is not ready until then", async () => {
    let isDamaged = false;
    const wrap = (store: ReplicaStore): ReplicaStore =>
      Object.assign(Object.create(store) as ReplicaStore, {
        snapshot: () => {
          if (isDamaged) throw new CorruptionError("Cannot read block: damaged", "", -1);
          return store.snapshot();
        },
      });
    const world = await MerkleWorld.open({ wrap });
    isDamaged = true;
    world.index.start(ALL);
    expect(await codeOf(world.index.rebuild(3, "test"))).toBe("data-corrupt");
    await settled();
    expect(world.ready()).toEqual([]);
    isDamaged = false;
    world.clock.advance(RETRY_MS);
    await world.idle();
    expect(world.ready()).toEqual(ALL);
  });

  test("R37: every tree is built again after two weeks, not all at once", async () => {
    const world = await MerkleWorld.start();
    await world.fill(32);
    const { built } = world.index.rebuildCounters;
    const passed = async (ms: number): Promise<number> => {
      for (let at = 0; at < ms; at += SAVE_INTERVAL_MS * 36) {
        world.clock.advance(SAVE_INTERVAL_MS * 36);
        await settled();
      }
      return world.index.rebuildCounters.built - built;
    };
    expect(await passed(LIFETIME_MS - 86_400_000)).toBe(0);
    const some = await passed(86_400_000 + LIFETIME_SPREAD_MS / 2);
    expect(some).toBeGreaterThan(1);
    expect(some).toBeLessThan(Q - 1);
    expect(await passed(LIFETIME_SPREAD_MS)).toBe(Q);
  });

  test("R38: a bucket with another number of copies moves into another tree", async () => {
    const world = await MerkleWorld.start();
    await world.fill(64);
    world.copies.set("demo", 5);
    world.index.bucketsChanged();
    await world.write(keyIn(3, "3"), utf8("during"));
    await world.idle();
    expectExact(world);
    expect([...world.index.root(3, 3)]).toEqual([0, 0]);
    world.index.bucketsChanged();
    expect(world.index.pendingRebuilds).toBe(0);
  });

  test("after damage only the partitions that it touched are built again", async () => {
    const world = await MerkleWorld.start();
    await world.fill(64);
    const { built } = world.index.rebuildCounters;
    world.index.damaged([{ start: keyIn(3, "x"), end: keyIn(5, "a"), sequenceMax: 9 }]);
    await world.idle();
    expect(world.index.rebuildCounters.built).toBe(built + 3);
    world.index.damaged([{ start: systemKey("a"), end: systemKey("z"), sequenceMax: 9 }]);
    await world.idle();
    expect(world.index.rebuildCounters.built).toBe(built + 3 + Q);
    expectExact(world);
  });

  test("close() ends what is under way, and what waits is told", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    await world.fill(32);
    const next = await world.restart("clean", { rest: gate.rest });
    next.index.start(ALL);
    const outcomes = [codeOf(next.index.rebuild(1, "test")), codeOf(next.index.rebuild(2, "test"))];
    await settled();
    const closed = next.index.close();
    await gate.open();
    await closed;
    expect(await Promise.all(outcomes)).toEqual(["shutting-down", "shutting-down"]);
    expect(await codeOf(next.index.rebuild(3, "test"))).toBe("shutting-down");
    const last = await next.restart("clean");
    expect(last.ready()).toEqual(ALL.filter((p) => ![1, 2, 3].includes(p)));
  });
});

describe("MerkleIndex.forget()", () => {
  test("R38: what a node holds no more is gone from memory and disk; the other trees stay as they are", async () => {
    const world = await MerkleWorld.start();
    await world.fill(32);
    await world.index.save();
    const before = rootsOf(world);
    world.index.forget(3);
    expect(world.index.isReady(3)).toBe(false);
    expect([...world.index.root(3, 3)]).toEqual([0, 0]);
    await settled();
    expect(world.store.get(treeKey(3))).toBeUndefined();
    world.index.hold(3);
    await world.idle();
    expect(rootsOf(world)).toBe(before);
  });

  test("a partition that is forgotten while it is built is not built", async () => {
    const gate = new Gate();
    const world = await MerkleWorld.start();
    await world.fill(32);
    const next = await world.restart("clean", { rest: gate.rest });
    next.index.start(ALL);
    const rebuilt = next.index.rebuild(3, "test");
    await settled();
    next.index.forget(3);
    await gate.open();
    await rebuilt;
    expect(next.ready()).toEqual(ALL.filter((partition) => partition !== 3));
  });

  test("what was left of partitions that are not held is forgotten at the start", async () => {
    const world = await MerkleWorld.start();
    await world.fill(32);
    await world.index.save();
    await world.write(keyIn(9, "late"), utf8("v"));
    const next = await world.restart("power-loss");
    next.index.start(ALL.slice(0, 8));
    await next.idle();
    expect(next.ready()).toEqual(ALL.slice(0, 8));
    for (const partition of ALL)
      expect(next.store.get(treeKey(partition)) !== undefined).toBe(partition < 8);
    expect(next.store.get(markKey(9))).toBeUndefined();
  });

  test("a record of a partition that nobody announced begins its tree", async () => {
    const world = await MerkleWorld.open();
    world.index.start([]);
    await world.write(keyIn(3, "k"), utf8("v"));
    await world.idle();
    expect(world.ready()).toEqual([3]);
    expectExact(world);
  });
});

describe("BucketCopies", () => {
  test("its version changes with the number of copies of a bucket and with nothing else", async () => {
    const world = await MerkleWorld.open();
    let hlc = 1;
    const buckets = new Buckets(world.store, () => ({ hlc: hlc++, node: B }));
    const copies = new BucketCopies(buckets);
    const first = copies.version();
    await buckets.set("demo", "patch", { siblingsMax: 7 });
    await buckets.set("other", "patch", { n: 3 });
    expect(copies.version()).toBe(first);
    await buckets.set("demo", "patch", { n: 5 });
    const second = copies.version();
    expect(second).not.toBe(first);
    expect(copies.copiesOf("demo")).toBe(5);
    expect(copies.copiesOf("never seen")).toBe(3);
    expect(new BucketCopies(new Buckets(world.store)).version()).toBe(second);
    await buckets.delete("demo");
    expect(copies.version()).toBe(first);
  });
});
