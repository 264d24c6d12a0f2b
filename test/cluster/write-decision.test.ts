/** The pure decision, where a running node's clock would hide what it does. */
import { expect, test } from "bun:test";
import { joinActor } from "../../src/causality/actor.ts";
import { tombstone } from "../../src/causality/payload.ts";
import type { Record } from "../../src/causality/record.ts";
import { merge, valueCount } from "../../src/causality/siblings.ts";
import { decideWrite } from "../../src/cluster/write-decision.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../../src/quorum/operation.ts";
import { PUT } from "../support/one-node.ts";

const ME = joinActor("0102030405060708", 1);
const OTHER = joinActor("ffeeddccbbaa9988", 1);
const before: Record = [
  { actor: OTHER, counterMax: 5, values: [{ counter: 5, payload: tombstone(9000) }] },
];
const setting = {
  properties: DEFAULT_BUCKET_PROPERTIES,
  context: undefined,
  actor: ME,
  counter: 100,
  nowMs: 0,
};

test("R21: a write is stamped above all that the state and the context hold, whatever the clock says", () => {
  expect(decideWrite(before, PUT, setting).seenHlc).toBe(9001);
  const context = { entries: [], dots: [], hlc: 20_000 };
  expect(decideWrite(before, PUT, { ...setting, context }).seenHlc).toBe(20_001);
  expect(decideWrite([], PUT, setting).seenHlc).toBe(100);
});

test("R13: what a sealed context covers is replaced, also what the minter has never seen", () => {
  const elsewhere = joinActor("00000000000000a1", 1);
  const context = {
    entries: [
      { actor: elsewhere, counter: 7 },
      { actor: OTHER, counter: 6 },
    ],
    dots: [],
    hlc: 1,
  };
  const { after, seen } = decideWrite(before, PUT, { ...setting, context });
  expect(after.map(({ actor, counterMax }) => [actor, counterMax])).toEqual([
    [elsewhere, 7],
    [ME, 100],
    [OTHER, 6],
  ]);
  expect(seen.entries).toEqual([
    { actor: elsewhere, counter: 7 },
    { actor: ME, counter: 100 },
    { actor: OTHER, counter: 6 },
  ]);
  // The replaced value comes from an owner that the minter could not ask: it is no sibling.
  const late: Record = [
    { actor: elsewhere, counterMax: 7, values: [{ counter: 7, payload: tombstone(1) }] },
  ];
  expect(valueCount(merge(late, after))).toBe(1);
});

test("R8: the token of a write claims no version of its minter that the writer has not seen, replaced or not (nemesis, seed 13)", () => {
  const held: Record = [{ actor: ME, counterMax: 50, values: [] }, ...before];
  const tokenAfter = (entries: { actor: typeof ME; counter: number }[], dots = entries.slice(1)) =>
    decideWrite(held, PUT, {
      ...setting,
      context: { entries: entries.slice(0, 1), dots, hlc: 0 },
    }).seen;
  // Somebody has replaced 50 here, and who wrote up to 40 knows nothing of that.
  const behind = tokenAfter([{ actor: ME, counter: 40 }]);
  expect([behind.entries, behind.dots]).toEqual([
    [{ actor: ME, counter: 40 }],
    [{ actor: ME, counter: 100 }],
  ]);
  // Who has seen all of them goes on with a vector, which stays short.
  const whole = tokenAfter([{ actor: ME, counter: 50 }]);
  expect([whole.entries, whole.dots]).toEqual([[{ actor: ME, counter: 100 }], []]);
  // A token is bounded all the same.
  const dots = Array.from({ length: 32 }, (_, i) => ({ actor: ME, counter: 11 + i }));
  const full = tokenAfter([{ actor: ME, counter: 10 }], dots);
  expect([full.entries, full.dots]).toEqual([[{ actor: ME, counter: 100 }], []]);
});

test("R10: in a lww bucket a client's context does not decide what is replaced", () => {
  const properties = { ...DEFAULT_BUCKET_PROPERTIES, conflicts: "lww" as const };
  const context = { entries: [], dots: [], hlc: 0 };
  const { after, conflictDropped } = decideWrite(before, PUT, { ...setting, properties, context });
  expect(after.flatMap(({ values }) => values.map((value) => value.counter))).toEqual([100]);
  expect(conflictDropped).toBe(1);
});
