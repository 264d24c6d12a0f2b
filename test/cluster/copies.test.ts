import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BucketCopies } from "../../src/cluster/bucket-copies.ts";
import {
  type BucketEntry,
  decodeEntries,
  encodeEntries,
  encodeEntry,
  joinEntries,
} from "../../src/cluster/bucket-entry.ts";
import { Buckets, checkProperties } from "../../src/cluster/bucket-properties.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import { changingCopies, copiesByBucket, copiesIn } from "../../src/cluster/copies.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../../src/quorum/operation.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import { COPIES_MAX, type Layout } from "../../src/ring/layout.ts";
import { membersInRacks } from "../ring/ring-fixtures.ts";
import { MerkleWorld } from "../support/merkle-world.ts";

const first = assignLayout({ version: 1, q: 16, n: 3, members: membersInRacks(5, 2) });
const ids = first.members.map(({ id }) => id);
const bucket = { name: "b", properties: DEFAULT_BUCKET_PROPERTIES };
const count = fc.integer({ min: 1, max: COPIES_MAX });

function viewOf(state: LayoutState): ClusterView {
  return new ClusterView(state, ids[0]!, new Map());
}

/** All of them have reached this version. */
function reached(state: LayoutState, what: "ack" | "sync" | "syncAck"): LayoutState {
  const { version } = state.newest;
  return ids.reduce((next, id) => next.report(id, { [what]: version }), state);
}

describe("row 107: copies while n changes", () => {
  test("one number says what n was, what it is to be, and since when", () => {
    fc.assert(
      fc.property(count, count, fc.integer({ min: 2, max: 2 ** 30 }), (n, before, since) => {
        const copies = changingCopies({ bucket: "b", n, before }, since);
        expect(copiesIn({ ...first, version: since - 1 }, copies)).toBe(before);
        expect(copiesIn({ ...first, version: since }, copies)).toBe(n);
        expect(copiesIn({ ...first, version: since + 7 }, copies)).toBe(n);
        expect(copiesIn(first, n)).toBe(n);
      }),
    );
  });

  test("of the oldest layout that counts only what is after the change matters", () => {
    const change = { bucket: "b", n: 5, before: 1 };
    const changed: Layout = { ...first, version: 4, copies: change };
    expect(copiesByBucket([first]).size).toBe(0);
    expect(copiesByBucket([changed]).get("b")).toEqual({ copies: 5, n: 5, since: 4 });
    const copies = changingCopies(change, 4);
    expect(copiesByBucket([first, changed]).get("b")).toEqual({ copies, n: 5, since: 4 });
  });

  test("R6: reads stay with the old number until all have synced, writes need both, and then there is one", () => {
    const before = LayoutState.first(first);
    const change = { bucket: "b", n: 1, before: 3 };
    let state = before.withLayout(before.nextAs(before.newest, change));
    const during = viewOf(state);
    const copies = during.copiesOf(bucket);
    expect([during.effectiveN(copies), during.wantedN(bucket)]).toEqual([3, 1]);
    const [reading, next] = during.ownerSets(7, copies);
    expect(reading).toEqual(during.walk(7).slice(0, 3));
    expect(next).toEqual(during.walk(7).slice(0, 1));
    expect(during.holders(7, copies)).toEqual(reading!);
    expect(during.nextOwners(7, copies)).toEqual(next!);
    // Other buckets know nothing of it.
    const other = { ...bucket, name: "other" };
    expect(during.ownerSets(7, during.copiesOf(other))).toHaveLength(1);

    state = reached(reached(state, "ack"), "sync");
    const synced = viewOf(state);
    expect(synced.effectiveN(synced.copiesOf(bucket))).toBe(1);
    expect(synced.holders(7, synced.copiesOf(bucket))).toHaveLength(3);
    state = reached(state, "syncAck").retired();
    const after = viewOf(state);
    expect(after.copiesOf(bucket)).toBe(1);
    expect(after.holders(7, 1)).toEqual(next!);
    // What a version does to a bucket it does once: neither the next assignment nor going back does it again.
    expect(state.nextAs(state.newest).copies).toBeUndefined();
  });

  test("a tree that was computed before a change of n is not taken for one of afterwards", async () => {
    const world = await MerkleWorld.open();
    const buckets = new Buckets(world.store);
    let state = LayoutState.first(first);
    const copies = new BucketCopies(buckets, () => viewOf(state));
    await buckets.set("b", "put", { ttl: 1 });
    const before = copies.version();
    state = state.withLayout(state.nextAs(state.newest, { bucket: "b", n: 5, before: 3 }));
    const during = copies.version();
    expect(copies.all()).toEqual([3, changingCopies({ bucket: "b", n: 5, before: 3 }, 2)]);
    state = reached(reached(reached(state, "ack"), "sync"), "syncAck").retired();
    expect(new Set([before, during, copies.version()]).size).toBe(3);
    const after = copies.version();
    await buckets.adoptCopies("b", 5, 2);
    // What layouts said and what is written down is the same.
    expect(copies.version()).toBe(after);
    expect(buckets.get("b").properties).toMatchObject({ n: 5, ttl: 1 });
    // An older version takes nothing back.
    await buckets.adoptCopies("b", 1, 1);
    expect(buckets.get("b").properties.n).toBe(5);
  });
});

