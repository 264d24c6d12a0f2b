import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { previewOf, spreadOf } from "../../src/cluster/layout-plan.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout } from "../../src/ring/layout.ts";
import { ownedCounts, planTransfers } from "../../src/ring/transfer-plan.ts";
import {
  arbitraryMembers,
  arbitraryN,
  loadOf,
  memberOf,
  membersInRacks,
  movedCopies,
  ownersAt,
} from "../ring/ring-fixtures.ts";

const MEBIBYTE = 1024 * 1024;

describe("previewOf()", () => {
  test("R57: its numbers are those of the transfers that the streams will follow", () => {
    fc.assert(
      fc.property(arbitraryMembers(), arbitraryMembers(), arbitraryN, (before, after, n) => {
        const current = assignLayout({ version: 1, q: 32, n, members: before });
        const next = assignLayout({ version: 2, q: 32, n, members: after, previous: current });
        const preview = previewOf(current, next, (node) => Number.parseInt(node.slice(-3), 16));
        const transfers = planTransfers(current, next);
        expect(preview.version).toBe(2);
        expect(preview.moves.partitions).toBe(transfers.length);
        expect(preview.moves.partitions).toBe(movedCopies(current, next));
        const bytes = transfers.map(({ source }) => Number.parseInt(source.slice(-3), 16));
        expect(preview.moves.bytes).toBe(bytes.reduce((sum, each) => sum + each, 0));
        const sum = (pick: (load: (typeof preview.nodes)[number]) => number): number =>
          preview.nodes.reduce((total, load) => total + pick(load), 0);
        expect(sum(({ incoming }) => incoming)).toBe(transfers.length);
        expect(sum(({ bytesIn }) => bytesIn)).toBe(preview.moves.bytes);
        expect(sum((load) => load.before)).toBe(current.owners.length);
        expect(sum((load) => load.after)).toBe(next.owners.length);
        const owned = [...ownedCounts(next)].map(([id, count]) => [
          next.members.find((member) => member.id === id)!.name,
          count,
        ]);
        for (const [name, count] of owned)
          expect(preview.nodes.find(({ id }) => id === name)!.after).toBe(Number(count));
      }),
    );
  });

  test("adding one node to n equal nodes moves about 1/(n+1) of the copies and no more", () => {
    for (const count of [3, 4, 5, 9, 20]) {
      const members = membersInRacks(count + 1, 1);
      const current = assignLayout({ version: 1, q: 256, n: 3, members: members.slice(0, count) });
      const next = assignLayout({ version: 2, q: 256, n: 3, members, previous: current });
      const { moves, nodes } = previewOf(current, next, () => MEBIBYTE);
      const share = next.owners.length / (count + 1);
      expect(moves.partitions).toBeGreaterThanOrEqual(Math.floor(share));
      expect(moves.partitions).toBeLessThanOrEqual(Math.ceil(share * 1.05));
      expect(moves.bytes).toBe(moves.partitions * MEBIBYTE);
      const joined = nodes.find(({ before }) => before === 0)!;
      expect(joined.id).toBe(`n${count}`);
      expect(joined.bytesIn).toBe(joined.incoming * MEBIBYTE);
      expect(loadOf(next)[next.members.findIndex(({ name }) => name === joined.id)]).toBe(
        joined.after,
      );
    }
  });

  test("nothing moves between equal layouts", () => {
    const layout = assignLayout({ version: 1, q: 16, n: 3, members: membersInRacks(4, 2) });
    expect(previewOf(layout, layout, () => 1).moves).toEqual({ partitions: 0, bytes: 0 });
  });
});

/** Distinct dcs, racks and hosts of a partition, the plain way. */
function spreadAt(layout: Layout, partition: number): number[] {
  const zones = ownersAt(layout, partition).map(({ zone }) => zone);
  return [
    zones.map(({ dc }) => dc),
    zones.map(({ dc, rack }) => JSON.stringify([dc, rack])),
    zones.map(({ dc, rack, host }) => JSON.stringify([dc, rack, host])),
  ].map((texts) => new Set(texts).size);
}

describe("spreadOf()", () => {
  test("R55: no partition of a layout that was assigned is below the widest spread", () => {
    fc.assert(
      fc.property(arbitraryMembers(), arbitraryN, (members, n) => {
        const layout = assignLayout({ version: 1, q: 32, n, members });
        const { widest, least, below } = spreadOf(layout);
        expect(below).toEqual([]);
        expect(least).toEqual(widest);
      }),
    );
  });

  test("names the partitions whose copies lie closer together than they could", () => {
    fc.assert(
      fc.property(arbitraryMembers(), fc.infiniteStream(fc.nat(2)), (members, racks) => {
        const layout = assignLayout({ version: 1, q: 32, n: 3, members });
        const moved = new Map(
          layout.members.map(({ id, zone }) => [
            id,
            { ...zone, rack: `r${racks.next().value as number}` },
          ]),
        );
        const today = {
          ...layout,
          members: layout.members.map((member) => ({ ...member, zone: moved.get(member.id)! })),
        };
        const { widest, least, below } = spreadOf(layout, ({ id }) => moved.get(id)!);
        const spreads = Array.from({ length: layout.q }, (_, at) => spreadAt(today, at));
        const want = [widest.dcs, widest.racks, widest.hosts];
        expect(below).toEqual(
          spreads.flatMap((each, at) => (each.some((count, i) => count < want[i]!) ? [at] : [])),
        );
        expect([least.dcs, least.racks, least.hosts]).toEqual(
          want.map((_, level) => Math.min(...spreads.map((each) => each[level]!))),
        );
      }),
    );
  });

  test("three racks: three copies in three of them; after one is relabelled, some in two", () => {
    const layout = assignLayout({ version: 1, q: 16, n: 3, members: membersInRacks(6, 3) });
    expect(spreadOf(layout).widest).toEqual({ dcs: 1, racks: 3, hosts: 3 });
    const name = memberOf(0).name;
    const { below } = spreadOf(layout, (member) =>
      member.name === name ? { ...member.zone, rack: "r1" } : member.zone,
    );
    const owned = [...ownedCounts(layout)].find(([id]) => id === memberOf(0).id)![1];
    expect(below.length).toBeGreaterThan(0);
    expect(below.length).toBeLessThanOrEqual(owned);
  });
});
