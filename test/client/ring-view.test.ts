import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { HutchClient } from "../../src/client/index.ts";
import { partitionOfKey } from "../../src/client/ring-view.ts";
import { addressOf, bucketPrefix } from "../../src/ring/partition.ts";
import { FakeWorld, type Sent, problem, refuse, reply } from "./fake-world.ts";

const KEYS = 10_000;

test(`${KEYS} keys are in the partition that the nodes say`, () => {
  const prng = new Prng("client keys");
  for (let i = 0; i < KEYS; i++) {
    const length = 1 + prng.below(40);
    const key = Array.from({ length }, () =>
      String.fromCodePoint(prng.below(4) === 0 ? 0x20 + prng.below(0x3000) : 0x21 + prng.below(90)),
    ).join("");
    const bits = 4 + prng.below(13);
    const bucket = `b${prng.below(100)}`;
    const { partition } = addressOf(bucketPrefix(bucket), utf8(key), bits);
    if (partitionOfKey(bucket, key, bits) !== partition)
      throw new Error(`${bucket}/${key} at ${bits} bits`);
  }
  expect(partitionOfKey("demo", "hello", 8)).toBe(
    addressOf(bucketPrefix("demo"), utf8("hello"), 8).partition,
  );
});

/** Three nodes, 16 partitions, two owners each: partition p is of nodes p and p + 1. */
class FakeCluster {
  layoutVersion = 1;
  shift = 0;
  readonly down = new Set<string>();
  readonly world = new FakeWorld((sent) => this.#answer(sent));

  #answer({ url }: Sent): Response {
    const { host, pathname } = new URL(url);
    if (this.down.has(host)) refuse();
    const answer = (value: unknown): Response =>
      reply(200, JSON.stringify(value), { "X-Node": host.slice(0, 2) });
    const { layoutVersion } = this;
    if (pathname === "/v1/cluster") return answer({ layoutVersion, q: 16 });
    if (pathname === "/v1/cluster/nodes") return answer({ nodes: [1, 2, 3].map(nodeOf) });
    if (pathname === "/v1/cluster/ring")
      return answer({ layoutVersion, q: 16, partitions: this.#ring() });
    return answer("v");
  }

  #ring() {
    return Array.from({ length: 16 }, (_, partition) => ({
      partition,
      owners: [this.#owner(partition), this.#owner(partition + 1)],
    }));
  }

  #owner(partition: number): string {
    return `n${1 + ((partition + this.shift) % 3)}`;
  }

  ownersOf(key: string): string[] {
    const partition = partitionOfKey("demo", key, 4);
    return [this.#owner(partition), this.#owner(partition + 1)].map((id) => `${id}:7001`);
  }

  hosts(path = "/v1/kv/"): string[] {
    return this.world.sent
      .filter(({ url }) => url.includes(path))
      .map(({ url }) => new URL(url).host);
  }
}

const nodeOf = (index: number) => ({ id: `n${index}`, address: `n${index}:7001`, state: "up" });

function clientOf(cluster: FakeCluster, urls = ["http://n1:7001"]) {
  const client = new HutchClient({ urls, routing: "owner", platform: cluster.world.platform });
  return client.bucket("demo");
}

const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`);

describe("routing to owners", () => {
  test("the first request does not wait; then writes go to the first owner and reads to the owners in turn", async () => {
    const cluster = new FakeCluster();
    const bucket = clientOf(cluster);
    await bucket.get("k");
    await Bun.sleep(1);
    expect(cluster.hosts("/v1/cluster")).toEqual(["n1:7001", "n1:7001", "n1:7001"]);
    cluster.world.sent.length = 0;
    for (const key of keys) await bucket.put(key, "v");
    expect(cluster.hosts()).toEqual(keys.map((key) => cluster.ownersOf(key)[0]!));
    cluster.world.sent.length = 0;
    for (const key of keys) for (let i = 0; i < 4; i++) await bucket.get(key);
    for (const [i, host] of cluster.hosts().entries())
      expect(cluster.ownersOf(keys[i >> 2]!)).toContain(host);
    expect(new Set(cluster.hosts()).size).toBe(3);
  });

  test("another owner, then any node takes over where one is down", async () => {
    const cluster = new FakeCluster();
    const bucket = clientOf(cluster);
    await bucket.get("k");
    await Bun.sleep(1);
    const [first, second] = cluster.ownersOf("k");
    cluster.down.add(first!);
    cluster.world.sent.length = 0;
    await bucket.put("k", "v");
    await bucket.put("k", "v");
    expect(cluster.hosts()).toEqual([first!, second!, second!]);
    cluster.down.add(second!);
    await bucket.put("k", "v");
    expect([first, second]).not.toContain(cluster.hosts().at(-1));
  });

  test("another layout is followed within half a minute; the same one is not read again", async () => {
    const cluster = new FakeCluster();
    const bucket = clientOf(cluster);
    await bucket.get("k");
    await Bun.sleep(1);
    cluster.world.nowMs += 30_000;
    await bucket.get("k");
    await Bun.sleep(1);
    expect(cluster.hosts("/v1/cluster/ring")).toHaveLength(1);
    cluster.layoutVersion = 2;
    cluster.shift = 1;
    cluster.world.nowMs += 30_000;
    await bucket.get("k");
    await Bun.sleep(1);
    cluster.world.sent.length = 0;
    for (const key of keys) await bucket.put(key, "v");
    expect(cluster.hosts()).toEqual(keys.map((key) => cluster.ownersOf(key)[0]!));
  });

  test("without the right to see the ring requests go on to the nodes in turn, and it is asked for again later", async () => {
    const world = new FakeWorld(({ url }) =>
      url.includes("/v1/cluster") ? problem(403, "forbidden", "no") : reply(200, '"v"'),
    );
    world.randomNext = 0;
    const urls = ["http://n1:7001", "http://n2:7001"];
    const bucket = new HutchClient({ urls, platform: world.platform }).bucket("demo");
    for (let i = 0; i < 4; i++) {
      await bucket.get("k");
      await Bun.sleep(1);
    }
    const asked = (): number => world.sent.filter(({ url }) => url.includes("/v1/cluster")).length;
    expect(asked()).toBe(1);
    expect(new Set(world.sent.map(({ url }) => new URL(url).host)).size).toBe(2);
    world.nowMs += 5000;
    await bucket.get("k");
    await Bun.sleep(1);
    expect(asked()).toBe(2);
  });

  test("one address is taken for a balancer: the ring is not asked for", async () => {
    const world = new FakeWorld(() => reply(200, '"v"'));
    await new HutchClient({ urls: ["https://kv.example.org/"], platform: world.platform })
      .bucket("demo")
      .get("k");
    expect(world.sent.map(({ url }) => url)).toEqual(["https://kv.example.org/v1/kv/demo/k"]);
  });
});
