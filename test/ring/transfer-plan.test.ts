import { expect, test } from "bun:test";
import fc from "fast-check";
import { assignLayout } from "../../src/ring/assignment.ts";
import { ownersOf } from "../../src/ring/layout.ts";
import { planTransfers, transferCounts } from "../../src/ring/transfer-plan.ts";
import { arbitraryMembers, arbitraryN, membersInRacks, movedCopies } from "./ring-fixtures.ts";

const members = membersInRacks(5, 1);

test("a join is transfers to the new node, from those that give a copy up", () => {
  const current = assignLayout({ version: 1, q: 64, n: 3, members: members.slice(0, 4) });
  const next = assignLayout({ version: 2, q: 64, n: 3, members, previous: current });
  const newest = members[4]!.id;
  for (const { partition, source, target } of planTransfers(current, next)) {
    expect(target).toBe(newest);
    expect(ownersOf(current, partition)).toContain(source);
    expect(ownersOf(next, partition)).not.toContain(source);
  }
  expect(transferCounts(current, next).get(newest)).toEqual({
    before: 0,
    after: 38,
    incoming: 38,
    outgoing: 0,
  });
});

test("a greater n copies from the first owner", () => {
  const current = assignLayout({ version: 1, q: 16, n: 1, members });
  const next = assignLayout({ version: 2, q: 16, n: 2, members, previous: current });
  const transfers = planTransfers(current, next);
  expect(transfers.length).toBeGreaterThanOrEqual(16);
  for (const { partition, source } of transfers)
    expect([source]).toEqual(ownersOf(current, partition));
});

test("nothing moves between equal layouts", () => {
  const layout = assignLayout({ version: 1, q: 16, n: 3, members });
  expect(planTransfers(layout, layout)).toEqual([]);
});

test("transfers bring every new owner its copy, and the counts add up", () => {
  fc.assert(
    fc.property(arbitraryMembers(), arbitraryMembers(), arbitraryN, (before, after, n) => {
      const current = assignLayout({ version: 1, q: 32, n, members: before });
      const next = assignLayout({ version: 2, q: 32, n, members: after, previous: current });
      const transfers = planTransfers(current, next);
      expect(transfers).toHaveLength(movedCopies(current, next));
      let incoming = 0;
      for (const counts of transferCounts(current, next).values()) {
        incoming += counts.incoming;
        expect(counts.after).toBeLessThanOrEqual(counts.before + counts.incoming);
      }
      expect(incoming).toBe(transfers.length);
    }),
  );
});
