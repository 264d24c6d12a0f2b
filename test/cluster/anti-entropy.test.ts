/** Nodes that hold different things, and what it takes until they hold the same. */
import { describe, expect, test } from "bun:test";
import { compareBytes, hex, utf8 } from "../../src/base/bytes.ts";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { HASHES_MAX, RECORD_BYTES_MAX } from "../../src/cluster/exchange-codec.ts";
import { MESSAGE_BYTES_MAX } from "../../src/ports/transport.ts";
import type { ExchangeOptions, ExchangeResult } from "../../src/cluster/tree-exchange.ts";
import type { MergeGate } from "../../src/cluster/merge-gate.ts";
import { PartitionScan } from "../../src/cluster/partition-scan.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { type Snapshot, type Store, type StoreRead, WriteBatch } from "../../src/storage/store.ts";
import { addressOf, bucketPrefix, partitionBitsOf } from "../../src/ring/partition.ts";
import { type ManyNode, type ManyNodes, HOUR_MS, Q } from "../support/many-nodes.ts";
import { PUT } from "../support/one-node.ts";
import { partOf, startRepairCluster } from "../support/repair-cluster.ts";

const BITS = partitionBitsOf(Q);
const PARTITIONS = Array.from({ length: Q }, (_, partition) => partition);

/** All that clients wrote, as this node's disk has it. */
function contentOf(node: ManyNode, partitions: readonly number[] = PARTITIONS): string {
  const { store } = node.opened;
  const range = { lower: new Uint8Array(0), upper: undefined };
  const scan = new PartitionScan(store, partitions, range, false);
  const lines: string[] = [];
  for (; scan.isValid; scan.next()) lines.push(`${hex(scan.key)} ${hex(scan.value)}`);
  scan.close();
  return lines.join("\n");
}

/** A value that only this node has heard of. */
async function mint(node: ManyNode, key: string, value: string, bucket = "demo"): Promise<void> {
  const { coordinator } = node;
  const address = addressOf(bucketPrefix(bucket), utf8(key), BITS);
  const request = { ...PUT, value: utf8(value) };
  const named = coordinator.buckets.get(bucket);
  await coordinator.replica.mint(named, address, request, coordinator.nowMs()).durable;
}

async function mintMany(node: ManyNode, count: number, prefix = "k", value = "v"): Promise<void> {
  for (let i = 0; i < count; i++) await mint(node, `${prefix}${i}`, `${value}${i}`);
}

async function exchange(
  cluster: ManyNodes,
  from: ManyNode,
  to: ManyNode,
  options: ExchangeOptions = { direction: "both" },
  partitions: readonly number[] = PARTITIONS,
): Promise<ExchangeResult[]> {
  const results: ExchangeResult[] = [];
  for (const partition of partitions)
    results.push(
      await cluster.run(partOf(from).antiEntropy.exchange(to.id, partition, options), 120_000),
    );
  return results;
}

const sum = (results: readonly ExchangeResult[], of: (result: ExchangeResult) => number): number =>
  results.reduce((total, result) => total + of(result), 0);

async function started(
  count = 2,
  options: Parameters<typeof startRepairCluster>[1] = {},
): Promise<ManyNodes> {
  const cluster = await startRepairCluster(count, options);
  // Trees of empty partitions are built at once.
  await cluster.pass(100);
  return cluster;
}

const repairsSent = (cluster: ManyNodes, topic: string): Uint8Array[] =>
  cluster.sent.flatMap(({ request }) =>
    request.kind === "repair" && request.topic === topic ? [request.body] : [],
  );

