/** What a node tells of its cluster, on a view made by hand: n1, n2, n3 own four partitions of two copies, n10 owns nothing. */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { describe, expect, test } from "bun:test";
import type { ReportParts, HeldHints, NodeFacts } from "../../src/cluster/cluster-report.ts";
import { ClusterReport, partsOfOne } from "../../src/cluster/cluster-report.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import type { PeerReply, Peers, StatusReply } from "../../src/cluster/peer-messages.ts";
import { PeerError } from "../../src/cluster/peer-messages.ts";
import type { Liveness, Member, MemberRecord } from "../../src/gossip/member.ts";
import type { Layout } from "../../src/ring/layout.ts";
import type { StoreStats } from "../../src/storage/store.ts";

const Q = 16;
const idOf = (name: string): string => name.padStart(16, "0").replaceAll("n", "a");
const zoneOf = (name: string) => ({ dc: "dc1", rack: `rack-${name}`, host: "host1" });

function member(
  name: string,
  liveness: Liveness = "alive",
  phase: MemberRecord["phase"] = "serving",
): Member {
  const record: MemberRecord = {
    id: idOf(name),
    name,
    peerAddress: `127.0.0.1:71${name.slice(1).padStart(2, "0")}`,
    clientAddress: `127.0.0.1:70${name.slice(1).padStart(2, "0")}`,
    zone: zoneOf(name),
    weight: 1,
    incarnation: 65_536,
    version: 1,
    phase,
    layoutVersion: 3,
    layoutHash: 0,
    bucketsHash: 0,
  };
  return { record, liveness };
}

/** n1, n2 own the even partitions, n2, n3 the odd ones. */
const layout: Layout = {
  version: 3,
  q: Q,
  n: 2,
  members: ["n1", "n2", "n3"].map((name) => {
    const { record } = member(name);
    return { id: record.id, name, zone: record.zone, weight: 1, peerAddress: record.peerAddress };
  }),
  owners: Uint16Array.from({ length: Q * 2 }, (_, index) => ((index >> 1) % 2) + (index % 2)),
};

const facts: NodeFacts = {
  nodeId: "n1",
  clusterName: "test",
  clusterId: new Uint8Array(8),
  q: Q,
  n: 3,
  address: "127.0.0.1:7001",
  peerAddress: "127.0.0.1:7101",
  zone: zoneOf("n1"),
  weight: 1,
  incarnation: 5,
};
const stats = { entryCount: 11, tableBytes: 100, walBytes: 20 } as StoreStats;

const held = (name: string, count: number, oldestMs: number): HeldHints => ({
  target: idOf(name),
  count,
  bytes: count * 10,
  oldestMs,
});
const statusOf = (keys: number, hints: readonly HeldHints[] = []): StatusReply => ({
  kind: "status",
  keys,
  bytes: keys * 10,
  dataIncarnation: keys + 1,
  hints,
});

interface World {
  members: Member[];
  answers: Record<string, PeerReply | undefined>;
  asked: string[];
  hints: HeldHints[];
}

function reportOn(world: World, state = LayoutState.first(layout)): ClusterReport {
  const members = () => new Map(world.members.map((each) => [each.record.id, each]));
  const peers: Peers = {
    ...partsOfOne(facts).peers,
    call: async (node) => {
      const name = world.members.find(({ record }) => record.id === node)!.record.name;
      world.asked.push(name);
      const answer = world.answers[name];
      if (answer === undefined) throw new PeerError("unknown", "timeout", node);
      return answer;
    },
  };
  const parts: ReportParts = {
    view: () => new ClusterView(state, idOf("n1"), members()),
    peers,
    phiOf: (node) => (node === idOf("n3") ? Number.POSITIVE_INFINITY : 0.126),
    hints: () => world.hints,
    copiesOf: (bucket) => (bucket === "narrow" ? 1 : 3),
  };
  return new ClusterReport(parts, facts, () => stats);
}

