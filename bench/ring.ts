/**
 * The ring: how evenly layouts share partitions, how many distinct sets of owners they make, what a join moves, and how long it takes.
 *
 *   bun bench/ring.ts
 *
 * N = 3, equal weights; ratios are the greatest count over the mean. "moved" is what one more node moves, over its fair share of copies.
 */
import { assignLayout } from "../src/ring/assignment.ts";
import type { Layout, LayoutMember } from "../src/ring/layout.ts";
import { preferenceList } from "../src/ring/preference-list.ts";
import { planTransfers } from "../src/ring/transfer-plan.ts";

const REPLICA_COUNT = 3;
/** Nodes, racks, partitions. */
const CLUSTERS: readonly (readonly [number, number, number])[] = [
  [3, 1, 256],
  [10, 1, 256],
  [10, 1, 1024],
  [10, 5, 256],
  [100, 1, 256],
  [100, 1, 4096],
  [100, 5, 4096],
  [1000, 1, 256],
  [1000, 1, 16_384],
  [1000, 5, 16_384],
  [1000, 5, 65_536],
];

function memberOf(index: number, rackCount: number): LayoutMember {
  return {
    id: (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(16, "0"),
    name: `n${index}`,
    zone: { dc: "dc1", rack: `r${index % rackCount}`, host: `h${index}` },
    weight: 1,
    peerAddress: "",
  };
}

/** How often each member stands at one of the first `places` places. */
function counts({ n, members, owners }: Layout, places: number): number[] {
  const result = new Array<number>(members.length).fill(0);
  for (const [at, owner] of owners.entries()) if (at % n < places) result[owner]!++;
  return result;
}

function evenness(loads: readonly number[]): string {
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  return (Math.max(...loads) / mean).toFixed(3);
}

function ownerSetCount({ q, n, owners }: Layout): number {
  const sets = new Set<string>();
  for (let p = 0; p < q; p++)
    sets.add(
      owners
        .slice(p * n, (p + 1) * n)
        .sort()
        .join(),
    );
  return sets.size;
}

/** Of a list that is known, as on the way of every request. */
function lookupNs(layout: Layout): number {
  const lookupCount = 1_000_000;
  const listCount = Math.min(layout.q, 256);
  let length = 0;
  for (let i = 0; i < listCount; i++) length += preferenceList(layout, i).length;
  const startMs = performance.now();
  for (let i = 0; i < lookupCount; i++) length += preferenceList(layout, i % listCount).length;
  if (length === 0) throw new Error("no lists");
  return ((performance.now() - startMs) * 1e6) / lookupCount;
}

function timed<T>(work: () => T): [T, string] {
  const startMs = performance.now();
  const result = work();
  return [result, `${Math.round(performance.now() - startMs)} ms`];
}

function row(nodeCount: number, rackCount: number, q: number): string[] {
  const everybody = Array.from({ length: nodeCount + 1 }, (_, at) => memberOf(at, rackCount));
  const members = everybody.slice(0, nodeCount);
  const request = { version: 1, q, n: REPLICA_COUNT, members };
  const [layout, firstTime] = timed(() => assignLayout(request));
  const [joined, joinTime] = timed(() =>
    assignLayout({ ...request, version: 2, members: everybody, previous: layout }),
  );
  const owned = counts(layout, REPLICA_COUNT);
  const fairShare = (q * REPLICA_COUNT) / (nodeCount + 1);
  return [
    `${nodeCount}`,
    `${rackCount}`,
    `${q}`,
    `${Math.min(...owned)}..${Math.max(...owned)}`,
    evenness(owned),
    evenness(counts(layout, 1)),
    `${ownerSetCount(layout)}`,
    `${(planTransfers(layout, joined).length / fairShare).toFixed(2)}`,
    firstTime,
    joinTime,
    `${lookupNs(layout).toFixed(0)} ns`,
  ];
}

const HEADINGS = [
  "nodes",
  "racks",
  "Q",
  "owned",
  "max/mean",
  "minted max/mean",
  "owner sets",
  "moved",
  "new",
  "join",
  "list",
];
const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
console.log(line(HEADINGS));
console.log(line(HEADINGS.map(() => "---")));
for (const cluster of CLUSTERS) console.log(line(row(...cluster)));
