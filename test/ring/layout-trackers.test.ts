import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout } from "../../src/ring/layout.ts";
import {
  ACTIVE_LAYOUTS_MAX,
  LayoutTrackers,
  type Progress,
} from "../../src/ring/layout-trackers.ts";
import { memberOf, ownersAt } from "./ring-fixtures.ts";

const members = Array.from({ length: 6 }, (_, at) => memberOf(at));
const idOf = (node: number): string => members[node]!.id;

/** Layouts 1, 2, ... over the first so many members. */
function layoutsOf(...sizes: readonly number[]): Layout[] {
  const layouts: Layout[] = [];
  for (const [at, size] of sizes.entries()) {
    const previous = layouts.at(-1);
    const request = { version: at + 1, q: 16, n: 3, members: members.slice(0, size) };
    layouts.push(assignLayout(previous === undefined ? request : { ...request, previous }));
  }
  return layouts;
}

/** "active 1,2; read 1; retirable 1" */
function stateOf(trackers: LayoutTrackers): string {
  const versions = (layouts: readonly Layout[]): string =>
    layouts.map(({ version }) => version).join(",");
  const { version } = trackers.readVersion();
  return `write ${versions(trackers.writeVersions())}; read ${version}; retirable ${versions(trackers.retirable())}`;
}

describe("R58: a node joins", () => {
  const joining = (): LayoutTrackers => {
    const [first, second] = layoutsOf(3, 4) as [Layout, Layout];
    return new LayoutTrackers([first]).withLayout(second);
  };
  const everyone = (trackers: LayoutTrackers, reached: Partial<Progress>): LayoutTrackers =>
    [...trackers.nodes].reduce((now, node) => now.report(node, reached), trackers);

  test("writes go to both versions and reads stay with the old one until a majority of its owners has synced", () => {
    let trackers = joining();
    expect(stateOf(trackers)).toBe("write 1,2; read 1; retirable ");
    trackers = trackers.report(idOf(0), { sync: 2 });
    // The node that joins owns nothing in version 1: its word does not count.
    trackers = trackers.report(idOf(3), { sync: 2 });
    expect(stateOf(trackers)).toBe("write 1,2; read 1; retirable ");
    expect(stateOf(trackers.report(idOf(1), { sync: 2 }))).toBe("write 1,2; read 2; retirable ");
  });

  test("pushing starts when all have acknowledged, the node that joins too", () => {
    let trackers = joining();
    for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), { ack: 2 });
    expect(trackers.ackedByAll()).toBe(0);
    expect(trackers.report(idOf(3), { ack: 2 }).ackedByAll()).toBe(2);
  });

  test("the old version retires when all know that all have synced", () => {
    let trackers = everyone(joining(), { ack: 2, sync: 2 });
    expect(trackers.syncedByAll()).toBe(2);
    for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), { syncAck: 2 });
    expect(trackers.retire()).toBe(trackers);
    trackers = trackers.report(idOf(3), { syncAck: 2 });
    expect(stateOf(trackers)).toBe("write 1,2; read 2; retirable 1");
    expect(stateOf(trackers.retire())).toBe("write 2; read 2; retirable ");
  });

  test("a join that failed is undone by the old assignment as version 3", () => {
    const undone = { ...layoutsOf(3)[0]!, version: 3 };
    const done = { ack: 3, sync: 3, syncAck: 3 };
    let trackers = joining().withLayout(undone);
    expect(stateOf(trackers)).toBe("write 1,2,3; read 1; retirable ");
    for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), done);
    expect(stateOf(trackers)).toBe("write 1,2,3; read 3; retirable ");
    // The node that failed to join is lost: somebody answers for it.
    expect(stateOf(trackers.report(idOf(3), done).retire())).toBe("write 3; read 3; retirable ");
  });
});

test("a node that leaves is waited for, and forgotten with its last version", () => {
  const [first, second] = layoutsOf(4, 3) as [Layout, Layout];
  let trackers = new LayoutTrackers([first]).withLayout(second);
  const done = { ack: 2, sync: 2, syncAck: 2 };
  for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), done);
  expect(trackers.retirable()).toEqual([]);
  trackers = trackers.report(idOf(3), done).retire();
  expect([...trackers.nodes]).toEqual(second.members.map(({ id }) => id));
  expect(trackers.progress.has(idOf(3))).toBe(false);
});

test("a version retires only when a newer one has been synced: the synced one stays until the next has", () => {
  let trackers = new LayoutTrackers(layoutsOf(3, 3, 3));
  for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), { sync: 2, syncAck: 2 });
  expect(stateOf(trackers)).toBe("write 1,2,3; read 2; retirable 1");
  expect(stateOf(trackers.retire())).toBe("write 2,3; read 2; retirable ");
});

test("the newest version never retires, an older or known one changes nothing, and active ones are bounded", () => {
  const sizes = new Array<number>(ACTIVE_LAYOUTS_MAX + 1).fill(3);
  const layouts = layoutsOf(...sizes);
  let trackers = new LayoutTrackers(layouts.slice(0, 1));
  for (const layout of layouts.slice(1, -1)) trackers = trackers.withLayout(layout);
  expect(trackers.withLayout(layouts[2]!)).toBe(trackers);
  expect(() => trackers.withLayout(layouts.at(-1)!)).toThrow(/8 versions are active/);
  for (const node of [0, 1, 2]) trackers = trackers.report(idOf(node), { sync: 99, syncAck: 99 });
  expect(stateOf(trackers.retire())).toBe(
    `write ${ACTIVE_LAYOUTS_MAX}; read ${ACTIVE_LAYOUTS_MAX}; retirable `,
  );
});

const arbitraryProgress = fc.record({ ack: fc.nat(4), sync: fc.nat(4), syncAck: fc.nat(4) });
const arbitraryReport = fc
  .array(fc.tuple(fc.nat(5), arbitraryProgress))
  .map((entries) => new Map(entries.map(([node, progress]) => [idOf(node), progress])));
const fourLayouts = layoutsOf(4, 5, 3, 6);

test("trackers merge by maximum: order and repetition do not matter, and nobody falls back", () => {
  const start = new LayoutTrackers(fourLayouts);
  const entries = (trackers: LayoutTrackers): unknown => [...trackers.progress].sort();
  fc.assert(
    fc.property(arbitraryReport, arbitraryReport, (a, b) => {
      const both = start.merge(a).merge(b);
      expect(entries(start.merge(b).merge(a))).toEqual(entries(both));
      expect(both.merge(a).merge(b)).toBe(both);
      expect(both.readVersion().version).toBeGreaterThanOrEqual(
        start.merge(a).readVersion().version,
      );
    }),
  );
});

test("R58: readVersion() is the newest that a majority of each older owner set has synced", () => {
  fc.assert(
    fc.property(arbitraryReport, (report) => {
      const trackers = new LayoutTrackers(fourLayouts).merge(report);
      const isReadable = (version: number): boolean =>
        fourLayouts
          .slice(0, version - 1)
          .every((older) =>
            Array.from({ length: older.q }, (_, partition) => ownersAt(older, partition)).every(
              (owners) =>
                2 * owners.filter(({ id }) => trackers.of(id).sync >= version).length >
                owners.length,
            ),
          );
      const newest = [4, 3, 2, 1].find(isReadable);
      expect(trackers.readVersion().version).toBe(newest!);
    }),
    { numRuns: 300 },
  );
});

test("reports of strangers are left out", () => {
  const trackers = new LayoutTrackers(layoutsOf(3));
  expect(trackers.report(idOf(5), { ack: 1 })).toBe(trackers);
});