const healthy = (): World => ({
  members: [member("n1"), member("n2"), member("n3")],
  answers: { n2: statusOf(22), n3: statusOf(33) },
  asked: [],
  hints: [],
});

describe("ClusterReport.summary()", () => {
  test("counts a syncing node as up, and its partitions as syncing", () => {
    const world = healthy();
    expect(reportOn(world).summary()).toEqual({
      layoutVersion: 3,
      q: Q,
      nodes: { up: 3, suspect: 0, down: 0 },
      partitions: { serving: Q, syncing: 0 },
    });
    world.members[2] = member("n3", "alive", "syncing");
    expect(reportOn(world).summary()).toMatchObject({
      nodes: { up: 3, suspect: 0, down: 0 },
      partitions: { serving: Q / 2, syncing: Q / 2 },
    });
  });

  test("R50: a dead node changes counts and never owners", () => {
    const world = healthy();
    const before = reportOn(world).ring();
    world.members[1] = member("n2", "down");
    world.members[2] = member("n3", "suspect");
    const after = reportOn(world);
    expect(after.summary()).toMatchObject({
      nodes: { up: 1, suspect: 1, down: 1 },
      partitions: { serving: 0, syncing: Q },
    });
    const owners = ({ partitions }: typeof before) => partitions.map((each) => each.owners);
    expect(owners(after.ring())).toEqual(owners(before));
    expect(after.ring().partitions[0]!.state).toBe("syncing");
  });

  test("a node of the layout that gossip never saw is down; one that left is not counted", () => {
    const world = healthy();
    world.members = [member("n1"), member("n2"), member("n10", "down", "left")];
    expect(reportOn(world).summary().nodes).toEqual({ up: 2, suspect: 0, down: 1 });
  });
});

describe("ClusterReport.nodes()", () => {
  test("shows names, states, own numbers, and what the others answer", async () => {
    const world = healthy();
    world.members.push(member("n10", "alive", "leaving"));
    const nodes = await reportOn(world).nodes(false);
    expect(nodes.map(({ id, state, keys, incarnation }) => [id, state, keys, incarnation])).toEqual(
      [
        ["n1", "up", 11, 5],
        ["n2", "up", 22, 23],
        ["n3", "up", 33, 34],
        ["n10", "leaving", 0, 0],
      ],
    );
    expect(nodes[0]).toMatchObject({ bytes: 120, phi: 0, partitions: Q / 2 });
    expect(nodes[1]).toMatchObject({
      address: "127.0.0.1:7002",
      peerAddress: "127.0.0.1:7102",
      zone: zoneOf("n2"),
      phi: 0.13,
      partitions: Q,
    });
    expect(nodes[2]!.phi).toBe(100);
    expect(nodes[3]!.partitions).toBe(0);
  });

  test("a node that does not answer is shown as it last answered, one that is down is not asked", async () => {
    const world = healthy();
    const report = reportOn(world);
    await report.nodes(false);
    world.answers = {};
    world.members[2] = member("n3", "down");
    world.asked = [];
    const nodes = await report.nodes(true);
    expect(world.asked).toEqual(["n2"]);
    expect(nodes.map(({ state, keys }) => [state, keys])).toEqual([
      ["leaving", 11],
      ["up", 22],
      ["down", 33],
    ]);
  });

  test("people who ask at the same time share one round of questions", async () => {
    const world = healthy();
    const report = reportOn(world);
    await Promise.all([report.nodes(false), report.nodes(false), report.hints()]);
    expect(world.asked.sort()).toEqual(["n2", "n3"]);
    await report.nodes(false);
    expect(world.asked).toHaveLength(4);
  });

  test("hints for a node are the sum over all who answered", async () => {
    const world = healthy();
    world.members[2] = member("n3", "down");
    world.hints = [held("n3", 2, 5000)];
    world.answers = { n2: statusOf(1, [held("n3", 3, 4000), held("n1", 0, 0)]) };
    const report = reportOn(world);
    const nodes = await report.nodes(false);
    expect(nodes.map(({ hintsFor }) => hintsFor)).toEqual([0, 0, 5]);
    expect(await report.hints()).toEqual([{ node: "n3", count: 5, bytes: 50, oldestMs: 4000 }]);
    expect(report.statusReply()).toEqual({
      kind: "status",
      keys: 11,
      bytes: 120,
      dataIncarnation: 5,
      hints: [held("n3", 2, 5000)],
    });
  });
});

