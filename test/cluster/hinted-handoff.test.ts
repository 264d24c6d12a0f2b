/** Hints reach the nodes that are back: all of them, not too fast, and none is forgotten on the way. */
import { expect, test } from "bun:test";
import { DIRTY_KEYS_MAX } from "../../src/cluster/hint-dirty-keys.ts";
import { PeerError, type PeerReply } from "../../src/cluster/peer-messages.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import {
  B,
  C,
  D,
  DELAY_MS,
  GENERATION,
  HOUR,
  HintWorld,
  SELF,
  keyOf,
  settled,
  stateOf,
} from "../support/hint-world.ts";
import { codeOf } from "../support/one-node.ts";

const LATEST_START_MS = DELAY_MS * 1.2 + 1000;
const TIMEOUT = new PeerError("unknown", "timeout", B);

function failed(code: "overloaded" | "clock-skew"): PeerReply {
  return { kind: "failed", code, message: "", retry: "safe", data: {} };
}

async function filled(count: number, valueBytes = 10): Promise<HintWorld> {
  const world = await HintWorld.start();
  for (let i = 0; i < count; i++) await world.add(`k${1000 + i}`, "v".repeat(valueBytes));
  return world;
}

/** The names of the keys that were sent, in order. */
const sent = (world: HintWorld): string[] =>
  world.peers.calls.map(({ message }) => Buffer.from(message.internalKey.subarray(7)).toString());

test("R29: hints of an earlier life are delivered without a request coming by", async () => {
  const first = await filled(3);
  const world = await first.restart();
  await world.pass(10_000);
  expect(world.peers.calls).toEqual([]);
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  expect(sent(world)).toEqual(["k1000", "k1001", "k1002"]);
  expect(world.peers.valuesAt(B, "k1001")).toBe("v".repeat(10));
  expect(world.held()).toBe(0);
  const last = await world.restart();
  expect(last.held()).toBe(0);
});

test("a hint goes as a merge with its side entries, and not again", async () => {
  const world = await HintWorld.start();
  const side = { key: new Uint8Array([0, 7, 2, 1]), value: new Uint8Array([1]) };
  await world.hints.add(B, keyOf("k"), stateOf("v"), side);
  await world.hints.add(B, keyOf("k"), stateOf("w", 2), {
    ...side,
    key: side.key.map((x) => x + 1),
  });
  world.set(B, "alive");
  await world.pass(60_000);
  expect(world.peers.calls.map(({ message }) => message.side?.key[3])).toEqual([1, 2]);
  expect(world.peers.calls[0]!.message).toMatchObject({ purpose: "handoff", isConditional: false });
  expect(world.handoff.counters).toMatchObject({ delivered: 1, failed: 0 });
});

test("R30: nothing is sent before the target has been up for a while, give or take 20 %", async () => {
  const world = await filled(1);
  world.set(B, "alive");
  await world.pass(DELAY_MS * 0.8 - 1);
  expect(world.peers.calls).toHaveLength(0);
  await world.pass(DELAY_MS * 0.4 + 1);
  expect(world.peers.calls).toHaveLength(1);
});

test("R30: 1 MiB a second to one target from all nodes together", async () => {
  const world = await filled(120, 10_000);
  world.set(C, "alive");
  world.set(B, "alive");
  await world.pass(DELAY_MS * 1.2);
  const before = world.peers.calls.length;
  await world.pass(1000, 20);
  // Two nodes besides the target are up, so this one may send half.
  const bytes = (world.peers.calls.length - before) * 10_000;
  expect(bytes).toBeGreaterThan(0.45 * 1024 * 1024);
  expect(bytes).toBeLessThan(0.6 * 1024 * 1024);
});

test("R30: at most 128 are under way, to all targets together", async () => {
  const world = await filled(150);
  for (let i = 0; i < 150; i++) await world.add(`c${i}`, "v", 1, C);
  world.peers.answer = () => new Promise(() => undefined);
  world.set(B, "alive");
  world.set(C, "alive");
  await world.pass(20_000);
  expect(world.peers.inFlight).toBe(128);
});