/** A version brings one n, wherever it is met. */
const entry: fc.Arbitrary<BucketEntry> = fc
  .record({
    hlc: fc.nat(4),
    node: fc.constantFrom("00000000000000a1", "00000000000000a2"),
    copiesSince: fc.nat(3),
    isDeleted: fc.boolean(),
  })
  .map((drawn) => {
    const { hlc, node, copiesSince } = drawn;
    // What was written at one time by one node is one thing, too.
    const isSecond = node.endsWith("2");
    const n = copiesSince === 0 ? (hlc % 3) + (isSecond ? 4 : 1) : 10 + copiesSince;
    const explicit = { ttl: hlc * 2 + (isSecond ? 1 : 0), n };
    return { ...drawn, isDeleted: hlc % 2 === 1, name: "b", explicit };
  });

describe("entries of a bucket", () => {
  const bytes = (...entries: BucketEntry[]): string =>
    encodeEntry(entries.reduce((a, b) => joinEntries(a, b))).toHex();

  test("row 107: join to the same in any order, the n of the latest version with the rest of the latest stamp", () => {
    fc.assert(
      fc.property(entry, entry, entry, (a, b, c) => {
        expect(bytes(a, b)).toBe(bytes(b, a));
        expect(bytes(a, a)).toBe(bytes(a));
        expect(bytes(joinEntries(a, b), c)).toBe(bytes(a, joinEntries(b, c)));
        const joined = joinEntries(a, b);
        expect(joined.copiesSince).toBe(Math.max(a.copiesSince, b.copiesSince));
        expect(joined.hlc).toBe(Math.max(a.hlc, b.hlc));
        expect(decodeEntries(encodeEntries([joined]))).toEqual([joined]);
      }),
      { numRuns: 1000 },
    );
  });

  test("two people who did not know of each other may set n and a level beyond it; both are kept", async () => {
    const world = await MerkleWorld.open();
    const buckets = new Buckets(world.store);
    const at = { node: "00000000000000a1", name: "b", isDeleted: false };
    await buckets.merge([{ ...at, hlc: 1, explicit: { n: 1 }, copiesSince: 4 }]);
    await buckets.merge([{ ...at, hlc: 2, explicit: { consistency: "r=3, w=3" }, copiesSince: 0 }]);
    const kept = { n: 1, consistency: "r=3, w=3" };
    expect(buckets.get("b").properties).toMatchObject(kept);
    expect(new Buckets(world.store).get("b").properties).toMatchObject(kept);
    expect(() => checkProperties({ ...DEFAULT_BUCKET_PROPERTIES, ...kept })).toThrow();
  });
});
