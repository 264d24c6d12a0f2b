import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { hex } from "../../src/base/bytes.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import { encodeLayout, equalLayouts, type Layout, ownersOf } from "../../src/ring/layout.ts";
import { ACTIVE_LAYOUTS_MAX, CONTENTS_MAX } from "../../src/ring/layout-history.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import type { LayoutChange } from "../../src/ring/staged-changes.ts";
import { planTransfers } from "../../src/ring/transfer-plan.ts";
import { arbitrarySteps, LayoutWorld } from "./layout-world.ts";
import { memberOf } from "./ring-fixtures.ts";

const COPIES = 3;
const members = Array.from({ length: 4 }, (_, at) => memberOf(at));
const [idA, idB, idC, idD] = members.map(({ id }) => id) as [string, string, string, string];
const newcomer = memberOf(9);
const start = LayoutState.first(assignLayout({ version: 1, q: 64, n: COPIES, members }));

const textOf = (state: LayoutState): string => hex(state.encode());
const versionsOf = (layouts: readonly Layout[]): number[] => layouts.map(({ version }) => version);
const idsOf = (layout: Layout): string[] => layout.members.map(({ id }) => id);
const staged = (state: LayoutState, ...changes: readonly LayoutChange[]): LayoutState =>
  state.stage(changes, { hlc: 1, node: idA });
const applied = (state: LayoutState): LayoutState =>
  state.withLayout(state.next(COPIES), state.lost);
/** Every one of `nodes` has gone all the way to the newest version. */
const done = (state: LayoutState, nodes: readonly string[] = [...state.trackers.nodes]) => {
  const { version } = state.newest;
  const reached = { ack: version, sync: version, syncAck: version };
  return nodes.reduce((now, node) => now.report(node, reached), state);
};
const again = (state: LayoutState): LayoutState => {
  const swapped = state.newest.owners.slice().reverse();
  return state.withLayout({ ...state.nextAs(state.newest), owners: swapped });
};