test("N8: a hint is deleted only when the target has acknowledged it", async () => {
  const world = await filled(1);
  let acknowledge = (): void => undefined;
  world.peers.answer = () =>
    new Promise((resolve) => {
      acknowledge = () => resolve({ kind: "stored", isDurable: true });
    });
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  expect(world.peers.calls).toHaveLength(1);
  expect(world.held()).toBe(1);
  acknowledge();
  await settled();
  expect(world.held()).toBe(0);
});

test("a target that does not answer is left in peace for longer and longer, and gets all in the end", async () => {
  const world = await filled(200);
  world.peers.answer = () => Promise.reject(TIMEOUT);
  world.set(B, "alive");
  await world.pass(120_000, 500);
  const attempts = world.handoff.counters.failed;
  expect(attempts).toBeGreaterThan(5);
  expect(attempts).toBeLessThan(15 * 128);
  expect(world.held()).toBe(200);
  await world.pass(60_000, 500);
  expect(world.handoff.counters.failed - attempts).toBeLessThanOrEqual(3 * 128);
  world.peers.answer = undefined;
  await world.pass(60_000, 500);
  expect(world.held()).toBe(0);
});

test("R30: a target that is overloaded is sent nothing more in that pass", async () => {
  const world = await filled(100);
  let answers = 0;
  world.peers.answer = async () => (answers++, failed("overloaded"));
  world.set(B, "alive");
  await world.pass(DELAY_MS * 1.2, 50);
  expect(answers).toBeGreaterThan(0);
  expect(answers).toBeLessThan(100);
});

test("a hint that the target refuses does not hold up the others, and stays", async () => {
  const world = await filled(3);
  world.peers.answer = (node, message) =>
    message.internalKey.at(-1) === "1".charCodeAt(0)
      ? Promise.resolve(failed("clock-skew"))
      : world.peers.store(node, message);
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  expect(world.held()).toBe(1);
  expect(world.peers.valuesAt(B, "k1002")).not.toBe("");
  world.peers.answer = undefined;
  await world.pass(40_000);
  expect(world.held()).toBe(0);
});

test("R25: replay stops while the target goes down, and goes on when it is back", async () => {
  const world = await filled(60, 30_000);
  world.set(B, "alive");
  while (world.peers.calls.length === 0) await world.pass(100);
  world.set(B, "down");
  await settled();
  const count = world.peers.calls.length;
  await world.pass(20_000);
  expect(world.peers.calls.length).toBe(count);
  expect(world.held()).toBeGreaterThan(0);
  world.set(B, "alive");
  await world.pass(DELAY_MS * 0.8 - 1);
  expect(world.peers.calls.length).toBe(count);
  await world.pass(20_000);
  expect(world.held()).toBe(0);
});

test("R25: replay rests between pages while hints for the target are being written", async () => {
  const world = await filled(128 + 20);
  let page: (() => void)[] = [];
  world.peers.answer = (node, message) =>
    new Promise((resolve) => page.push(() => resolve(world.peers.store(node, message))));
  world.set(B, "alive");
  await world.pass(LATEST_START_MS, 50);
  expect(page).toHaveLength(128);
  await world.add("z", "v");
  for (const release of page) release();
  page = [];
  await world.pass(900, 50);
  expect(page).toHaveLength(0);
  await world.pass(200, 50);
  expect(page).toHaveLength(21);
});

