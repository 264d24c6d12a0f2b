/**
 * All that all nodes hold, after everything has healed, seen from inside: L1, L2, L4, R55.
 *
 *   L1   the owners of a key hold equal bytes, or none of them holds it
 *   L2   every Merkle tree is ready, has the root that a full read gives, and owners of a partition have equal roots
 *   L4   nobody holds what it does not own
 *   R55  a partition has as many distinct owners as there are nodes, up to n
 */
import type { Violation } from "./history.ts";

/** One key at one node. */
export interface HeldRecord {
  /** `bucket/key` */
  readonly place: string;
  readonly partition: number;
  /** Copies that its bucket wants. */
  readonly n: number;
  /** Hexadecimal. */
  readonly bytes: string;
}

export interface NodeContents {
  readonly name: string;
  readonly id: string;
  /** By place. */
  readonly records: ReadonlyMap<string, HeldRecord>;
  /** Names of trees, `partition/n`, with the root that the index has and that of a full read; only those that are ready. */
  readonly trees: ReadonlyMap<string, { readonly root: string; readonly read: string }>;
  readonly treesNotReady: readonly number[];
}

type OwnersOf = (partition: number, n: number) => readonly string[];

export function checkCopies(nodes: readonly NodeContents[], ownersOf: OwnersOf): Violation[] {
  const places = new Map<string, HeldRecord>();
  for (const { records } of nodes) for (const [place, own] of records) places.set(place, own);
  return [...places.values()].flatMap((record) => checkRecord(record, nodes, ownersOf));
}

function checkRecord(
  { place, partition, n }: HeldRecord,
  nodes: readonly NodeContents[],
  ownersOf: OwnersOf,
): Violation[] {
  const owners = ownersOf(partition, n);
  const strangers = nodes.filter(({ id, records }) => !owners.includes(id) && records.has(place));
  const violations = strangers.map(({ name }) => ({
    invariant: "L4",
    message: `${name} holds it and is no owner of partition ${partition}`,
    key: place,
  }));
  const states = nodes
    .filter(({ id }) => owners.includes(id))
    .map(({ name, records }) => ({ name, bytes: records.get(place)?.bytes ?? "nothing" }));
  if (states.every(({ bytes }) => bytes === states[0]!.bytes)) return violations;
  const told = states.map(({ name, bytes }) => `${name}=${bytes.slice(0, 200)}`).join(" ");
  return [...violations, { invariant: "L1", message: `owners differ: ${told}`, key: place }];
}

export function checkTrees(nodes: readonly NodeContents[], ownersOf: OwnersOf): Violation[] {
  const violations: Violation[] = [];
  const blame = (message: string): void =>
    void violations.push({ invariant: "L2", message, key: "" });
  const names = new Set(nodes.flatMap(({ trees }) => [...trees.keys()]));
  for (const { name, trees, treesNotReady } of nodes) {
    if (treesNotReady.length > 0)
      blame(`${name} has no trees of partitions ${treesNotReady.join()}`);
    for (const [tree, { root, read }] of trees)
      if (root !== read) blame(`${name}: tree ${tree} is ${root}, a full read gives ${read}`);
  }
  for (const tree of names) {
    const [partition = 0, n = 0] = tree.split("/").map(Number);
    const owners = nodes.filter(({ id }) => ownersOf(partition, n).includes(id));
    const roots = owners.map(({ name, trees }) => `${name}=${trees.get(tree)?.root ?? "0:0"}`);
    if (new Set(roots.map((text) => text.split("=")[1])).size > 1)
      blame(`roots of tree ${tree} differ: ${roots.join(" ")}`);
  }
  return violations;
}

/** @param counts the numbers of copies that buckets ask for */
export function checkPreferenceLists(
  nodes: readonly NodeContents[],
  q: number,
  counts: readonly number[],
  ownersOf: OwnersOf,
): Violation[] {
  const violations: Violation[] = [];
  for (const n of counts)
    for (let partition = 0; partition < q; partition++) {
      const owners = ownersOf(partition, n);
      const known = owners.filter((owner) => nodes.some(({ id }) => id === owner));
      if (new Set(known).size === Math.min(n, nodes.length)) continue;
      const message = `partition ${partition} has the owners ${owners.join()}, ${n} copies of ${nodes.length} nodes`;
      violations.push({ invariant: "R55", message, key: "" });
    }
  return violations;
}
