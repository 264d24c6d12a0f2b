/**
 * The name under which a fallback mints (D6, R12). Invariants:
 *
 *   - once a hint has gone, no later dot is given under the same name: the name of what was handed over is never used again
 *   - no name is used before the lease that holds it is on disk, so no restart can use it again
 *   - no name can be one of the node's own copy
 *   - a lease that damage took does not bring names back
 */
import { afterEach, expect, test } from "bun:test";
import { CorruptionError } from "../../src/base/errors.ts";
import { incarnationOf } from "../../src/causality/actor.ts";
import { FallbackActor } from "../../src/cluster/fallback-actor.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { type ManyNode, ManyNodes } from "../support/many-nodes.ts";

const ID = new Uint8Array(8).fill(1);
const LEASE = 1024;
const nowMs = (): number => 1_770_000_000_000;
let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(): Promise<ManyNode> {
  cluster = await ManyNodes.start(1);
  return cluster.nodes[0]!;
}

test("a name stays while no hint goes, and is new after each one that went", async () => {
  const { store } = (await start()).opened;
  let removals = 0;
  const actors = new FallbackActor(store, ID, nowMs, () => removals);
  await actors.prepare();
  const first = actors.take();
  expect(actors.take()).toBe(first);
  removals++;
  const second = actors.take();
  expect(second).not.toBe(first);
  expect(actors.take()).toBe(second);
});

test("names have the highest bit, which no incarnation of the node itself has", async () => {
  const { store } = (await start()).opened;
  const actors = new FallbackActor(store, ID, nowMs, () => 0);
  await actors.prepare();
  expect(incarnationOf(actors.take())).toBeGreaterThanOrEqual(0x80000000);
});

test("R12: no name comes again after a restart, whatever was used of the lease", async () => {
  const node = await start();
  const seen = new Set<string>();
  for (let life = 0; life < 5; life++) {
    let removals = 0;
    const actors = new FallbackActor(node.opened.store, ID, nowMs, () => removals++);
    for (let i = 0; i < 3; i++) {
      await actors.prepare();
      const actor = actors.take();
      expect(seen.has(actor)).toBe(false);
      seen.add(actor);
    }
    await node.restart();
  }
});

test("a lease is on disk before the first name of it is used, and only then", async () => {
  const { store } = (await start()).opened;
  let release!: () => void;
  const slow: ReplicaStore = {
    failure: undefined,
    admit: () => undefined,
    get: (key) => store.get(key),
    whenDurable: (sequence) => store.whenDurable(sequence),
    snapshot: () => store.snapshot(),
    reportDamage: () => undefined,
    apply: (batch) =>
      new Promise((resolve) => (release = () => void store.apply(batch).then(resolve))),
  };
  const actors = new FallbackActor(slow, ID, nowMs, () => 0);
  let isReady = false;
  const prepared = actors.prepare()!.then(() => (isReady = true));
  expect(actors.prepare()).toBeDefined();
  await Promise.resolve();
  expect(isReady).toBe(false);
  release();
  await prepared;
  expect(actors.prepare()).toBeUndefined();
});

test("a lease that is used up is renewed before the next name", async () => {
  const { store } = (await start()).opened;
  let removals = 0;
  const actors = new FallbackActor(store, ID, nowMs, () => removals++);
  const seen = new Set<string>();
  let renewals = 0;
  for (let i = 0; i < LEASE + 10; i++) {
    const lease = actors.prepare();
    if (lease !== undefined) renewals++;
    await lease;
    seen.add(actors.take());
  }
  expect(seen.size).toBe(LEASE + 10);
  expect(renewals).toBe(2);
});

test("a renewal that the disk refuses is tried again", async () => {
  const { store } = (await start()).opened;
  let mustFail = true;
  const faulty: ReplicaStore = {
    failure: undefined,
    admit: () => undefined,
    get: (key) => store.get(key),
    whenDurable: (sequence) => store.whenDurable(sequence),
    snapshot: () => store.snapshot(),
    reportDamage: () => undefined,
    apply: (batch) => (mustFail ? Promise.reject(new Error("full")) : store.apply(batch)),
  };
  const actors = new FallbackActor(faulty, ID, nowMs, () => 0);
  expect(actors.prepare()).rejects.toThrow("full");
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  mustFail = false;
  await actors.prepare();
  expect(actors.prepare()).toBeUndefined();
});

test("R12: where the lease is lost with a table, names go on above all that were used", async () => {
  const { store } = (await start()).opened;
  const before = new FallbackActor(store, ID, nowMs, () => 0);
  await before.prepare();
  const damaged: ReplicaStore = {
    failure: undefined,
    admit: () => undefined,
    get: () => {
      throw new CorruptionError("Cannot read block", "000001.sst", 0);
    },
    whenDurable: () => undefined,
    snapshot: () => store.snapshot(),
    reportDamage: () => undefined,
    apply: (batch) => store.apply(batch),
  };
  const after = new FallbackActor(damaged, ID, nowMs, () => 0);
  await after.prepare();
  expect(incarnationOf(after.take())).toBeGreaterThan(incarnationOf(before.take()) + LEASE);
});

test("R9, R12: a fallback that restarts mints under another name", async () => {
  cluster = await ManyNodes.start(4);
  const [a, b, c, d] = cluster.walk("k");
  cluster.down(a!, b!, c!);
  await cluster.run(d!.put("k", "1", { level: "ONE" }));
  await cluster.run(d!.restart());
  cluster.down(a!, b!, c!);
  await cluster.run(d!.put("k", "2", { level: "ONE" }));
  const held = d!.hints.read(cluster.address("k").internalKey)!.record;
  expect(held.length).toBe(2);
  expect(d!.hinted("k")).toEqual(["2"]);
});
