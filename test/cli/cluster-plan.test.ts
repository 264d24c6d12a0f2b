import { describe, expect, test } from "bun:test";
import { planCluster } from "../../src/cli/cluster-plan.ts";

const OPTIONS = {
  nodes: "3",
  racks: "2",
  basePort: "7001",
  peerBasePort: "7101",
  dataDir: ".hutch",
} as const;
const flagOf = (args: readonly string[], flag: string): string | undefined =>
  args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;

describe("planCluster()", () => {
  test("numbers names, ports and directories, and goes round the racks", () => {
    const plans = planCluster(OPTIONS, { preset: "local" });
    expect(plans.map(({ args, ...plan }) => plan)).toEqual([
      {
        id: "n1",
        listen: "127.0.0.1:7001",
        peer: "127.0.0.1:7101",
        rack: "rack1",
        dataDir: ".hutch/n1",
        url: "http://127.0.0.1:7001",
        credentials: undefined,
        wantsToken: false,
      },
      {
        id: "n2",
        listen: "127.0.0.1:7002",
        peer: "127.0.0.1:7102",
        rack: "rack2",
        dataDir: ".hutch/n2",
        url: "http://127.0.0.1:7002",
        credentials: undefined,
        wantsToken: false,
      },
      {
        id: "n3",
        listen: "127.0.0.1:7003",
        peer: "127.0.0.1:7103",
        rack: "rack1",
        dataDir: ".hutch/n3",
        url: "http://127.0.0.1:7003",
        credentials: undefined,
        wantsToken: false,
      },
    ]);
    for (const { id, listen, peer, rack, dataDir, args } of plans) {
      expect(flagOf(args, "--node-id")).toBe(id);
      expect([flagOf(args, "--listen"), flagOf(args, "--peer")]).toEqual([listen, peer]);
      expect([flagOf(args, "--rack"), flagOf(args, "--data-dir")]).toEqual([rack, dataDir]);
      expect(flagOf(args, "--seeds")).toBe("127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103");
      expect(flagOf(args, "--preset")).toBe("local");
    }
  });

  test("where tokens are named, clients are asked who they are", () => {
    const [guarded] = planCluster({ ...OPTIONS, authTokens: "tokens.json" }, {});
    expect([guarded!.wantsToken, guarded!.credentials]).toEqual([true, undefined]);
    expect(flagOf(guarded!.args, "--auth-tokens")).toBe("tokens.json");
  });

  test("a node alone gets no seeds; knobs and the file are passed on to all", () => {
    const [alone] = planCluster({ ...OPTIONS, nodes: "1" }, {});
    expect(alone!.args).not.toContain("--seeds");
    const options = { ...OPTIONS, config: "hutch.toml", fsync: "always", rack: "mine" };
    for (const { args } of planCluster(options, {})) {
      expect([flagOf(args, "--config"), flagOf(args, "--fsync")]).toEqual(["hutch.toml", "always"]);
      expect(args.filter((arg) => arg === "--rack")).toHaveLength(1);
      expect(args).not.toContain("mine");
    }
  });

  test("refuses what cannot be, by the flag's name", () => {
    const refusal = (changes: Record<string, string>) => () =>
      planCluster({ ...OPTIONS, ...changes }, {});
    expect(refusal({ nodes: "65" })).toThrow('--nodes: "65" is outside 1 to 64');
    expect(refusal({ racks: "0" })).toThrow("--racks");
    expect(refusal({ basePort: "65534" })).toThrow("--base-port");
    expect(refusal({ peerBasePort: "1e9" })).toThrow("--peer-base-port");
    expect(refusal({ peerBasePort: "7003" })).toThrow("127.0.0.1:7003 would be for clients and");
    expect(planCluster({ ...OPTIONS, peerBasePort: "7004" }, {})).toHaveLength(3);
  });
});
