/** Contents of nodes with one thing that is not as promised, and the same without it. */
import { describe, expect, test } from "bun:test";
import {
  type HeldRecord,
  type NodeContents,
  checkCopies,
  checkPreferenceLists,
  checkTrees,
} from "../../src/checkers/copies.ts";

describe("copies", () => {
  const record = (bytes: string, place = "b/k"): HeldRecord => ({
    place,
    partition: 1,
    n: 2,
    bytes,
  });
  const node = (name: string, records: readonly HeldRecord[], fields = {}): NodeContents => ({
    name,
    id: name,
    records: new Map(records.map((own) => [own.place, own])),
    trees: new Map(),
    treesNotReady: [],
    ...fields,
  });
  const owners = (): readonly string[] => ["n1", "n2"];

  test("L1: owners that hold different bytes, or of which one holds nothing, are found", () => {
    const check = (a: readonly HeldRecord[], b: readonly HeldRecord[]): string[] =>
      checkCopies([node("n1", a), node("n2", b), node("n3", [])], owners).map(
        ({ invariant }) => invariant,
      );
    expect(check([record("aa")], [record("aa")])).toEqual([]);
    expect(check([record("aa")], [record("ab")])).toEqual(["L1"]);
    expect(check([record("aa")], [])).toEqual(["L1"]);
  });

  test("L4: whoever holds what it does not own is found", () => {
    const nodes = [
      node("n1", [record("aa")]),
      node("n2", [record("aa")]),
      node("n3", [record("aa")]),
    ];
    expect(checkCopies(nodes, owners).map(({ invariant }) => invariant)).toEqual(["L4"]);
  });

  test("L2: a tree that is not ready, that is not as the store is, or that differs from another owner's is found", () => {
    const tree = (root: string, read = root) => ({ trees: new Map([["1/2", { root, read }]]) });
    const check = (a: object, b: object): number =>
      checkTrees([node("n1", [], a), node("n2", [], b), node("n3", [])], owners).length;
    expect(check(tree("1:2"), tree("1:2"))).toBe(0);
    expect(check(tree("1:2"), tree("1:2", "1:3"))).toBe(1);
    expect(check(tree("1:2"), tree("1:3"))).toBe(1);
    expect(check(tree("1:2"), {})).toBe(1);
    expect(check({ treesNotReady: [4] }, {})).toBe(1);
  });

  test("R55: a partition with fewer distinct owners than there could be is found", () => {
    const nodes = [node("n1", []), node("n2", [])];
    expect(checkPreferenceLists(nodes, 4, [2], owners)).toEqual([]);
    expect(checkPreferenceLists(nodes, 4, [2], () => ["n1", "n1"])).toHaveLength(4);
    expect(checkPreferenceLists(nodes, 4, [2], () => ["n1", "gone"])).toHaveLength(4);
  });
});