describe("a ring that changes", () => {
  test("R60: a node that hands over is leaving, one that is lost for good has left and is not counted", async () => {
    const world = healthy();
    world.members[2] = member("n3", "down");
    const stamp = { hlc: 1, node: idOf("n1") };
    const leaving = LayoutState.first(layout).stage([{ kind: "leave", node: idOf("n2") }], stamp);
    const report = reportOn(world, leaving.withLayout(leaving.next(2)));
    const states = async (of: ClusterReport) => (await of.nodes(false)).map(({ state }) => state);
    expect(await states(report)).toEqual(["up", "leaving", "down"]);
    const removing = LayoutState.first(layout).stage([{ kind: "remove", node: idOf("n3") }], stamp);
    const without = reportOn(world, removing.withLayout(removing.next(2), removing.lost));
    expect(await states(without)).toEqual(["up", "up", "left"]);
    expect(without.summary().nodes).toEqual({ up: 2, suspect: 0, down: 0 });
  });

  test("a copy takes as much as the copies of its node do on average, or those of all", async () => {
    const world = healthy();
    world.answers["n3"] = undefined;
    const copyBytes = await reportOn(world).copyBytes();
    // n1: 120 bytes in 8 copies, n2: 220 in 16, n3: nobody knows.
    expect(copyBytes(idOf("n1"))).toBe(15);
    expect(copyBytes(idOf("n2"))).toBe(13.75);
    expect(copyBytes(idOf("n3"))).toBeCloseTo(340 / 24);
  });
});

describe("ClusterReport.ring(), route()", () => {
  test("owners in ring order by their names", () => {
    const { layoutVersion, q, partitions } = reportOn(healthy()).ring();
    expect([layoutVersion, q, partitions.length]).toEqual([3, Q, Q]);
    expect(partitions[0]).toEqual({ partition: 0, owners: ["n1", "n2"], state: "serving" });
    expect(partitions[1]!.owners).toEqual(["n2", "n3"]);
  });

  test("a bucket with more copies goes on along the preference list, one with fewer stops early", () => {
    const report = reportOn(healthy());
    expect(report.route("demo", 1)).toEqual({
      partition: 1,
      owners: ["n2", "n3", "n1"],
      fallbacks: [],
    });
    expect(report.route("narrow", 1)).toEqual({
      partition: 1,
      owners: ["n2"],
      fallbacks: ["n3", "n1"],
    });
  });
});

describe("partsOfOne()", () => {
  test("a cluster of one owns everything and asks nobody", async () => {
    const report = new ClusterReport(partsOfOne(facts), facts, () => stats);
    expect(report.summary()).toEqual({
      layoutVersion: 1,
      q: Q,
      nodes: { up: 1, suspect: 0, down: 0 },
      partitions: { serving: Q, syncing: 0 },
    });
    expect(await report.nodes(false)).toEqual([
      {
        id: "n1",
        address: "127.0.0.1:7001",
        peerAddress: "127.0.0.1:7101",
        zone: zoneOf("n1"),
        weight: 1,
        state: "up",
        phi: 0,
        incarnation: 5,
        partitions: Q,
        keys: 11,
        bytes: 120,
        hintsFor: 0,
      },
    ]);
    expect(report.route("demo", 3)).toEqual({ partition: 3, owners: ["n1"], fallbacks: [] });
    expect(await report.hints()).toEqual([]);
  });
});
