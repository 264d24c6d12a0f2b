import { expect, test } from "bun:test";
import fc from "fast-check";
import { assignLayout } from "../../src/ring/assignment.ts";
import { REPLICAS_MAX, ownersOf, type Layout } from "../../src/ring/layout.ts";
import { preferenceList } from "../../src/ring/preference-list.ts";
import {
  arbitraryMembers,
  arbitraryN,
  arbitraryQ,
  memberOf,
  membersInRacks,
  spreadOf,
  widestSpreadOf,
} from "./ring-fixtures.ts";

/** The walk without zones, done the long way. */
function plainWalk(layout: Layout, partition: number): string[] {
  const met = new Set<string>();
  for (let step = 0; step < layout.q; step++)
    for (const id of ownersOf(layout, (partition + step) % layout.q)) met.add(id);
  for (const { id } of layout.members) met.add(id);
  return [...met];
}

const arbitraryLayout = fc
  .record({ q: arbitraryQ, n: arbitraryN, members: arbitraryMembers() })
  .map((cluster) => assignLayout({ version: 1, ...cluster }));

test("R55: a preference list is every member once, the owners first, at the ring's end too", () => {
  fc.assert(
    fc.property(arbitraryLayout, (layout) => {
      const everybody = layout.members.map(({ id }) => id);
      for (const partition of [0, 1, layout.q >> 1, layout.q - 2, layout.q - 1]) {
        const list = preferenceList(layout, partition);
        expect(list.slice(0, layout.n)).toEqual(ownersOf(layout, partition));
        expect([...list].sort()).toEqual(everybody);
      }
    }),
    { numRuns: 150 },
  );
});

test("R55: however many replicas a bucket has, the first so many of the list are spread as widely as can be", () => {
  fc.assert(
    fc.property(arbitraryLayout, fc.nat(1023), (layout, at) => {
      const memberOfId = new Map(layout.members.map((member) => [member.id, member]));
      const list = preferenceList(layout, at % layout.q).map((id) => memberOfId.get(id)!);
      for (let n = layout.n; n <= Math.min(REPLICAS_MAX, list.length); n++)
        expect(spreadOf(list.slice(0, n))).toBe(widestSpreadOf(layout.members, n));
    }),
    { numRuns: 300 },
  );
});

test("without zones fallbacks come in ring order", () => {
  for (const nodes of [1, 2, 3, 5, 40]) {
    const layout = assignLayout({ version: 1, q: 64, n: 3, members: membersInRacks(nodes, 1) });
    for (let partition = 0; partition < layout.q; partition++)
      expect(preferenceList(layout, partition)).toEqual(plainWalk(layout, partition));
  }
});

test("a fallback on a host of its own comes before one that shares the host of an owner", () => {
  const hosts = ["a", "a", "b", "b", "c", "c", "d"];
  const members = hosts.map((host, at) => memberOf(at, { host }));
  const layout = assignLayout({ version: 1, q: 64, n: 3, members });
  const hostOf = new Map(members.map(({ id, zone }) => [id, zone.host]));
  for (let partition = 0; partition < layout.q; partition++) {
    const firstFour = preferenceList(layout, partition).slice(0, 4);
    expect(new Set(firstFour.map((id) => hostOf.get(id))).size).toBe(4);
  }
});

test("members that own nothing come last, by id", () => {
  const layout = assignLayout({ version: 1, q: 16, n: 1, members: membersInRacks(40, 1) });
  const owning = new Set(layout.owners);
  const idle = layout.members.flatMap(({ id }, at) => (owning.has(at) ? [] : [id]));
  expect(idle).toHaveLength(24);
  for (let partition = 0; partition < layout.q; partition++)
    expect(preferenceList(layout, partition).slice(16)).toEqual(idle);
});

test("the fallbacks of one node's partitions are many nodes", () => {
  const layout = assignLayout({ version: 1, q: 256, n: 3, members: membersInRacks(12, 3) });
  const lost = layout.members[0]!.id;
  const firstFallbacks = new Map<string, number>();
  for (let partition = 0; partition < layout.q; partition++) {
    if (!ownersOf(layout, partition).includes(lost)) continue;
    const fallback = preferenceList(layout, partition)[layout.n]!;
    firstFallbacks.set(fallback, (firstFallbacks.get(fallback) ?? 0) + 1);
  }
  expect(firstFallbacks.size).toBeGreaterThanOrEqual(6);
  expect(Math.max(...firstFallbacks.values())).toBeLessThanOrEqual(64 / 3);
});

test("a list is made once per layout, and what one layout keeps is bounded", () => {
  const members = membersInRacks(40, 1);
  const layout = assignLayout({ version: 1, q: 65_536, n: 3, members });
  const list = preferenceList(layout, 7);
  const other = assignLayout({ version: 2, q: 16, n: 2, members });
  expect(preferenceList(other, 7)).toHaveLength(40);
  expect(preferenceList(layout, 7)).toBe(list);
  // 2^20 entries are 26,214 lists of 40.
  for (let partition = 0; partition < 26_215; partition++) preferenceList(layout, partition);
  const remade = preferenceList(layout, 7);
  expect(remade).not.toBe(list);
  expect(remade).toEqual(list);
});