describe("anti-entropy: an exchange", () => {
  test("R31: what either side missed is on both, byte for byte", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 40, "only-a");
    await mintMany(b, 30, "only-b");
    await mintMany(a, 20, "both", "from-a");
    await mintMany(b, 20, "both", "from-b");
    const results = await exchange(cluster, a, b);
    expect(contentOf(a)).toBe(contentOf(b));
    expect(results.every(({ isComplete, isEqual }) => isComplete && isEqual)).toBe(true);
    expect(a.stored("both3")).toEqual(["from-a3", "from-b3"]);
    expect(sum(results, ({ keysReceived }) => keysReceived)).toBe(50);
    expect(sum(results, ({ keysSent }) => keysSent)).toBe(60);
    await cluster.close();
  });

  test("R35: siblings move as one record, deletions too", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await cluster.run(a.put("cart", "base", { level: "ALL" }));
    await a.mintAlone("cart", "one");
    await b.mintAlone("cart", "two");
    await exchange(cluster, a, b);
    expect(b.stored("cart")).toEqual(["one", "two"]);
    await mint(a, "gone", "x");
    await a.mintAlone("gone", "", { kind: "delete" });
    await exchange(cluster, b, a);
    expect(b.stored("gone")).toEqual(["-"]);
    expect(contentOf(a)).toBe(contentOf(b));
    await cluster.close();
  });

  test("R35: equal partitions cost one small message; nothing is scanned or moved", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    for (let i = 0; i < 20; i++) await cluster.run(a.put(`k${i}`, "v", { level: "ALL" }));
    cluster.sent.length = 0;
    const results = await exchange(cluster, a, b);
    for (const { isEqual, isComplete, bytesSent, bytesReceived } of results) {
      expect([isEqual, isComplete]).toEqual([true, true]);
      expect(bytesSent + bytesReceived).toBeLessThan(64);
    }
    expect(repairsSent(cluster, "compare")).toEqual([]);
    await cluster.close();
  });

  test("R35: a write that is on its way is not taken for a difference", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    for (let i = 0; i < 40; i++) await cluster.run(a.put(`k${i}`, "v", { level: "ALL" }));
    const { partition } = cluster.address("late");
    b.fault = 400;
    const write = a.put("late", "v", { level: "ONE" });
    await cluster.pass(10);
    b.fault = undefined;
    cluster.sent.length = 0;
    const [result] = await exchange(cluster, a, b, { direction: "both" }, [partition]);
    await cluster.run(write);
    expect(repairsSent(cluster, "hashes").length).toBeGreaterThan(0);
    expect(repairsSent(cluster, "compare")).toEqual([]);
    expect(result!.isComplete).toBe(true);
    await cluster.close();
  });

  test("a push brings the peer what it lacks, and nothing back", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 60, "a");
    await mintMany(b, 60, "b");
    const before = contentOf(a);
    const options = { direction: "push", isBulk: true } as const;
    const results = await exchange(cluster, a, b, options);
    expect(results.every(({ isComplete }) => isComplete)).toBe(true);
    expect(contentOf(a)).toBe(before);
    for (let i = 0; i < 60; i++) expect(b.stored(`a${i}`)).toEqual([`v${i}`]);
    expect(sum(await exchange(cluster, a, b, options), ({ keysSent }) => keysSent)).toBe(0);
    await cluster.close();
  });

  test("buckets with other numbers of copies are in trees of their own", async () => {
    const cluster = await started(3);
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await cluster.run(a.coordinator.setBucket("two", "put", { n: 2 }));
    await cluster.pass(2000);
    await mintMany(a, 30, "three");
    for (let i = 0; i < 60; i++) await mint(a, `two${i}`, "v", "two");
    await exchange(cluster, a, b);
    for (let i = 0; i < 60; i++) {
      const isOwner = cluster.walk(`two${i}`, "two").slice(0, 2).includes(b);
      expect(b.stored(`two${i}`, "two")).toEqual(
        isOwner && cluster.walk(`two${i}`, "two").slice(0, 2).includes(a) ? ["v"] : [],
      );
    }
    expect(b.stored("three7")).toEqual(["v7"]);
    await cluster.close();
  });

  test("many large records: no message holds more than a page, and one record of any size passes", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const large = "x".repeat(100_000);
    for (let i = 0; i < 60; i++) await mint(a, `k${i}`, `${i}${large}`);
    await mint(b, "huge", "y".repeat(3 * RECORD_BYTES_MAX));
    const results = await exchange(cluster, a, b);
    expect(contentOf(a)).toBe(contentOf(b));
    expect(results.every(({ isComplete }) => isComplete)).toBe(true);
    const bodies = [...repairsSent(cluster, "store"), ...repairsSent(cluster, "compare")];
    for (const body of bodies)
      expect(body.length).toBeLessThan(RECORD_BYTES_MAX + 8 * HASHES_MAX + 4096);
    expect(RECORD_BYTES_MAX * 4).toBeLessThan(MESSAGE_BYTES_MAX);
    await cluster.close();
  });

  test("what is written while nodes exchange is not lost", async () => {
    const cluster = await started(3);
    const [a, b, c] = cluster.nodes as [ManyNode, ManyNode, ManyNode];
    await mintMany(a, 200, "a");
    await mintMany(b, 200, "b");
    const writes: Promise<unknown>[] = [];
    const intercepted = { count: 0 };
    cluster.intercept = ({ request }) => {
      if (request.kind === "repair" && request.topic !== "roots") {
        const i = intercepted.count++;
        const node = cluster.nodes[i % 3]!;
        writes.push(node.put(`w${i % 50}`, `write ${i}`), node.put(`a${i % 200}`, `again ${i}`));
      }
      return undefined;
    };
    await exchange(cluster, a, b);
    cluster.intercept = undefined;
    await cluster.run(Promise.all(writes), 60_000);
    for (const [from, to] of [
      [a, b],
      [b, c],
      [c, a],
      [a, b],
    ] as const)
      await exchange(cluster, from, to);
    expect(writes.length).toBeGreaterThan(20);
    expect(contentOf(a)).toBe(contentOf(b));
    expect(contentOf(b)).toBe(contentOf(c));
    const last = Math.max(...writes.keys()) >> 1;
    expect((await cluster.run(a.values(`w${last % 50}`))).length).toBeGreaterThan(0);
    await cluster.close();
  });

  test("R31: whatever three nodes hold, rounds of all pairs make them equal", async () => {
    for (let seed = 0; seed < 6; seed++) {
      const prng = new Prng(`anti-entropy ${seed}`);
      const cluster = await started(3);
      const count = 10 ** (1 + (seed % 3));
      for (let i = 0; i < count; i++) {
        const node = cluster.nodes[prng.below(3)]!;
        const key = `k${prng.below(count)}`;
        if (prng.below(5) === 0) await node.mintAlone(key, "", { kind: "delete" });
        else await node.mintAlone(key, "v".repeat(1 + prng.below(50)));
      }
      for (let round = 0; round < 2; round++)
        for (const node of cluster.nodes)
          await cluster.run(partOf(node).antiEntropy.runNow().finished, 600_000);
      const [a, b, c] = cluster.nodes.map((node) => contentOf(node));
      expect([a === b, b === c, seed]).toEqual([true, true, seed]);
      const roots = cluster.nodes.map((node) =>
        PARTITIONS.map((p) => partOf(node).trees.root(p, 3).join()).join(" "),
      );
      expect(new Set(roots).size).toBe(1);
      await cluster.close();
    }
  }, 60_000);
});

