/** Random states of a key, for laws and round trips. */
import fc from "fast-check";
import { type Actor, joinActor } from "../../src/causality/actor.ts";
import type { Payload } from "../../src/causality/payload.ts";
import type { Record } from "../../src/causality/record.ts";
import type { Siblings } from "../../src/causality/siblings.ts";

/** A few nodes with a few incarnations, so that random states meet. */
export const arbitraryActor: fc.Arbitrary<Actor> = fc
  .tuple(
    fc.constantFrom("00000000000000a1", "00000000000000b2", "ffeeddccbbaa9988"),
    fc.integer({ min: 0, max: 2 }),
  )
  .map(([node, incarnation]) => joinActor(node, incarnation));

const text = fc.string({ unit: "grapheme", maxLength: 12 });

const arbitraryValue: fc.Arbitrary<Payload> = fc.record({
  isTombstone: fc.constant(false),
  hlc: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  expiresAtMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 253_402_300_799_999 })),
  contentType: fc.oneof(fc.constantFrom("", "text/plain", "application/json"), text),
  contentEncoding: fc.constantFrom("", "gzip"),
  meta: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  value: fc.uint8Array({ maxLength: 20 }),
});

const arbitraryTombstone: fc.Arbitrary<Payload> = arbitraryValue.map((payload) => ({
  ...payload,
  isTombstone: true,
  value: new Uint8Array(0),
}));

export const arbitraryPayload = fc.oneof(
  { weight: 3, arbitrary: arbitraryValue },
  arbitraryTombstone,
);

/** Any well-formed state, not nessarily one that a cluster can reach. */
export const arbitraryRecord: fc.Arbitrary<Record> = fc
  .uniqueArray(
    fc.record({
      actor: arbitraryActor,
      beyond: fc.constantFrom(0, 1, 1000),
      counters: fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 50 }), { maxLength: 3 }),
      payloads: fc.array(arbitraryPayload, { minLength: 3, maxLength: 3 }),
    }),
    { selector: (entry) => entry.actor, minLength: 1, maxLength: 4 },
  )
  .map((entries) =>
    entries
      .sort((a, b) => (a.actor < b.actor ? -1 : 1))
      .map(({ actor, beyond, counters, payloads }) => {
        const sorted = counters.sort((a, b) => a - b);
        return {
          actor,
          counterMax: (sorted.at(-1) ?? 1) + beyond,
          values: sorted.map((counter, i) => ({ counter, payload: payloads[i]! })),
        };
      }),
  );

/** A state in one line: `a:9{3,7} b:4{}`. */
export function show<P>(state: Siblings<P>): string {
  return state
    .map(
      ({ actor, counterMax, values }) =>
        `${actor}:${counterMax}{${values.map((v) => v.counter).join(",")}}`,
    )
    .join(" ");
}