describe.each([
  ["voted for", false],
  ["forced by anybody", true],
])("R57, R58: a changing ring, versions %s", (_, isForced) => {
  test("nobody lets a version go that another still reads; all come to the same bytes, and to one layout in the end", () => {
    fc.assert(
      fc.property(arbitrarySteps(250), (steps) => {
        const settled = new LayoutWorld({ isForced }).run(steps).settle();
        if (settled === undefined) return;
        expect(settled.layouts).toEqual([settled.readLayout]);
        expect(settled.conflicts.size).toBe(0);
        expect(idsOf(settled.newest).filter((id) => settled.removed.has(id))).toEqual([]);
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });

  test("states are a join semilattice", () => {
    const picks = fc.array(fc.nat(), { minLength: 30, maxLength: 30 });
    fc.assert(
      fc.property(arbitrarySteps(250), picks, (steps, picked) => {
        const { seen } = new LayoutWorld({ isForced }).run(steps);
        const pick = (at: number): LayoutState => seen[picked[at]! % seen.length]!;
        for (let at = 0; at < picked.length; at += 3) {
          const [a, b, c] = [pick(at), pick(at + 1), pick(at + 2)];
          const both = a.merge(b);
          expect(textOf(b.merge(a))).toBe(textOf(both));
          expect(textOf(a.merge(b.merge(c)))).toBe(textOf(both.merge(c)));
          expect(both.merge(a)).toBe(both);
          expect(both.merge(b)).toBe(both);
          // What is later stays later, whatever else is heard.
          expect(textOf(a.merge(c).merge(both.merge(c)))).toBe(textOf(both.merge(c)));
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});

describe("staged changes", () => {
  test("of two for one node the later stamp wins, and `none` takes back", () => {
    const update: LayoutChange = { kind: "update", node: idB, weight: 5 };
    const leave: LayoutChange = { kind: "leave", node: idB };
    const early = start.stage([update], { hlc: 1, node: idA });
    const late = start.stage([leave], { hlc: 2, node: idC });
    expect([...early.merge(late).staged.values()]).toEqual([leave]);
    expect([...late.merge(early).staged.values()]).toEqual([leave]);
    const none = late.stage([{ kind: "none", node: idB }], { hlc: 3, node: idA });
    expect(none.staged.size).toBe(0);
    expect(late.merge(none).staged.size).toBe(0);
    expect(() => none.next(COPIES)).toThrow(/nothing is staged/);
  });

  test("an update adds to what is staged for the node", () => {
    const zone = { dc: "dc2", rack: "r2", host: "h2" };
    const join: LayoutChange = { kind: "join", member: newcomer };
    let state = staged(start, join, { kind: "update", node: idB, weight: 5 });
    state = state.stage(
      [
        { kind: "update", node: newcomer.id, weight: 7 },
        { kind: "update", node: idB, zone },
      ],
      { hlc: 2, node: idA },
    );
    expect(state.staged.get(idB)).toEqual({ kind: "update", node: idB, weight: 5, zone });
    const next = state.next(COPIES).members;
    expect(next.find(({ id }) => id === newcomer.id)?.weight).toBe(7);
    expect(next.find(({ id }) => id === idB)).toEqual({ ...members[1]!, weight: 5, zone });
  });

  test("a newer version makes them void, also where they are heard of later", () => {
    const elsewhere = staged(start, { kind: "leave", node: idB });
    const state = applied(staged(start, { kind: "join", member: newcomer }));
    expect(state.staged.size).toBe(0);
    expect(state.merge(elsewhere)).toBe(state);
  });

  test("nobody is left, or who is gone joins: refused", () => {
    const all = members.map(({ id }): LayoutChange => ({ kind: "leave", node: id }));
    expect(() => staged(start, ...all).next(COPIES)).toThrow(/it would have 0 members/);
    const gone = applied(staged(start, { kind: "remove", node: idB }));
    expect(() => staged(gone, { kind: "join", member: members[1]! })).toThrow(
      /gone for ever since layout version 2/,
    );
  });
});

describe("the next layout", () => {
  test("several joins are one version, which moves copies to the new nodes only", () => {
    const joining = [memberOf(20), memberOf(21)];
    const state = staged(start, ...joining.map((member) => ({ kind: "join", member }) as const));
    const next = state.next(COPIES);
    expect(next.version).toBe(2);
    const targets = new Set(planTransfers(start.newest, next).map(({ target }) => target));
    expect(targets).toEqual(new Set(joining.map(({ id }) => id)));
  });

  test("replace: the assignment stays, with one id in place of the other, wherever that sorts", () => {
    for (const heir of [newcomer, memberOf(2 ** 20), memberOf(77, { host: "elsewhere" })])
      for (const { id } of members) {
        const state = staged(start, { kind: "join", member: heir, replaces: id });
        const next = state.next(COPIES);
        expect(state.lost).toEqual([id]);
        for (let partition = 0; partition < next.q; partition++)
          expect(ownersOf(next, partition)).toEqual(
            ownersOf(start.newest, partition).map((owner) => (owner === id ? heir.id : owner)),
          );
      }
  });

  test("replace: one that is staged to leave is not lost, it hands over and goes", () => {
    const state = staged(
      start,
      { kind: "join", member: newcomer, replaces: idB },
      { kind: "leave", node: idB },
    );
    expect(state.lost).toEqual([]);
    expect(idsOf(state.next(COPIES))).not.toContain(idB);
    expect(applied(state).trackers.nodes.has(idB)).toBe(true);
  });

  test("what changes neither weights nor zones moves nothing", () => {
    const host = { ...members[1]!.zone, host: "renamed" };
    const next = staged(start, { kind: "update", node: idB, zone: host }).next(COPIES);
    expect(next.owners).toEqual(start.newest.owners);
    expect(next.members[idsOf(next).indexOf(idB)]?.zone).toEqual(host);
  });

  test("nextAs() goes back to a layout under a new number", () => {
    const changed = applied(staged(start, { kind: "join", member: newcomer }));
    const back = changed.withLayout(changed.nextAs(start.newest));
    expect(versionsOf(back.layouts)).toEqual([1, 2, 3]);
    expect(equalLayouts({ ...back.newest, version: 1 }, start.newest)).toBe(true);
  });

  test("it is newer than what is there, and the same one may come twice", () => {
    const next = staged(start, { kind: "leave", node: idB }).next(COPIES);
    const state = start.withLayout(next);
    expect(state.withLayout(next)).toBe(state);
    expect(() => again(start).withLayout(next)).toThrow(/version 2 is there already/);
    expect(versionsOf(start.withLayout({ ...next, version: 7 }).layouts)).toEqual([1, 7]);
  });

  test("active layouts are bounded; what clears a dead node away may come on top", () => {
    let state = start;
    while (state.layouts.length < ACTIVE_LAYOUTS_MAX) state = again(state);
    expect(() => again(state)).toThrow(/8 versions have not retired/);
    state = applied(staged(state, { kind: "remove", node: idB }));
    state = done(state).retired();
    expect(versionsOf(state.layouts)).toEqual([ACTIVE_LAYOUTS_MAX + 1]);
  });
});

describe("nodes that go", () => {
  test("R58: one that is lost is waited for no more, at once", () => {
    const state = applied(staged(start, { kind: "remove", node: idD }));
    expect([...state.removed]).toEqual([[idD, 2]]);
    expect(state.members.has(idD)).toBe(false);
    expect(state.readLayout.version).toBe(1);
    expect(versionsOf(done(state).retired().layouts)).toEqual([2]);
    expect(state.report(idD, { ack: 2 })).toBe(state);
  });

  test("R60: one that leaves is gone when its last version retires", () => {
    const leaving = applied(staged(start, { kind: "leave", node: idD }));
    const waiting = done(leaving, [idA, idB, idC]);
    expect(waiting.retired()).toBe(waiting);
    expect(waiting.members.has(idD)).toBe(true);
    const retired = done(waiting).retired();
    expect([...retired.removed]).toEqual([[idD, 2]]);
    expect(versionsOf(leaving.merge(retired).layouts)).toEqual([2]);
  });

  test("R60: a leave can be taken back until reads have left the node's last version", () => {
    const leaving = applied(staged(start, { kind: "leave", node: idD }));
    const stayed = leaving.withLayout(leaving.nextAs(start.newest));
    expect(done(stayed).retired().removed.size).toBe(0);
    const synced = done(leaving, [idA, idB, idC]).report(idD, { ack: 2, sync: 2 });
    expect(() => synced.withLayout(synced.nextAs(start.newest))).toThrow(/it is leaving/);
  });

  test("a removal is not taken back by going back, and a layout that names the node heals", () => {
    const removed = applied(staged(start, { kind: "remove", node: idD }));
    expect(() => removed.withLayout(removed.nextAs(start.newest))).toThrow(/gone for ever/);
    const both = removed.merge(again(again(start)));
    expect(idsOf(both.newest)).toContain(idD);
    expect(idsOf(both.next(COPIES))).not.toContain(idD);
  });
});

describe("R57: two contents of one version", () => {
  const left = applied(staged(start, { kind: "join", member: newcomer }));
  const right = applied(staged(start, { kind: "leave", node: idB }));
  const both = left.merge(right);

  test("both are held, neither counts, and nothing else can be made of them", () => {
    expect(versionsOf(both.layouts)).toEqual([1]);
    expect([...both.conflicts.keys()]).toEqual([2]);
    expect(both.conflicts.get(2)).toHaveLength(2);
    expect(both.trackers.nodes.has(newcomer.id)).toBe(false);
    expect(() => staged(both, { kind: "leave", node: idC }).next(COPIES)).toThrow(
      /version 2 has several contents/,
    );
  });

  test("a newer version settles it, for those too who hear of it later", () => {
    const settled = both.withLayout(both.nextAs(left.newest));
    expect(versionsOf(settled.layouts)).toEqual([1, 3]);
    expect(settled.conflicts.size).toBe(0);
    expect(settled.merge(right)).toBe(settled);
    expect(idsOf(done(settled).retired().newest)).toContain(newcomer.id);
  });

  test("of many contents the lowest hashes are kept, in whatever order they come", () => {
    const contents = [1, 2, 3, 4, 5, 6].map((weight) =>
      applied(staged(start, { kind: "update", node: idB, weight: 10 * weight })),
    );
    const all = contents.reduce((now, next) => now.merge(next));
    expect(all.conflicts.get(2)).toHaveLength(CONTENTS_MAX);
    expect(textOf(contents.reduceRight((now, next) => now.merge(next)))).toBe(textOf(all));
  });

  test("R58: what turns up when somebody knows that all have synced comes too late", () => {
    const known = done(left);
    expect(versionsOf(known.merge(right).layouts)).toEqual([1, 2]);
    expect(known.merge(right).conflicts.size).toBe(0);
    expect(textOf(right.merge(known))).toBe(textOf(known.merge(right)));
  });
});

describe("the encoding", () => {
  const rich = applied(staged(start, { kind: "remove", node: idD }))
    .report(idA, { ack: 2 })
    .merge(applied(staged(start, { kind: "join", member: newcomer })))
    .stage(
      [
        { kind: "join", member: memberOf(30), replaces: idB },
        { kind: "leave", node: idC },
        { kind: "update", node: idA, weight: 9, zone: members[0]!.zone },
        { kind: "remove", node: idB },
        { kind: "none", node: newcomer.id },
      ],
      { hlc: 2 ** 50, node: idA },
    );

  test("a state survives it, down to its hash", () => {
    const read = LayoutState.decode(rich.encode());
    expect(textOf(read)).toBe(textOf(rich));
    expect(read.hash).toBe(rich.hash);
    expect(read.staged).toEqual(rich.staged);
    expect(read.merge(rich)).toBe(read);
    expect(start.hash).not.toBe(rich.hash);
    expect(start.encode()[0]).toBe(2);
  });

  test("the form from before there were several layouts is read as the first", () => {
    const read = LayoutState.decode(encodeLayout(start.newest));
    expect(textOf(read)).toBe(textOf(start));
  });

  test("a cluster with another q is another cluster", () => {
    const other = LayoutState.first(assignLayout({ version: 1, q: 32, n: COPIES, members }));
    expect(() => start.merge(other)).toThrow(/32 partitions there, 64 here/);
  });

  test("every prefix is refused, and so is what follows the end", () => {
    const bytes = rich.encode();
    for (let length = 0; length < bytes.length; length++)
      expect(() => LayoutState.decode(bytes.subarray(0, length))).toThrow(DecodeError);
    expect(() => LayoutState.decode(new Uint8Array([...bytes, 0]))).toThrow(DecodeError);
  });

  test("changed bytes give a state that merges and survives its encoding, or are refused", () => {
    const bytes = rich.encode();
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const changed = bytes.slice();
        for (const [at, value] of changes) changed[at] = value;
        let read: LayoutState;
        try {
          read = LayoutState.decode(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        expect(textOf(LayoutState.decode(read.encode()))).toBe(textOf(read));
        const merged = read.merge(rich);
        expect(textOf(rich.merge(read))).toBe(textOf(merged));
        expect(merged.layouts).toContain(merged.readLayout);
      }),
      { numRuns: 3000 },
    );
  });
});