test("R25: a key that an up node did not acknowledge makes no hint; it is sent again as it is then", async () => {
  const world = await HintWorld.start();
  world.set(B, "alive");
  await world.writeOwn("k", "old");
  world.handoff.noteUnacknowledged(B, keyOf("k"));
  expect(world.held()).toBe(0);
  await world.writeOwn("k", "new", 2);
  await world.pass(LATEST_START_MS);
  expect(world.peers.valuesAt(B, "k")).toBe("new");
  expect(world.peers.calls[0]!.message.purpose).toBe("repair");
  expect(world.handoff.counters).toMatchObject({ unacknowledged: 1, resent: 1 });
  await world.pass(60_000);
  expect(world.peers.calls).toHaveLength(1);
});

test("R25: a key that is noted again while it is under way is sent once more", async () => {
  const world = await HintWorld.start();
  world.set(B, "alive");
  await world.writeOwn("k", "old");
  world.handoff.noteUnacknowledged(B, keyOf("k"));
  world.peers.answer = async (node, message) => {
    world.peers.answer = undefined;
    await world.writeOwn("k", "new", 2);
    world.handoff.noteUnacknowledged(B, keyOf("k"));
    return world.peers.store(node, message);
  };
  await world.pass(LATEST_START_MS + 1000);
  expect(world.peers.valuesAt(B, "k")).toBe("new");
  expect(world.peers.calls).toHaveLength(2);
});

test("R25: a fallback sends again what it knows from its hints", async () => {
  const world = await HintWorld.start();
  await world.add("k", "v", 1, C);
  world.set(B, "alive");
  world.handoff.noteUnacknowledged(B, keyOf("k"));
  await world.pass(LATEST_START_MS);
  expect(world.peers.valuesAt(B, "k")).toBe("v");
});

test("R25: what a node left unacknowledged becomes hints when it goes down", async () => {
  const world = await HintWorld.start();
  world.set(B, "alive");
  await world.writeOwn("k", "v");
  world.handoff.noteUnacknowledged(B, keyOf("k"));
  world.handoff.noteUnacknowledged(B, keyOf("never stored here"));
  world.set(B, "down");
  await settled();
  expect(world.held()).toBe(1);
  const next = await world.restart();
  next.set(B, "alive");
  await next.pass(LATEST_START_MS);
  expect(next.peers.valuesAt(B, "k")).toBe("v");
});

test("R25: keys beyond the bound are not kept, and their target is marked", async () => {
  const world = await HintWorld.start();
  world.set(B, "alive");
  for (let i = 0; i < DIRTY_KEYS_MAX; i++) world.handoff.noteUnacknowledged(B, keyOf(`k${i}`));
  expect(world.hints.isIncomplete(C)).toBe(false);
  world.handoff.noteUnacknowledged(C, keyOf("one more"));
  expect(world.hints.isIncomplete(C)).toBe(true);
  expect(world.hints.isIncomplete(B)).toBe(false);
  expect(world.handoff.counters.forgotten).toBe(1);
});

test("R27: a hint that is too old is not sent but dropped, and its target marked", async () => {
  const world = await HintWorld.start({ hintTtlMs: HOUR, hintWindowMs: HOUR });
  await world.add("old", "v");
  await world.writeOwn("old", "v");
  world.clock.advance(HOUR - 500);
  await world.add("young", "v");
  world.set(B, "alive");
  await world.pass(LATEST_START_MS + 1000);
  expect(sent(world)).toEqual(["young"]);
  expect(world.held()).toBe(0);
  expect(world.hints.counters.dropped).toBe(1);
  expect(world.hints.isIncomplete(B)).toBe(true);
});

test("R27: a hint that grows too old within a page is not sent", async () => {
  const world = await filled(2);
  for (const key of ["k1000", "k1001"]) await world.writeOwn(key, "v".repeat(10));
  world.peers.answer = (node, message) => {
    world.clock.stepWall(4 * HOUR);
    return world.peers.store(node, message);
  };
  world.set(B, "alive");
  await world.pass(LATEST_START_MS + 1000);
  expect(sent(world)).toEqual(["k1000"]);
  expect(world.held()).toBe(0);
  expect(world.hints.isIncomplete(B)).toBe(true);
});

