/**
 * Who stands for a key (R3, R12, R50, D3, D4). Invariants:
 *
 *   - owners are the first n of the walk, whatever the failure detector thinks (R50)
 *   - each owner that is down has at most one fallback and each fallback stands in once, in walk order
 *   - *down* is a verdict of the failure detector or a refused connection; a breaker alone never makes somebody stand in (R25)
 *   - only owners that serve mint (R12); asking who acts changes nothing
 */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { expect, test } from "bun:test";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import { NO_PEERS } from "../../src/cluster/alone.ts";
import type { Peers } from "../../src/cluster/peer-messages.ts";
import { ReplicaSet } from "../../src/cluster/replica-set.ts";
import type { Liveness, Member, MemberRecord } from "../../src/gossip/member.ts";
import { assignLayout } from "../../src/ring/assignment.ts";

const IDS = ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(16));
const MEMBERS = IDS.map((id, i) => ({
  id,
  name: `n${i + 1}`,
  zone: { dc: "dc1", rack: `r${i}`, host: `h${i}` },
  weight: 1,
  peerAddress: "",
}));
const LAYOUT = assignLayout({ version: 1, q: 16, n: 3, members: MEMBERS });

interface World {
  readonly self?: number;
  readonly liveness?: { readonly [at: number]: Liveness };
  readonly phase?: { readonly [at: number]: MemberRecord["phase"] };
  readonly refused?: readonly number[];
  readonly broken?: readonly number[];
}

/** Positions on the walk of partition 0 stand for nodes. */
function worldOf({ self = 0, liveness = {}, phase = {}, refused = [], broken = [] }: World) {
  const walk = new ClusterView(LayoutState.first(LAYOUT), IDS[0]!, new Map()).walk(0);
  const members = new Map<string, Member>();
  walk.forEach((id, at) => {
    const record = {
      ...MEMBERS.find((member) => member.id === id)!,
      clientAddress: "",
      incarnation: 0,
      version: 0,
      phase: phase[at] ?? "serving",
      layoutVersion: 1,
      layoutHash: 0,
      bucketsHash: 0,
    };
    members.set(id, { record, liveness: liveness[at] ?? "alive" });
  });
  const peers: Peers = {
    ...NO_PEERS,
    isConnectionRefused: (id) => refused.includes(walk.indexOf(id)),
    isReachable: (id) => ![...refused, ...broken].includes(walk.indexOf(id)),
  };
  const set = new ReplicaSet(
    new ClusterView(LayoutState.first(LAYOUT), walk[self]!, members),
    peers,
    0,
    3,
  );
  const at = (ids: readonly string[]): number[] => ids.map((id) => walk.indexOf(id));
  const acting = (isSloppy: boolean): string[] =>
    set.acting(isSloppy).map(({ node, owner, role }) => {
      const [share, place] = at([owner, node]);
      return role === "primary" ? `${place}` : `${place} for ${share}`;
    });
  return { set, at, acting };
}

test("R50: owners are the first n of the walk, down or not", () => {
  const { set, at } = worldOf({ liveness: { 0: "down", 1: "suspect" }, self: 4 });
  expect(at(set.owners)).toEqual([0, 1, 2]);
});

test("D4: each owner that is down has a fallback of its own, in walk order", () => {
  const { acting } = worldOf({ liveness: { 0: "down", 2: "down" }, self: 1 });
  expect(acting(true)).toEqual(["3 for 0", "1", "4 for 2"]);
  expect(acting(false)).toEqual(["1"]);
});

test("R25: a suspected owner, or one behind a breaker, is asked itself; a refused connection is down", () => {
  const { acting } = worldOf({ liveness: { 0: "suspect" }, broken: [1], refused: [2], self: 3 });
  expect(acting(true)).toEqual(["0", "1", "3 for 2"]);
});

test("a fallback that nobody reaches is passed over, and none is left in the end", () => {
  const { acting } = worldOf({ liveness: { 1: "down", 2: "down", 3: "down" } });
  expect(acting(true)).toEqual(["0", "4 for 1"]);
});

test("who acts can be asked again: the answer takes no fallback away", () => {
  const { set, acting } = worldOf({ liveness: { 0: "down", 1: "down" }, self: 2 });
  const first = acting(true);
  expect(acting(true)).toEqual(first);
  expect(set.takeFallback()).toBeDefined();
});

test("R12, D3: minters are owners that serve, in ring order, those behind a breaker last", () => {
  const all = worldOf({});
  expect(all.at(all.set.minters())).toEqual([0, 1, 2]);
  const some = worldOf({ phase: { 1: "syncing" }, broken: [0], self: 3 });
  expect(some.at(some.set.minters())).toEqual([2, 0]);
});

test("R3: what a write can hope for counts fallbacks only where it is sloppy", () => {
  const { set } = worldOf({ liveness: { 0: "down", 1: "down", 3: "down" }, self: 2 });
  expect(set.countPossible(true)).toEqual({ all: 2, primary: 1 });
  expect(set.countPossible(false)).toEqual({ all: 1, primary: 1 });
});
