/** Who is asked when nobody is heard, how often, and whose answer is worth a greeting. */
import { describe, expect, test } from "bun:test";
import type { PeerClient } from "../../src/cluster/peer-client.ts";
import type { Hello } from "../../src/cluster/peer-protocol.ts";
import { SeedSearch } from "../../src/cluster/seed-search.ts";
import { SimWorld } from "../../src/sim/world.ts";

const OURS = new Uint8Array(16).fill(1);
const THEIRS = new Uint8Array(16).fill(2);
const NONE = new Uint8Array(16);
const SELF = "aa";
const SILENCE_MS = 5000;
type Door = Pick<Hello, "nodeId" | "clusterId"> | "dead";

function search(doors: Readonly<Record<string, Door>>, intervalMs = 200) {
  const knocks: string[] = [];
  const greetings: string[] = [];
  const knock: PeerClient["knock"] = (address) => {
    knocks.push(address);
    const door = doors[address]!;
    if (door === "dead") return Promise.reject(new Error("nobody is there"));
    const versions = { min: 1, max: 1 };
    const hello: Hello = { ...door, clusterName: "", incarnation: 9, versions, purpose: "knock" };
    return Promise.resolve({
      hello,
      reply: {
        kind: "failed",
        code: "bad-request",
        message: "",
        retry: "no",
        data: {},
      },
    });
  };
  const it = new SeedSearch({
    self: { id: SELF, peerAddress: "self:1" },
    clusterId: OURS,
    seeds: Object.keys(doors),
    intervalMs,
    startedMs: 1000,
    peers: { knock },
    logger: new SimWorld(1).node("n").logger,
    greet: (node, address) => void greetings.push(`${node} at ${address}`),
  });
  /** All that a round does has happened when this settles: no answer waits. */
  const look = async (nowMs: number): Promise<void> => {
    it.look(nowMs);
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return { look, knocks, greetings };
}

const member = (nodeId: string): Door => ({ nodeId, clusterId: OURS });

describe("a node that has heard of nobody", () => {
  test("greets every member that lives at a seed, whatever the others answer", async () => {
    const { look, greetings } = search({
      "dead:1": "dead",
      "b:1": member("bb"),
      "c:1": member("cc"),
    });
    await look(1000 + SILENCE_MS);
    expect(greetings).toEqual(["bb at b:1", "cc at c:1"]);
  });

  test("greets nobody of another cluster or of none, nor itself under another address", async () => {
    const { look, knocks, greetings } = search({
      "other:1": { nodeId: "bb", clusterId: THEIRS },
      "fresh:1": { nodeId: "cc", clusterId: NONE },
      "alias:1": member(SELF),
      "self:1": member(SELF),
    });
    await look(1000 + SILENCE_MS);
    expect(knocks).toEqual(["other:1", "fresh:1", "alias:1"]);
    expect(greetings).toEqual([]);
  });

  test("asks nobody before the silence is long: 5 s, and 10 intervals", async () => {
    for (const [intervalMs, silenceMs] of [
      [200, SILENCE_MS],
      [1000, 10_000],
    ] as const) {
      const { look, knocks } = search({ "b:1": member("bb") }, intervalMs);
      await look(1000 + silenceMs - 1);
      expect(knocks).toEqual([]);
      await look(1000 + silenceMs);
      expect(knocks).toEqual(["b:1"]);
    }
  });

  test("asks less and less often, and every 30 s at least", async () => {
    const { look, knocks } = search({ "dead:1": "dead" });
    const askedMs: number[] = [];
    for (let nowMs = 1000; nowMs <= 101_000; nowMs += 1000) {
      const before = knocks.length;
      await look(nowMs);
      if (knocks.length > before) askedMs.push(nowMs - 1000);
    }
    expect(askedMs).toEqual([5000, 7000, 11_000, 19_000, 35_000, 65_000, 95_000]);
  });
});