test("R24: a hint that is the only copy here outlives its time, closes the window, and is delivered (seed 72587)", async () => {
  const world = await HintWorld.start({ hintTtlMs: HOUR, hintWindowMs: HOUR });
  await world.add("alone", "v");
  await world.add("grown", "v", 2);
  await world.writeOwn("grown", "u", 1);
  await world.add("known", "v");
  await world.writeOwn("known", "v");
  world.clock.advance(2 * HOUR);
  await world.pass(3000);
  expect([world.held(), world.hints.counters.dropped]).toEqual([2, 1]);
  await world.add("late", "v").catch(() => undefined);
  expect(world.held()).toBe(2);
  // What is left is not walked again and again.
  expect(world.hints.isSweepDue(B)).toBe(false);
  world.set(B, "alive");
  await world.pass(LATEST_START_MS + 1000);
  expect(sent(world)).toEqual(["alone", "grown"]);
  expect(world.held()).toBe(0);
});

test("R27: hints for a target that stays away are dropped by themselves", async () => {
  const world = await HintWorld.start({ hintTtlMs: HOUR });
  await world.add("old", "v");
  await world.writeOwn("old", "v");
  world.clock.advance(HOUR - 500);
  await world.pass(3000);
  expect(world.held()).toBe(0);
  expect(world.hints.isIncomplete(B)).toBe(true);
});

test("R28: hints for a node that left go to all owners, this one included", async () => {
  const world = await filled(2);
  world.layoutNodes = [SELF, C, D];
  world.owners = [SELF, C, D];
  world.set(C, "alive");
  world.set(D, "alive");
  await world.pass(LATEST_START_MS);
  for (const node of [SELF, C, D]) expect(world.peers.valuesAt(node, "k1001")).toBe("v".repeat(10));
  expect(world.peers.valuesAt(B, "k1001")).toBe("");
  expect(world.held()).toBe(0);
  expect(world.handoff.counters).toMatchObject({ rerouted: 2, delivered: 0 });
});

test("R28: a majority of the owners is enough, fewer are not", async () => {
  const world = await filled(1);
  const dead = new Set([C, D]);
  world.peers.answer = (node, message) =>
    dead.has(node)
      ? Promise.reject(new PeerError("not-sent", "unreachable", node))
      : world.peers.store(node, message);
  world.layoutNodes = [SELF, C, D];
  world.owners = [SELF, C, D];
  await world.pass(20_000);
  expect(world.held()).toBe(1);
  dead.delete(C);
  await world.pass(40_000);
  expect(world.held()).toBe(0);
  expect(world.peers.valuesAt(C, "k1000")).not.toBe("");
});

test("R28: a target that is up and owns the key no more does not get it: the owners do", async () => {
  const world = await filled(1);
  world.owners = [SELF, C, D];
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  expect(world.peers.valuesAt(B, "k1000")).toBe("");
  expect(world.peers.valuesAt(C, "k1000")).not.toBe("");
  expect(world.held()).toBe(0);
});

test("N8: a power loss at any moment of the replay loses no hint", async () => {
  for (let acknowledged = 0; acknowledged <= 6; acknowledged++) {
    const world = await filled(6);
    let left = acknowledged;
    world.peers.answer = (node, message) =>
      left-- > 0 ? world.peers.store(node, message) : new Promise(() => undefined);
    world.set(B, "alive");
    await world.pass(LATEST_START_MS);
    const next = await world.restart("power-loss");
    const kept = next.hints.page(B, undefined, 10, 1e6).map(({ internalKey }) => internalKey);
    for (let i = 0; i < 6; i++) {
      const isKept = kept.some((key) => Buffer.compare(key, keyOf(`k${1000 + i}`)) === 0);
      expect(isKept || next.peers.valuesAt(B, `k${1000 + i}`) !== "").toBe(true);
    }
    expect(kept.length).toBe(6 - acknowledged);
    next.handoff.stop();
  }
});

