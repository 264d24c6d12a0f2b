import { describe, expect, test } from "bun:test";
import type { ExplainAnswer } from "../../src/cli/explain.ts";
import { explainLines } from "../../src/cli/explain.ts";
import { nodesLines } from "../../src/cli/nodes.ts";
import { ringLines, routeLines } from "../../src/cli/ring.ts";
import { statusLines } from "../../src/cli/status.ts";
import type { NodeSummary } from "../../src/http/admin-api.ts";

const WIDE = 200;

function node(name: string, changes: Partial<NodeSummary> = {}): NodeSummary {
  return {
    id: name,
    address: `127.0.0.1:700${name.slice(1)}`,
    peerAddress: `127.0.0.1:710${name.slice(1)}`,
    zone: { dc: "dc1", rack: `rack${name.slice(1)}`, host: "host1" },
    weight: 1,
    state: "up",
    phi: 0,
    incarnation: 1,
    partitions: 4,
    keys: 1200,
    bytes: 2048,
    hintsFor: 0,
    ...changes,
  };
}
const NODES = [
  node("n1"),
  node("n2", { state: "suspect", phi: 3.5 }),
  node("n3", { state: "down", hintsFor: 7 }),
];

describe("hutch status", () => {
  test("counts, then a line per node", () => {
    const cluster = {
      name: "hutch",
      id: "ab01",
      layoutVersion: 3,
      q: 4,
      n: 3,
      nodes: { up: 1, suspect: 1, down: 1 },
      partitions: { serving: 3, syncing: 1 },
    };
    expect(statusLines({ cluster, nodes: NODES }, WIDE)).toEqual([
      "cluster     hutch  ab01",
      "layout      version 3, 4 partitions, 3 copies of each key",
      "nodes       1 up, 1 suspect, 1 down",
      "partitions  3 with all owners up, 1 with one away or catching up  ███████▌",
      "",
      "state    node  address         zone             share of all copies  entries     data  hints for it",
      "up       n1    127.0.0.1:7001  dc1/rack1/host1  ███▍        33.3 %     1,200  2.0 KiB             0",
      "suspect  n2    127.0.0.1:7002  dc1/rack2/host1  ███▍        33.3 %     1,200  2.0 KiB             0",
      "down     n3    127.0.0.1:7003  dc1/rack3/host1  ███▍        33.3 %     1,200  2.0 KiB             7",
    ]);
  });
});

describe("hutch nodes", () => {
  test("all fields of the contract on a wide terminal, the needed ones on a narrow one", () => {
    const [head, , suspect] = nodesLines({ nodes: NODES }, WIDE);
    expect(head!.split(/ {2,}/)).toEqual(
      "state,node,address,peers at,zone,weight,partitions,entries,data,phi,incarnation,hints for it".split(
        ",",
      ),
    );
    expect(suspect).toContain("3.50");
    const narrow = nodesLines({ nodes: NODES }, 80);
    for (const line of narrow) expect(line.length).toBeLessThanOrEqual(80);
    expect(narrow[3]).toMatch(/^down +n3 +127\.0\.0\.1:7003 .* 7$/);
  });
});

describe("hutch ring", () => {
  const partitions = [
    ["n1", "n2"],
    ["n1", "n3"],
    ["n2", "n3"],
    ["n1", "n2"],
  ].map((owners, partition) => ({
    partition,
    owners,
    state: partition === 0 ? "syncing" : "serving",
  }));

  test("shares, first owners and how far the copies are apart", () => {
    const sameRack = node("n2", { zone: NODES[0]!.zone });
    const gone = node("n4", { state: "left" });
    const ring = { layoutVersion: 3, q: 4, partitions };
    const nodes = [NODES[0]!, sameRack, NODES[2]!, gone];
    expect(ringLines({ ring, nodes }, WIDE)).toEqual([
      "layout version 3, 4 partitions: 3 with all owners up, 1 with one away or catching up",
      "the copies of a partition lie in 1 data centre, 1 to 2 racks, 1 to 2 hosts",
      "",
      "node  zone             weight  partitions  as first owner  share of all copies",
      "n1    dc1/rack1/host1       1           3               3  ███████▌              37.5 %",
      "n2    dc1/rack1/host1       1           3               1  ███████▌              37.5 %",
      "n3    dc1/rack3/host1       1           2               0  █████                 25.0 %",
    ]);
  });

  test("--key shows owners, then fallbacks, and how each is", () => {
    const route = { partition: 7, owners: ["n2", "n3"], fallbacks: ["n1", "n9"] };
    expect(routeLines({ key: "demo/a", route, nodes: NODES }, WIDE)).toEqual([
      "demo/a is in partition 7",
      "",
      "place  role      node  state    address         zone",
      "    1  owner     n2    suspect  127.0.0.1:7002  dc1/rack2/host1",
      "    2  owner     n3    down     127.0.0.1:7003  dc1/rack3/host1",
      "    3  fallback  n1    up       127.0.0.1:7001  dc1/rack1/host1",
      "    4  fallback  n9    down",
    ]);
  });
});

describe("hutch explain", () => {
  const replica = (name: string, changes: Partial<ExplainAnswer["owners"][number]> = {}) => ({
    node: name,
    role: "primary" as const,
    state: "up",
    reachable: true,
    dots: ["a1.5"],
    hlc: "1770091506789.17",
    stateHash: "0123456789abcdef0123456789abcdef",
    latencyMs: 0.25,
    ...changes,
  });

  test("what each owner holds, and whether it is the same", () => {
    const absent = replica("n2", { dots: [], hlc: "", stateHash: "" });
    const away = replica("n3", { state: "down", reachable: false, dots: [] });
    const answer = {
      partition: 7,
      owners: [replica("n1"), absent, away],
      fallbacks: [],
      equal: false,
    };
    expect(explainLines("demo/a", answer, WIDE)).toEqual([
      "demo/a is in partition 7: the owners do not all hold the same",
      "",
      "role     node  state  answered in  dots       newest write (hlc)  hash of state",
      "primary  n1    up          0.3 ms  a1.5       1770091506789.17    0123456789ab",
      "primary  n2    up          0.3 ms  nothing",
      "primary  n3    down             -  no answer",
    ]);
    const equal = { ...answer, owners: [replica("n1")], equal: true };
    expect(explainLines("demo/a", equal, WIDE)[0]).toContain("all owners hold the same");
  });
});