describe("anti-entropy: faults", () => {
  test("a message that is lost, cut off or answered late is sent again", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 100, "a");
    await mintMany(b, 100, "b");
    let count = 0;
    const faults = ["lost", "cut", undefined, "mute", undefined, "full", undefined] as const;
    cluster.intercept = ({ request }) =>
      request.kind === "repair" ? faults[count++ % faults.length] : undefined;
    const results = await exchange(cluster, a, b);
    expect(results.every(({ isComplete }) => isComplete)).toBe(true);
    expect(contentOf(a)).toBe(contentOf(b));
    await cluster.close();
  });

  test("R59: an exchange that breaks off goes on where it was", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const large = "x".repeat(20_000);
    const { partition } = cluster.address("k0");
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}`)
      .filter((key) => cluster.address(key).partition === partition)
      .slice(0, 250);
    for (const key of keys) await mint(a, key, large);
    let stores = 0;
    cluster.intercept = ({ request }) =>
      request.kind === "repair" && request.topic === "store" && ++stores > 3
        ? "refused"
        : undefined;
    const options = { direction: "both", isBulk: true } as const;
    const [first] = await exchange(cluster, a, b, options, [partition]);
    expect(first!.isComplete).toBe(false);
    expect(first!.failure).toContain("unreachable");
    expect(first!.keysSent).toBeGreaterThan(100);
    cluster.intercept = undefined;
    const [second] = await exchange(cluster, a, b, options, [partition]);
    expect(second!.isComplete).toBe(true);
    expect(first!.keysSent + second!.keysSent).toBe(keys.length);
    expect(contentOf(a)).toBe(contentOf(b));
    await cluster.close();
  });

  test("R59: after a restart in the middle the trees find what is left", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const large = "x".repeat(20_000);
    const { partition } = cluster.address("k0");
    for (let i = 0; i < 2000; i++)
      if (cluster.address(`k${i}`).partition === partition) await mint(b, `k${i}`, large);
    let compares = 0;
    cluster.intercept = ({ request }) =>
      request.kind === "repair" && request.topic === "compare" && ++compares > 1
        ? "refused"
        : undefined;
    const options = { direction: "both", isBulk: true } as const;
    const [first] = await exchange(cluster, a, b, options, [partition]);
    expect(first!.keysReceived).toBeGreaterThan(20);
    await cluster.run(a.restart());
    cluster.intercept = undefined;
    await cluster.pass(2000);
    const [second] = await exchange(cluster, a, b, options, [partition]);
    expect(second!.isComplete).toBe(true);
    expect(contentOf(a)).toBe(contentOf(b));
    await cluster.close();
  });

  test("a record that cannot be merged does not stop the others, and the exchange is not complete", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const { partition } = cluster.address("k0");
    const keys = Array.from({ length: 600 }, (_, i) => `k${i}`).filter(
      (key) => cluster.address(key).partition === partition,
    );
    for (const key of keys.slice(1)) await mint(a, key, "v");
    const { replica, buckets } = a.coordinator;
    const future = { ...PUT, value: utf8("from the future") };
    const aheadMs = a.coordinator.nowMs() + HOUR_MS;
    await replica.mint(buckets.get("demo"), cluster.address(keys[0]!), future, aheadMs).durable;
    const [result] = await exchange(cluster, a, b, { direction: "both" }, [partition]);
    expect(result!.isComplete).toBe(false);
    expect(b.stored(keys[0]!)).toEqual([]);
    for (const key of keys.slice(1)) expect(b.stored(key)).toEqual(["v"]);
    await cluster.close();
  });

  test("garbage in place of an answer ends the exchange, and nothing else", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 50, "a");
    await mintMany(b, 50, "b");
    for (let cut = 0; cut < 12; cut++) {
      cluster.tamper = (reply) =>
        reply.kind === "repair" ? { kind: "repair", body: reply.body.slice(0, cut * 3) } : reply;
      const results = await exchange(cluster, a, b, { direction: "both", isBulk: true });
      for (const { isComplete, failure } of results) expect(isComplete).toBe(failure === undefined);
    }
    cluster.tamper = undefined;
    await exchange(cluster, a, b);
    expect(contentOf(a)).toBe(contentOf(b));
    await cluster.close();
  });

  test("R37: a node whose trees are being built is left out, and compared by its keys in bulk", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const { partition } = cluster.address("a7");
    await mintMany(a, 100, "a");
    await mintMany(b, 100, "b");
    partOf(b).trees.isReady = () => false;
    const [periodic] = await exchange(cluster, a, b, { direction: "both" }, [partition]);
    expect(periodic!.failure).toBe("unknown");
    expect(b.stored("a7")).toEqual([]);
    const bulk = { direction: "both", isBulk: true } as const;
    const [complete] = await exchange(cluster, a, b, bulk, [partition]);
    expect(complete!.isComplete).toBe(true);
    expect(contentOf(a, [partition])).toBe(contentOf(b, [partition]));
    await cluster.close();
  });

  test("R42: owners agree on the highest floor of collected deletions", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    partOf(a).gcFloors.set(3, 777);
    partOf(b).gcFloors.set(4, 888);
    await exchange(cluster, a, b, { direction: "both" }, [3, 4]);
    expect([partOf(b).gcFloors.get(3), partOf(a).gcFloors.get(4)]).toEqual([777, 888]);
    await cluster.close();
  });
});

describe("anti-entropy: damage", () => {
  /** A store that has lost a range: nothing of it is found, and whoever asks is told so, until it is written again. */
  class HoledStore {
    range: { readonly start: Uint8Array; readonly end: Uint8Array } | undefined;
    private readonly mended = new Set<string>();

    lose(range: { readonly start: Uint8Array; readonly end: Uint8Array }): void {
      this.range = range;
    }

    private isLost(key: Uint8Array): boolean {
      const { range } = this;
      if (range === undefined || this.mended.has(hex(key))) return false;
      return compareBytes(key, range.start) >= 0 && compareBytes(key, range.end) <= 0;
    }

    wrap(store: Store): ReplicaStore {
      const get = (key: Uint8Array): StoreRead | undefined => {
        if (this.isLost(key)) throw new CorruptionError("Cannot read key: lost", "", -1);
        return store.get(key);
      };
      const apply = (batch: WriteBatch): Promise<void> => {
        for (const key of batch.keys) if (this.isLost(key)) this.mended.add(hex(key));
        return store.apply(batch);
      };
      const snapshot = (): Snapshot =>
        new Proxy(store.snapshot(), {
          get: (target, name) => {
            if (name === "lostRanges") return this.range === undefined ? [] : [this.range];
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      return {
        get,
        apply,
        snapshot,
        admit: (purpose) => store.admit(purpose),
        whenDurable: (sequence) => store.whenDurable(sequence),
        reportDamage: (thrown) => store.reportDamage(thrown),
        get failure() {
          return store.failure;
        },
      };
    }
  }

  test("C12: a lost range is fetched again by its keys, and until then nobody takes its silence for an absence", async () => {
    const holed = new HoledStore();
    const wrap = (store: Store, index: number): ReplicaStore =>
      index === 0 ? holed.wrap(store) : store;
    const cluster = await started(3, { wrap });
    const [a, b, c] = cluster.nodes as [ManyNode, ManyNode, ManyNode];
    for (let i = 0; i < 100; i++) await cluster.run(a.put(`k${i}`, "v", { level: "ALL" }));
    const { partition } = cluster.address("k0");
    const lower = new Uint8Array([partition >> 8, partition]);
    const end = new Uint8Array([partition >> 8, partition, 0xff]);
    const whole = contentOf(b, [partition]);
    const gone = new WriteBatch();
    for (let i = 0; i < 100; i++) {
      const { internalKey } = cluster.address(`k${i}`);
      if (cluster.address(`k${i}`).partition === partition) gone.delete(internalKey);
    }
    await cluster.run(a.opened.store.apply(gone));
    holed.lose({ start: lower, end });
    const compared = { direction: "both", heal: { lower, upper: end } } as const;
    const [fromHoled] = await exchange(cluster, b, a, compared, [partition]);
    expect(fromHoled!.isComplete).toBe(false);
    const heal = { lower, upper: end };
    const repair = partOf(a).antiEntropy.repairPartitions([partition], { quorum: true, heal });
    expect(await cluster.run(repair, 60_000)).toBe(true);
    expect(contentOf(a, [partition])).toBe(whole);
    expect(contentOf(c, [partition])).toBe(whole);
    expect(a.coordinator.replica.read(cluster.address("k0"))).toBeDefined();
    await cluster.close();
  });
});

describe("anti-entropy: suspects", () => {
  /** Takes every new key of one node's for one that may have been deleted. */
  function gateThat(consider: MergeGate["consider"]): MergeGate {
    return {
      isSuspect: (_partition, before) => before.length === 0,
      mayBeCollected: () => false,
      consider,
    };
  }

  test("R42: a suspect is asked about with its source; refused, it stops nothing else", async () => {
    const sources: unknown[] = [];
    const gate = gateThat(async (_bucket, _address, _incoming, { source }) => {
      sources.push(source);
      throw new HutchError("suspect-state", "nobody can vouch for it");
    });
    const cluster = await started(2, { gate });
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    const { partition } = cluster.address("known");
    await mint(b, "known", "here");
    await a.mintAlone("known", "there");
    await mintMany(a, 100, "old");
    const olds = Array.from({ length: 100 }, (_, i) => `old${i}`).filter(
      (key) => cluster.address(key).partition === partition,
    );
    const [result] = await exchange(cluster, a, b, { direction: "both" }, [partition]);
    expect(result!.isComplete).toBe(false);
    expect(b.stored("known")).toEqual(["here", "there"]);
    expect(olds.length).toBeGreaterThan(0);
    for (const key of olds) expect(b.stored(key)).toEqual([]);
    const source = { node: a.id, purpose: "exchange", ownedSince: 1000 };
    expect(sources[0]).toEqual(source);
    const refused = new Set(partOf(a).refused.map(hex));
    expect(refused).toEqual(new Set(olds.map((key) => hex(cluster.address(key).internalKey))));
    await cluster.close();
  });

  test("R42: what the other owners confirm counts as moved; what was compared with several needs no word of theirs", async () => {
    let asked = 0;
    const gate = gateThat(async () => void asked++);
    const cluster = await started(2, { gate });
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 20, "old");
    const results = await exchange(cluster, a, b);
    expect(results.every(({ isComplete }) => isComplete)).toBe(true);
    expect(asked).toBeGreaterThan(0);
    asked = 0;
    const repair = partOf(b).antiEntropy.repairPartitions(PARTITIONS, { quorum: true });
    expect(await cluster.run(repair, 60_000)).toBe(true);
    expect([asked, b.stored("old3")]).toEqual([0, ["v3"]]);
    await cluster.close();
  });
});

describe("anti-entropy: the service", () => {
  test("R35: rounds come by themselves, for all pairs, and never two at once", async () => {
    const cluster = await started(3, { intervalMs: 10_000 });
    const [a, b, c] = cluster.nodes as [ManyNode, ManyNode, ManyNode];
    await mintMany(a, 30, "a");
    await mintMany(c, 30, "c");
    for (const node of cluster.nodes) partOf(node).antiEntropy.start();
    await cluster.pass(30_000);
    expect(contentOf(a)).toBe(contentOf(b));
    expect(contentOf(b)).toBe(contentOf(c));
    const report = partOf(a).antiEntropy.report();
    expect(report.partitions.length).toBe(Q);
    expect(report.totals.rounds).toBeGreaterThanOrEqual(2);
    expect(report.running).toBeUndefined();
    b.fault = "lost";
    await cluster.pass(60_000);
    expect(partOf(a).antiEntropy.report().totals.roundsSkipped).toBeGreaterThan(0);
    await cluster.close();
  }, 20_000);

  test("a round on request tells how far it is", async () => {
    const cluster = await started(3);
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(b, 50);
    const { antiEntropy } = partOf(a);
    const { round, finished } = antiEntropy.runNow();
    expect(antiEntropy.runNow().round).toBe(round);
    await cluster.run(finished, 60_000);
    expect(round.isFinished).toBe(true);
    expect([round.done, round.failed]).toEqual([round.total, 0]);
    expect(round.total).toBe(2 * Q);
    expect(round.differing).toBeGreaterThan(0);
    await cluster.close();
  });

  test("R59: a node that lost everything is complete again from the others, a quorum of them at least", async () => {
    const cluster = await started(3);
    const [a, b, c] = cluster.nodes as [ManyNode, ManyNode, ManyNode];
    await mintMany(b, 300, "b");
    await mintMany(c, 300, "c");
    const seen: number[] = [];
    const options = { quorum: true, onProgress: ({ done }: { done: number }) => seen.push(done) };
    const repair = (hasForgotten = false): Promise<boolean> => {
      const { antiEntropy } = partOf(a);
      const how = { ...options, hasForgotten };
      return cluster.run(antiEntropy.repairPartitions(PARTITIONS, how), 300_000);
    };
    expect(await repair(true)).toBe(true);
    for (let i = 0; i < 300; i++)
      expect([a.stored(`b${i}`), a.stored(`c${i}`)]).toEqual([[`v${i}`], [`v${i}`]]);
    expect(seen.at(-1)).toBe(Q);
    cluster.down(b);
    // What it missed, the other two have; what it lost, one of them may have had alone.
    expect([await repair(), await repair(true)]).toEqual([true, false]);
    cluster.down(c);
    expect(await repair()).toBe(false);
    await cluster.close();
  });

  test("R34: everything rests: background work goes through the node's pace", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(a, 100, "a", "x".repeat(1000));
    const before = partOf(a).pace.counters.bytes;
    await exchange(cluster, a, b);
    expect(partOf(a).pace.counters.bytes - before).toBeGreaterThan(100_000);
    await cluster.close();
  });

  test("stop() calls off what is under way", async () => {
    const cluster = await started();
    const [a, b] = cluster.nodes as [ManyNode, ManyNode];
    await mintMany(b, 50);
    const { finished, round } = partOf(a).antiEntropy.runNow();
    await cluster.run(partOf(a).antiEntropy.stop());
    await cluster.run(finished);
    expect(round.isFinished).toBe(true);
    expect(a.stored("k1")).toEqual([]);
    await cluster.close();
  });
});
