/** The laws of dotted version vector sets, and the set against a dumb twin that keeps every event. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Actor, joinActor } from "../../src/causality/actor.ts";
import { EMPTY_CONTEXT, covers, withDot, withVector } from "../../src/causality/causal-context.ts";
import {
  append,
  clampContext,
  contextOf,
  discard,
  entryOf,
  merge,
  valueCount,
} from "../../src/causality/siblings.ts";
import type { Siblings } from "../../src/causality/siblings.ts";
import { show } from "../support/arbitrary-record.ts";

const ACTORS = [1, 2, 3].map((incarnation) => joinActor("00000000000000a1", incarnation));

/** The twin: every dot ever known, and which of them are current. Merging sets needs no cleverness. */
interface Twin {
  readonly known: ReadonlySet<string>;
  readonly current: ReadonlySet<string>;
}
const NOTHING: Twin = { known: new Set(), current: new Set() };

function mergeTwins(a: Twin, b: Twin): Twin {
  const current = [...a.current, ...b.current].filter(
    (dot) => (a.current.has(dot) || !a.known.has(dot)) && (b.current.has(dot) || !b.known.has(dot)),
  );
  return { known: new Set([...a.known, ...b.known]), current: new Set(current) };
}

interface Replica {
  state: Siblings<string>;
  twin: Twin;
}

/** A random life of three replicas: writes that follow what a replica holds, blind ones, exchanges. All states met on the way. */
const lives = fc.array(
  fc.record({
    who: fc.integer({ min: 0, max: 2 }),
    other: fc.integer({ min: 0, max: 2 }),
    what: fc.constantFrom("follow", "blind", "merge"),
  }),
  { maxLength: 25 },
);

function live(steps: readonly { who: number; other: number; what: string }[]): Replica[] {
  const replicas: Replica[] = ACTORS.map(() => ({ state: [], twin: NOTHING }));
  const met: Replica[] = [];
  steps.forEach(({ who, other, what }, step) => {
    const replica = replicas[who]!;
    const actor = ACTORS[who]!;
    if (what === "merge") {
      const from = replicas[other]!;
      replica.state = merge(replica.state, from.state);
      replica.twin = mergeTwins(replica.twin, from.twin);
    } else {
      const counter = 10 + step;
      const dot = `${actor}.${counter}`;
      const context = what === "follow" ? contextOf(replica.state) : EMPTY_CONTEXT;
      replica.state = append(discard(replica.state, context), actor, counter, dot);
      const kept = what === "follow" ? [] : replica.twin.current;
      replica.twin = {
        known: new Set([...replica.twin.known, dot]),
        current: new Set([...kept, dot]),
      };
    }
    met.push({ state: replica.state, twin: replica.twin });
  });
  return met;
}

const dotsOf = (state: Siblings<string>): string[] =>
  state.flatMap(({ values }) => values.map((value) => value.payload)).sort();

test("R8: the compact set keeps exactly the values that a set of all events keeps", () => {
  fc.assert(
    fc.property(lives, (steps) => {
      for (const { state, twin } of live(steps))
        expect(dotsOf(state)).toEqual([...twin.current].sort());
    }),
  );
});

test("I1: merge is commutative, associative and idempotent on states that replicas reach", () => {
  fc.assert(
    fc.property(lives, (steps) => {
      const met = live(steps)
        .map((replica) => replica.state)
        .slice(-6);
      for (const a of met) {
        expect(merge(a, a)).toEqual([...a]);
        for (const b of met) {
          expect(show(merge(a, b))).toBe(show(merge(b, a)));
          for (const c of met)
            expect(show(merge(merge(a, b), c))).toBe(show(merge(a, merge(b, c))));
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("R8: interleaved read-modify-write by two clients does not grow siblings", () => {
  let state: Siblings<string> = [];
  const actor = ACTORS[0]!;
  const contexts = [contextOf(state), contextOf(state)];
  for (let step = 1; step <= 200; step++) {
    const client = step % 2;
    state = append(discard(state, contexts[client]!), actor, step, `v${step}`);
    contexts[client] = contextOf(state);
    expect(valueCount(state)).toBeLessThanOrEqual(2);
  }
});

test("R13: a context with counters of 2^53 covers only what is there and inserts nothing", () => {
  const [a, b] = ACTORS as [Actor, Actor];
  const state = append([] as Siblings<string>, a, 5, "v");
  const forged = {
    entries: [
      { actor: a, counter: 2 ** 53 - 1 },
      { actor: b, counter: 2 ** 53 - 1 },
    ],
    dots: [],
  };
  const after = discard(state, forged);
  expect(show(after)).toBe(`${a}:5{}`);
  expect(clampContext(forged, state)).toEqual({ entries: [{ actor: a, counter: 5 }], dots: [] });
  expect(valueCount(append(after, a, 6, "w"))).toBe(1);
});

test("a single dot covers itself and nothing else", () => {
  const [a] = ACTORS as [Actor];
  let state = append([] as Siblings<string>, a, 5, "v");
  state = append(state, a, 7, "w");
  const context = withDot(EMPTY_CONTEXT, a, 5);
  expect(dotsOf(discard(state, context))).toEqual(["w"]);
  expect(entryOf(state, a)!.counterMax).toBe(7);
  expect(covers(withVector(context, a, 6), a, 5)).toBe(true);
  expect(withVector(context, a, 6).dots).toEqual([]);
});
