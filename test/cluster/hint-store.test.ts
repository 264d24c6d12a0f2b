/** What is kept for others, and for how long. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { CorruptionError } from "../../src/base/errors.ts";
import { type Record, decodeRecord } from "../../src/causality/record.ts";
import { merge } from "../../src/causality/siblings.ts";
import { SIDES_MAX, decodeHint, encodeHint, hintKey } from "../../src/cluster/hint-format.ts";
import { HintStore } from "../../src/cluster/hint-store.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { arbitraryRecord } from "../support/arbitrary-record.ts";
import {
  B,
  C,
  D,
  HOUR,
  HintWorld,
  encoded,
  keyOf,
  stateOf,
  textOf,
} from "../support/hint-world.ts";
import { codeOf } from "../support/one-node.ts";

const MIB = 1024 * 1024;
const only = (world: HintWorld, target = B): Record =>
  decodeRecord(world.hints.page(target, undefined, 10, MIB)[0]!.hint.record);

test("R24: a hint is the merged state of all that was written meanwhile", async () => {
  const world = await HintWorld.start();
  await world.add("k", "first", 1);
  await world.add("k", "second", 2);
  await world.hints.add(B, keyOf("k"), stateOf("sibling", 1, C), undefined);
  expect(world.held()).toBe(1);
  expect(textOf(only(world))).toBe("second sibling");
});

test("R24: a hint that was acknowledged is there after the power went", async () => {
  const world = await HintWorld.start();
  await world.add("k", "v");
  const next = await world.restart("power-loss");
  expect(next.held()).toBe(1);
  expect(textOf(only(next))).toBe("v");
});

test("R24: a hint is held from the moment its batch is made, and durable together with what else is in it", async () => {
  const world = await HintWorld.start();
  const batch = new WriteBatch().put(keyOf("own"), stateOf("v"));
  expect(world.hints.addTo(batch, B, keyOf("own"), stateOf("v"), undefined)).toBe("added");
  expect(world.held()).toBe(1);
  await world.opened.store.apply(batch);
  const next = await world.restart("power-loss");
  expect(next.held()).toBe(1);
  expect(next.opened.store.get(keyOf("own"))).toBeDefined();
});

test("R24: a hint that the disk has no room for is no acknowledgement and is not held", async () => {
  const world = await HintWorld.start();
  await world.add("k", "v");
  const before = world.hints.heldFor(B);
  world.disk.faults.quotaBytes = 1;
  expect(await codeOf(world.add("other", "w"))).toBe("disk-full");
  expect(await codeOf(world.add("k", "longer than before", 2))).toBe("disk-full");
  expect(world.hints.heldFor(B)).toEqual(before);
  expect(textOf(only(world))).toBe("v");
});

test("R24: a record that is none is refused before anything is stored", async () => {
  const world = await HintWorld.start();
  const add = (): unknown =>
    world.hints.addTo(new WriteBatch(), B, keyOf("k"), utf8("?"), undefined);
  expect(add).toThrow(DecodeError);
  expect(world.held()).toBe(0);
});

test("a fallback reads what it holds for anybody, joined", async () => {
  const world = await HintWorld.start();
  expect(world.hints.read(keyOf("k"))).toBeUndefined();
  await world.add("k", "old", 1, B);
  await world.add("k", "new", 2, C);
  await world.hints.add(D, keyOf("k"), stateOf("sibling", 1, D), undefined);
  expect(textOf(world.hints.read(keyOf("k"))!.record)).toBe("new sibling");
  expect(world.hints.read(keyOf("other"))).toBeUndefined();
});

test("the memory of every Idempotency-Key goes along, the newest sixteen", async () => {
  const world = await HintWorld.start();
  const sides = Array.from({ length: SIDES_MAX + 1 }, (_, i) => ({
    key: new Uint8Array([0, 7, 2, i]),
    value: utf8(`answer ${i}`),
  }));
  for (const side of [...sides, sides[9]!])
    await world.hints.add(B, keyOf("k"), stateOf("v"), side);
  const { hint } = world.hints.page(B, undefined, 1, MIB)[0]!;
  const kept = [...sides.slice(1, 9), ...sides.slice(10), sides[9]!];
  expect(hint.sides.map(({ key }) => key[3])).toEqual(kept.map(({ key }) => key[3]));
  expect(hint.sides.at(-1)!.value).toEqual(sides[9]!.value);
});

test("R26: no new hints once the oldest one is older than the window, also after a restart", async () => {
  const world = await HintWorld.start();
  await world.add("k", "v");
  world.clock.advance(HOUR);
  await world.add("last", "v");
  world.clock.advance(1);
  expect(await codeOf(world.add("late", "v"))).toBe("unavailable");
  const next = await world.restart();
  expect(await codeOf(next.add("late", "v"))).toBe("unavailable");
  expect(await codeOf(next.add("other target", "v", 1, C))).toBe("accepted");
  expect(next.held()).toBe(2);
});

test("R26: the window opens again when the oldest hints are delivered, not while a flapping target takes new ones", async () => {
  const world = await HintWorld.start();
  await world.add("old", "v");
  world.clock.advance(HOUR / 2);
  await world.add("young", "v");
  const [old, young] = world.hints.page(B, undefined, 2, MIB);
  await world.hints.remove(B, young!);
  world.clock.advance(HOUR / 2 + 1);
  expect(await codeOf(world.add("k", "v"))).toBe("unavailable");
  await world.hints.remove(B, old!);
  expect(await codeOf(world.add("k", "v"))).toBe("accepted");
});

test("R26: a sweep finds the oldest hint that is left", async () => {
  const world = await HintWorld.start();
  await world.add("old", "v");
  world.clock.advance(HOUR / 2);
  await world.add("young", "v");
  await world.hints.remove(B, world.hints.page(B, undefined, 1, MIB)[0]!);
  world.clock.advance(HOUR / 2 + 1);
  expect(world.hints.isSweepDue(B)).toBe(true);
  await world.hints.sweep(B);
  expect(world.hints.isSweepDue(B)).toBe(false);
  expect(world.hints.heldFor(B).oldestMs).toBe(world.clock.wallMs() - HOUR / 2 - 1);
  expect(await codeOf(world.add("k", "v"))).toBe("accepted");
});

test("R26: a refused hint leaves a mark that only a repair takes away", async () => {
  const world = await HintWorld.start({ hintWindowMs: 0 });
  expect(world.hints.isIncomplete(B)).toBe(false);
  expect(await codeOf(world.add("k", "v"))).toBe("unavailable");
  expect(world.hints.isIncomplete(B)).toBe(true);
  expect(world.hints.counters.refused).toBe(1);
  const next = await world.restart();
  expect(next.hints.isIncomplete(B)).toBe(true);
  expect(next.hints.isIncomplete(C)).toBe(false);
  await next.hints.clearIncomplete(B);
  const last = await next.restart();
  expect(last.hints.isIncomplete(B)).toBe(false);
});

test("R26: what is lost while a repair runs keeps the mark", async () => {
  const world = await HintWorld.start({ hintWindowMs: 0 });
  await codeOf(world.add("k", "v"));
  const losses = world.hints.lossesOf(B);
  await codeOf(world.add("during the repair", "v"));
  await world.hints.clearIncomplete(B, losses);
  expect(world.hints.isIncomplete(B)).toBe(true);
});

test("N8: one target has no more bytes than its share, and an overflow is marked", async () => {
  const world = await HintWorld.start({ hintBytesMax: 400 });
  await world.add("a", "v".repeat(200));
  expect(await codeOf(world.add("b", "v".repeat(200)))).toBe("unavailable");
  expect(await codeOf(world.add("a", "v".repeat(400), 2))).toBe("unavailable");
  expect(await codeOf(world.add("b", "v".repeat(200), 1, C))).toBe("accepted");
  expect(await codeOf(world.add("a", "short", 2))).toBe("accepted");
  expect(await codeOf(world.add("b", "v".repeat(200)))).toBe("accepted");
  expect(world.hints.heldFor(B).bytes).toBeLessThanOrEqual(400);
  expect(world.hints.isIncomplete(B)).toBe(true);
  expect(world.hints.isIncomplete(C)).toBe(false);
});

test("R27: what is older than its time to live is dropped, its target marked in the same batch", async () => {
  const world = await HintWorld.start({ hintTtlMs: HOUR, hintWindowMs: HOUR });
  await world.add("old", "v");
  await world.writeOwn("old", "v");
  world.clock.advance(HOUR - 1);
  await world.add("young", "v");
  world.clock.advance(2);
  expect(world.hints.isSweepDue(B)).toBe(true);
  await world.hints.sweep(B);
  const next = await world.restart("power-loss");
  expect(next.held()).toBe(1);
  expect(next.hints.page(B, undefined, 9, MIB)[0]!.internalKey).toEqual(keyOf("young"));
  expect(next.hints.isIncomplete(B)).toBe(true);
});

test("R27: a hint that grows is as old as its oldest part", async () => {
  const world = await HintWorld.start();
  const startMs = world.clock.wallMs();
  await world.add("k", "old");
  world.clock.advance(1000);
  await world.add("k", "new", 2);
  expect(world.hints.page(B, undefined, 1, MIB)[0]!.hint.storedAtMs).toBe(startMs);
});

test("R29: hints are found at the start, by target", async () => {
  const world = await HintWorld.start();
  await world.add("a", "v");
  await world.add("b", "v");
  await world.add("a", "v", 1, C);
  const before = [world.hints.heldFor(B), world.hints.heldFor(C)];
  const next = await world.restart();
  expect([...next.hints.targets()].sort()).toEqual([B, C]);
  expect([next.hints.heldFor(B), next.hints.heldFor(C)]).toEqual(before);
  expect(next.hints.heldFor(D)).toEqual({ count: 0, bytes: 0, oldestMs: 0 });
});

test("R29, C25: where damage hides hints, everybody needs repair until repaired", async () => {
  const world = await HintWorld.start();
  await world.add("a", "v");
  const { store } = world.opened;
  const damaged: ReplicaStore = Object.create(store, {
    snapshot: {
      value: () => ({
        lostRanges: [],
        iterator: () => {
          throw new CorruptionError("Cannot read block", "", 0);
        },
        close: () => undefined,
      }),
    },
  });
  const options = { hintWindowMs: HOUR, hintTtlMs: HOUR, hintBytesMax: MIB };
  const hints = new HintStore(damaged, options, world.clock, silentLogger);
  expect([hints.isIncomplete(B), hints.isIncomplete(D)]).toEqual([true, true]);
  await hints.clearIncomplete(B);
  expect([hints.isIncomplete(B), hints.isIncomplete(D)]).toEqual([false, true]);
});

test("C25: hints that vanish with their table are not counted for ever", async () => {
  const world = await HintWorld.start();
  await world.add("a", "v");
  await world.opened.store.apply(new WriteBatch().delete(hintKey(B, keyOf("a"))));
  expect(world.held()).toBe(1);
  expect(world.hints.page(B, undefined, 9, MIB)).toEqual([]);
  expect(world.held()).toBe(0);
  expect(world.hints.isIncomplete(B)).toBe(true);
});

test("a hint is removed only as it was delivered", async () => {
  const world = await HintWorld.start();
  await world.add("k", "1", 1);
  const delivered = world.hints.page(B, undefined, 1, MIB)[0]!;
  await world.add("k", "2", 2);
  await world.hints.remove(B, delivered);
  expect(textOf(only(world))).toBe("2");
  await world.hints.remove(B, world.hints.page(B, undefined, 1, MIB)[0]!);
  await world.hints.remove(B, delivered);
  expect(world.hints.heldFor(B)).toEqual({ count: 0, bytes: 0, oldestMs: 0 });
});

test("a page is bounded in hints and bytes, and pages together are all hints in key order", async () => {
  const world = await HintWorld.start();
  const names = ["d", "a", "c", "b", "aa"];
  for (const name of names) await world.add(name, "v".repeat(100));
  await world.add("z", "of another target", 1, C);
  const seen: Uint8Array[] = [];
  for (let after: Uint8Array | undefined; ; after = seen.at(-1)) {
    const page = world.hints.page(B, after, 2, MIB);
    expect(page.length).toBeLessThanOrEqual(2);
    if (page.length === 0) break;
    seen.push(...page.map(({ internalKey }) => internalKey));
  }
  expect(seen).toEqual(names.sort().map(keyOf));
  expect(world.hints.page(B, undefined, 9, 101)).toHaveLength(1);
});

test("C25: compaction keeps hints whatever the time", async () => {
  const world = await HintWorld.start();
  await world.add("k", "v");
  const retain = retainEntries({ nowMs: 1e15 });
  const key = hintKey(B, keyOf("k"));
  const { value } = world.hints.page(B, undefined, 1, MIB)[0]!;
  expect(retain(key, 0, key.length, value, 0, value.length)).toBe(true);
});

test("every damaged or cut hint is told from a good one", () => {
  const record = stateOf("v");
  const hint = { storedAtMs: 5, sides: [{ key: utf8("k"), value: utf8("v") }], record };
  const bytes = encodeHint(hint);
  expect(decodeHint(bytes)).toEqual(hint);
  for (let length = 0; length < bytes.length - record.length; length++)
    expect(() => decodeHint(bytes.subarray(0, length))).toThrow(CorruptionError);
  bytes[0] = 9;
  expect(() => decodeHint(bytes)).toThrow("version 9");
});

type Model = Map<string, Record>;
type Step =
  | { readonly kind: "add"; readonly target: string; readonly key: string; readonly record: Record }
  | { readonly kind: "remove"; readonly target: string; readonly which: number }
  | { readonly kind: "restart"; readonly how: "clean" | "power-loss" };

const arbitraryTarget = fc.constantFrom(B, C);
const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      target: arbitraryTarget,
      key: fc.constantFrom("a", "b", "c", "d"),
      record: arbitraryRecord,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("remove" as const),
      target: arbitraryTarget,
      which: fc.nat(3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      how: fc.constantFrom("clean" as const, "power-loss" as const),
    }),
  },
);

async function take(world: HintWorld, model: Model, step: Step): Promise<HintWorld> {
  if (step.kind === "restart") return world.restart(step.how);
  const { target } = step;
  if (step.kind === "add") {
    await world.hints.add(target, keyOf(step.key), encoded(step.record), undefined);
    const place = `${target}/${step.key}`;
    model.set(place, merge(model.get(place) ?? [], step.record));
    return world;
  }
  const page = world.hints.page(target, undefined, 9, MIB);
  const stored = page[step.which];
  if (stored === undefined) return world;
  await world.hints.remove(target, stored);
  model.delete(`${target}/${String.fromCharCode(stored.internalKey.at(-1)!)}`);
  return world;
}

function contentOf(world: HintWorld): string[] {
  return [B, C].flatMap((target) => {
    const page = world.hints.page(target, undefined, 9, MIB);
    const bytes = page.reduce((sum, { value }) => sum + value.length + 11 + keyOf("a").length, 0);
    expect(world.hints.heldFor(target)).toMatchObject({ count: page.length, bytes });
    return page.map(({ internalKey, hint }) => {
      const key = String.fromCharCode(internalKey.at(-1)!);
      return `${target}/${key}=${hint.record.toHex()}`;
    });
  });
}

test("R24, R29: the store of hints is a map of joined states, through restarts and power losses", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { maxLength: 25 }), async (steps) => {
      let world = await HintWorld.start();
      const model: Model = new Map();
      for (const step of steps) {
        world = await take(world, model, step);
        const expected = [...model].map(([place, state]) => `${place}=${encoded(state).toHex()}`);
        expect(contentOf(world)).toEqual(expected.sort());
      }
      const all = [...model].filter(([place]) => place.endsWith("/a")).map(([, state]) => state);
      const read = world.hints.read(keyOf("a"));
      expect(read && encoded(read.record)).toEqual(
        all.length === 0 ? undefined : encoded(all.reduce((a, b) => merge(a, b))),
      );
      world.handoff.stop();
    }),
    { numRuns: 40 },
  );
});
