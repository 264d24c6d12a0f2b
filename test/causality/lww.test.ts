import { expect, test } from "bun:test";
import fc from "fast-check";
import { joinActor } from "../../src/causality/actor.ts";
import { type Dotted, collapse, compareLww, maxHlc, newestFirst } from "../../src/causality/lww.ts";
import { tombstone } from "../../src/causality/payload.ts";
import type { Record } from "../../src/causality/record.ts";
import { append, contextOf, discard, merge, valueCount } from "../../src/causality/siblings.ts";
import { arbitraryRecord, show } from "../support/arbitrary-record.ts";

test("R21: the LWW order is hlc, then actor bytes, then counter", () => {
  const at = (hlc: number, actor: string, counter: number): Dotted => ({
    actor: joinActor(actor, 1),
    counter,
    payload: tombstone(hlc),
  });
  const low = "00000000000000a1";
  const high = "00000000000000b2";
  expect(compareLww(at(2, low, 1), at(1, high, 9))).toBeGreaterThan(0);
  expect(compareLww(at(1, high, 1), at(1, low, 9))).toBeGreaterThan(0);
  expect(compareLww(at(1, low, 2), at(1, low, 1))).toBeGreaterThan(0);
});

/** What three replicas of a lww bucket meet: each write follows its replica's state, with an hlc above all of it. */
function lives(
  steps: readonly { who: number; other: number; isMerge: boolean; skew: number }[],
): Record[] {
  const replicas: Record[] = [[], [], []];
  const met: Record[] = [];
  steps.forEach(({ who, other, isMerge, skew }, step) => {
    const own = replicas[who]!;
    const hlc = Math.max(10 + step + skew, maxHlc(own) + 1);
    const kept = discard(own, contextOf(own));
    replicas[who] = isMerge
      ? collapse(merge(own, replicas[other]!))
      : append(kept, joinActor("00000000000000a1", who), 10 + step, tombstone(hlc));
    met.push(replicas[who]!);
  });
  return met;
}

test("R21: collapsing on merge is still a join, whatever the clocks of the writers say", () => {
  const step = fc.record({
    who: fc.nat(2),
    other: fc.nat(2),
    isMerge: fc.boolean(),
    skew: fc.constantFrom(0, 0, 50, 500),
  });
  const join = (a: Record, b: Record): Record => collapse(merge(a, b));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const met = lives(steps).slice(-6);
      for (const a of met)
        for (const b of met) {
          expect(show(join(a, b))).toBe(show(join(b, a)));
          expect(valueCount(join(a, b))).toBe(a.length + b.length === 0 ? 0 : 1);
          for (const c of met) expect(show(join(join(a, b), c))).toBe(show(join(a, join(b, c))));
        }
    }),
    { numRuns: 60 },
  );
});

test("newest first", () => {
  fc.assert(
    fc.property(arbitraryRecord, (record) => {
      const values = newestFirst(record);
      for (let i = 1; i < values.length; i++)
        expect(compareLww(values[i - 1]!, values[i]!)).toBeGreaterThan(0);
    }),
  );
});
