import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout } from "../../src/ring/layout.ts";
import { furthest, LayoutTrackers, type Progress } from "../../src/ring/layout-trackers.ts";
import { memberOf } from "./ring-fixtures.ts";

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

/** Trackers over `layouts` where these nodes have reached the version with these trackers. */
function reached(
  layouts: readonly Layout[],
  progress: Readonly<Record<number, Partial<Progress>>>,
  removed: readonly number[] = [],
): LayoutTrackers {
  const entries = Object.entries(progress).map(
    ([node, partial]) => [idOf(Number(node)), { ack: 0, sync: 0, syncAck: 0, ...partial }] as const,
  );
  return new LayoutTrackers(layouts, new Map(entries), new Set(removed.map(idOf)));
}

/** "active 1,2; read 1; needed from 1" */
function stateOf(trackers: LayoutTrackers): string {
  const active = trackers.layouts.map(({ version }) => version).join(",");
  const read = trackers.readVersion().version;
  return `active ${active}; read ${read}; needed from ${trackers.oldestNeeded().version}`;
}

describe("R58: a node joins", () => {
  const joining = layoutsOf(3, 4);

  test("reads stay with the old version until all nodes have synced the new one, the one that joins too", () => {
    expect(stateOf(reached(joining, {}))).toBe("active 1,2; read 1; needed from 1");
    const some = { 0: { sync: 2 }, 1: { sync: 2 }, 3: { sync: 2 } };
    expect(stateOf(reached(joining, some))).toBe("active 1,2; read 1; needed from 1");
    expect(reached(joining, some).behind("sync", 2)).toEqual([idOf(2)]);
    const all = { ...some, 2: { sync: 2 } };
    expect(stateOf(reached(joining, all))).toBe("active 1,2; read 2; needed from 1");
    expect(reached(joining, all).syncedByAll()).toBe(2);
  });

  test("pushing starts when all have acknowledged, the node that joins too", () => {
    const some = { 0: { ack: 2 }, 1: { ack: 2 }, 2: { ack: 2 } };
    expect(reached(joining, some).ackedByAll()).toBe(1);
    expect(reached(joining, { ...some, 3: { ack: 2 } }).ackedByAll()).toBe(2);
  });

  test("the old version is needed until all know that all have synced", () => {
    const done = { ack: 2, sync: 2, syncAck: 2 };
    const all = { 0: done, 1: done, 2: done, 3: { sync: 2 } };
    expect(stateOf(reached(joining, all))).toBe("active 1,2; read 2; needed from 1");
    expect(stateOf(reached(joining, { ...all, 3: done }))).toBe(
      "active 1,2; read 2; needed from 2",
    );
  });

  test("reads do not fall back because of a node that joins later", () => {
    const done = { ack: 2, sync: 2, syncAck: 2 };
    const trackers = reached(layoutsOf(3, 3, 4), { 0: done, 1: done, 2: done });
    expect(trackers.of(idOf(3))).toEqual({ ack: 2, sync: 2, syncAck: 0 });
    // It may still read from version 1, if that is what it has heard of.
    expect(stateOf(trackers)).toBe("active 1,2,3; read 2; needed from 1");
  });
});

test("a node that leaves is waited for; one that is lost for good is not", () => {
  const leaving = layoutsOf(4, 3);
  const done = { ack: 2, sync: 2, syncAck: 2 };
  const staying = { 0: done, 1: done, 2: done };
  expect(stateOf(reached(leaving, staying))).toBe("active 1,2; read 1; needed from 1");
  expect(stateOf(reached(leaving, staying, [3]))).toBe("active 1,2; read 2; needed from 2");
  expect(reached(leaving, staying, [3]).nodes.has(idOf(3))).toBe(false);
});

test("a version number that was left out is nobody's goal: what is older than the next one stays", () => {
  const [first, , third] = layoutsOf(3, 3, 3) as [Layout, Layout, Layout];
  const two = { ack: 2, sync: 2, syncAck: 2 };
  const trackers = reached([first, third], { 0: two, 1: two, 2: two });
  expect(trackers.syncedByAll()).toBe(2);
  expect(stateOf(trackers)).toBe("active 1,3; read 1; needed from 1");
});

test("the newest version stays, whatever is reported", () => {
  const far = { ack: 99, sync: 99, syncAck: 99 };
  const trackers = reached(layoutsOf(3, 3), { 0: far, 1: far, 2: far });
  expect(trackers.syncedByAll()).toBe(2);
  expect(stateOf(trackers)).toBe("active 1,2; read 2; needed from 2");
});

const arbitraryProgress = fc.record({ ack: fc.nat(4), sync: fc.nat(4), syncAck: fc.nat(4) });
const arbitraryReports = fc.dictionary(
  fc.nat(5).map((node) => idOf(node)),
  arbitraryProgress,
);
const fourLayouts = layoutsOf(4, 5, 3, 6);
const after = (reports: Readonly<Record<string, Progress>>): LayoutTrackers =>
  new LayoutTrackers(fourLayouts, new Map(Object.entries(reports)));

test("R58: readVersion() is the newest that every node has synced or was not there before", () => {
  fc.assert(
    fc.property(arbitraryReports, (reports) => {
      const trackers = after(reports);
      const isReadable = (version: number): boolean =>
        fourLayouts
          .slice(0, version)
          .every((layout) => layout.members.every(({ id }) => trackers.of(id).sync >= version));
      const newest = [4, 3, 2].find(isReadable) ?? 1;
      expect(trackers.readVersion().version).toBe(newest);
    }),
    { numRuns: 300 },
  );
});

test("further reports never take anything back", () => {
  fc.assert(
    fc.property(arbitraryReports, arbitraryReports, (earlier, more) => {
      const nodes = new Set([...Object.keys(earlier), ...Object.keys(more)]);
      const none = { ack: 0, sync: 0, syncAck: 0 };
      const both = [...nodes].map(
        (node) => [node, furthest(earlier[node] ?? none, more[node] ?? none)] as const,
      );
      const [before, now] = [after(earlier), after(Object.fromEntries(both))];
      expect(now.readVersion().version).toBeGreaterThanOrEqual(before.readVersion().version);
      expect(now.oldestNeeded().version).toBeGreaterThanOrEqual(before.oldestNeeded().version);
      expect(now.ackedByAll()).toBeGreaterThanOrEqual(before.ackedByAll());
    }),
  );
});