test("R24: what is written while its hint is under way is delivered too", async () => {
  const world = await HintWorld.start();
  await world.add("k", "old", 1);
  world.peers.answer = async (node, message) => {
    world.peers.answer = undefined;
    const reply = await world.peers.store(node, message);
    await world.add("k", "new", 2);
    return reply;
  };
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  await world.pass(2000);
  expect(world.peers.valuesAt(B, "k")).toBe("new");
  expect(world.held()).toBe(0);
});

test("D4: a returning node is told what is held for it, hints on their way to the disk included", async () => {
  const world = await filled(1);
  const incarnation = 2 * GENERATION;
  const added = world.add("under way", "v");
  expect(world.handoff.answerHeld(B, incarnation)).toEqual({
    kind: "hints-held",
    count: 2,
    isIncomplete: false,
    lastGeneration: 0,
  });
  await added;
  world.hints.markIncomplete(B, "test");
  expect(world.handoff.answerHeld(B, incarnation).isIncomplete).toBe(true);
  expect(world.handoff.answerHeld(C, incarnation).count).toBe(0);
});

test("D4: once a new life of the target was answered, no hint is admitted on news of the one before", async () => {
  const world = await HintWorld.start();
  expect(world.handoff.admits(B, GENERATION)).toBe(true);
  world.handoff.answerHeld(B, 2 * GENERATION);
  expect(world.handoff.admits(B, GENERATION)).toBe(false);
  expect(world.handoff.admits(B, 2 * GENERATION)).toBe(true);
  expect(world.handoff.admits(C, GENERATION)).toBe(true);
  world.incarnations.set(C, 3 * GENERATION);
  world.set(C, "alive");
  expect(world.handoff.admits(C, 2 * GENERATION)).toBe(false);
  world.set(C, "down");
  expect(world.handoff.admits(C, 2 * GENERATION)).toBe(true);
});

test("D4: who asks is sent its hints though others still believe it down", async () => {
  const world = await filled(1);
  world.handoff.answerHeld(B, 2 * GENERATION);
  await world.pass(DELAY_MS * 1.2);
  expect(world.held()).toBe(0);
  await world.add("later", "v");
  world.incarnations.set(B, 2 * GENERATION);
  world.set(B, "down");
  await world.pass(10_000);
  expect(world.held()).toBe(1);
});

test("a new life of the target does not wait out the failures of the one before", async () => {
  const world = await filled(1);
  world.peers.answer = () => Promise.reject(TIMEOUT);
  world.set(B, "alive");
  await world.pass(100_000, 1000);
  world.peers.answer = undefined;
  world.handoff.answerHeld(B, 2 * GENERATION);
  await world.pass(DELAY_MS * 1.2);
  expect(world.held()).toBe(0);
});

test("after stop nothing is sent, and what is acknowledged then is not removed", async () => {
  const world = await filled(2);
  let acknowledge = (): void => undefined;
  world.peers.answer = () =>
    new Promise((resolve) => {
      acknowledge = () => resolve({ kind: "stored", isDurable: true });
    });
  world.set(B, "alive");
  await world.pass(LATEST_START_MS);
  const count = world.peers.calls.length;
  world.handoff.stop();
  acknowledge();
  world.handoff.noteUnacknowledged(B, keyOf("k"));
  await world.pass(60_000, 1000);
  expect(world.peers.calls.length).toBe(count);
  expect(world.held()).toBe(2);
});

test("a store that has stopped keeps its hints counted, and replay goes on trying", async () => {
  const world = await filled(3);
  world.disk.faults.failNth("sync", 1, "io");
  const failing = world.opened.store.apply(new WriteBatch().put(keyOf("x"), stateOf("v")));
  expect(await codeOf(failing)).toBe("write-indeterminate");
  world.set(B, "alive");
  await world.pass(20_000);
  expect(world.peers.calls.length).toBeGreaterThan(3);
  expect(world.held()).toBe(3);
});
