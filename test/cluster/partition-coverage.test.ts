/** Whom a listing asks. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import type { ClusterView } from "../../src/cluster/cluster-view.ts";
import { type Coverage, cover, coverByQuorum } from "../../src/cluster/partition-coverage.ts";
import { PartitionSet } from "../../src/cluster/partition-set.ts";
import type { NodeId } from "../../src/gossip/member.ts";
import { nodeId, randomLayout, viewOf } from "../support/scan-cluster.ts";

const anybody = (): boolean => true;

function copiesOf(coverage: Coverage, partition: number): NodeId[] {
  return coverage.nodes
    .filter(({ partitions }) => partitions.has(partition))
    .map(({ node }) => node);
}

function ownersOf(view: ClusterView, partition: number, n: number): readonly NodeId[] {
  return view.walk(partition).slice(0, view.effectiveN(n));
}

describe("coverByQuorum", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "R62: every partition has a quorum of serving owners that answer, or is named, seed %d",
    (seed) => {
      const prng = new Prng(`coverage/${seed}`);
      const layout = randomLayout(prng, prng.between(1, 9), 64, prng.between(1, 5));
      const ids = layout.members.map(({ id }) => id);
      const phases = Object.fromEntries(
        ids.map((id) => [id, prng.chance(0.2) ? "syncing" : "serving"] as const),
      );
      const view = viewOf(layout, prng.pick(ids), phases);
      const silent = new Set(ids.filter((id) => id !== view.self && prng.chance(0.2)));
      const n = prng.between(1, 7);
      const coverage = coverByQuorum(view, n, (node) => !silent.has(node));
      const quorum = Math.floor(view.effectiveN(n) / 2) + 1;
      for (let partition = 0; partition < layout.q; partition++) {
        const able = ownersOf(view, partition, n).filter(
          (node) => phases[node] === "serving" && !silent.has(node),
        );
        const copies = copiesOf(coverage, partition);
        expect(new Set(copies).size).toBe(copies.length);
        expect(copies.every((node) => able.includes(node))).toBe(true);
        expect(copies.length).toBe(Math.min(quorum, able.length));
        expect(coverage.missing.has(partition)).toBe(able.length === 0);
        expect(coverage.partial.has(partition)).toBe(able.length > 0 && able.length < quorum);
      }
      expect(coverage.nodes.every(({ partitions }) => !partitions.isEmpty)).toBe(true);
    },
  );

  test("this node comes first, and three nodes of three copies are asked two at a time", () => {
    const layout = randomLayout(new Prng("three"), 3, 64, 3);
    for (const { id } of layout.members) {
      const { nodes } = coverByQuorum(viewOf(layout, id), 3, anybody);
      expect(nodes.length).toBe(2);
      expect(nodes[0]!.node).toBe(id);
      for (const { partitions } of nodes) expect(partitions.members().length).toBe(64);
    }
  });

  test("a node that owns nothing asks others alone", () => {
    const layout = { ...randomLayout(new Prng("none"), 4, 16, 1), owners: new Uint16Array(16) };
    const { nodes } = coverByQuorum(viewOf(layout, nodeId(3)), 1, anybody);
    expect(nodes.map(({ node }) => node)).toEqual([nodeId(0)]);
  });

  test("many nodes: a quorum of each partition is asked and no more", () => {
    const layout = randomLayout(new Prng("many"), 96, 1024, 3);
    const { nodes, missing } = coverByQuorum(viewOf(layout, nodeId(5)), 3, anybody);
    expect(missing.isEmpty).toBe(true);
    expect(nodes.length).toBeLessThanOrEqual(96);
    const asked = nodes.reduce((sum, { partitions }) => sum + partitions.members().length, 0);
    expect(asked).toBe(2 * 1024);
  });
});

test("cover() takes only who may be asked for the partition", () => {
  const layout = randomLayout(new Prng("again"), 3, 16, 3);
  const view = viewOf(layout, nodeId(0));
  const coverage = cover(view, {
    n: 3,
    partitions: [1, 2, 3],
    copies: 1,
    mayAsk: (node, partition) => node === nodeId(2) && partition !== 2,
  });
  expect(coverage.nodes.map(({ node }) => node)).toEqual([nodeId(2)]);
  expect(coverage.nodes[0]!.partitions.members()).toEqual([1, 3]);
  expect(coverage.missing.members()).toEqual([2]);
});

test("PartitionSet: members come in order, and what lies behind its bytes is not in it", () => {
  const set = PartitionSet.none(20);
  for (const partition of [19, 0, 7, 8]) set.add(partition);
  expect(set.members()).toEqual([0, 7, 8, 19]);
  expect(new PartitionSet(set.bytes.slice(0, 1)).members()).toEqual([0, 7]);
  expect(set.has(65_535)).toBe(false);
  expect(PartitionSet.all(20).members()).toEqual(Array.from({ length: 20 }, (_, at) => at));
});
