/**
 * Anti-entropy between two nodes, each with a store on this disk, in one process: what finding d different keys among n costs in bytes and in time, and
 * how fast a node that has nothing is filled.
 *
 *   bun bench/exchange.ts [keys ...]
 *
 * All keys lie in one partition of 256, whose tree has 4096 leaves; values have 100 bytes. Bytes are the bodies of all messages, both ways; "records" is
 * the part of them that are the differing records themselves. CPU is that of both nodes, without the pause between the two looks. The goals: equal
 * partitions under 1 KiB and 10 ms; 10 different keys among a million under 64 KiB.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ByteWriter } from "../src/base/byte-writer.ts";
import { utf8 } from "../src/base/bytes.ts";
import { Prng } from "../src/base/prng.ts";
import { BunClock } from "../src/bun/clock.ts";
import { BunDisk } from "../src/bun/disk.ts";
import "../src/bun/native-kernels.ts";
import { BunRandom } from "../src/bun/random.ts";
import { makeActor } from "../src/causality/actor.ts";
import { NO_METADATA } from "../src/causality/payload.ts";
import { encodeRecord } from "../src/causality/record.ts";
import { AntiEntropy } from "../src/cluster/anti-entropy.ts";
import { BucketCopies } from "../src/cluster/bucket-copies.ts";
import { Coordinator } from "../src/cluster/coordinator.ts";
import { ExchangeAnswers, type ExchangeParts } from "../src/cluster/exchange-answers.ts";
import { MerkleIndex } from "../src/cluster/merkle-index.ts";
import { failedReplyOf } from "../src/cluster/peer-failure.ts";
import type { PeerReply, PeerRequest, Peers } from "../src/cluster/peer-messages.ts";
import type { RecordObserver } from "../src/cluster/record-writer.ts";
import { RepairPace } from "../src/cluster/repair-pace.ts";
import type { ExchangeOptions, ExchangeResult } from "../src/cluster/tree-exchange.ts";
import { silentLogger } from "../src/ports/logger.ts";
import type { WriteRequest } from "../src/quorum/operation.ts";
import {
  addressOf,
  addressOfInternalKey,
  bucketNameOf,
  bucketPrefix,
} from "../src/ring/partition.ts";
import { DEFAULT_STORE_OPTIONS, WriteBatch } from "../src/storage/store.ts";
import { PUT } from "../test/support/one-node.ts";
import { type OpenStore, openStore } from "../test/support/open-store.ts";

const Q = 256;
const BITS = 8;
const PARTITION = 77;
const TREE = { partition: PARTITION, n: 3 };
const BUCKET = "bench";
const PREFIX = bucketPrefix(BUCKET);
const VALUE_BYTES = 100;
const SECRET = new Uint8Array(16).fill(3);
const BATCH_RECORDS = 1000;
const COUNTS = process.argv
  .slice(2)
  .filter((word) => /^\d+$/.test(word))
  .map(Number);
const KEY_COUNTS = COUNTS.length > 0 ? COUNTS : [1000, 10_000, 100_000, 1_000_000];
const DIFFERENCES = [0, 1, 10, 100];

const prng = new Prng("bench/exchange");
const noise = prng.bytes(1 << 20);

class BenchNode {
  readonly id: string;
  readonly coordinator: Coordinator;
  readonly trees: MerkleIndex;
  readonly antiEntropy: AntiEntropy;
  peer!: BenchNode;
  messages = 0;
  private readonly opened: OpenStore;
  private readonly answers: ExchangeAnswers;

  private constructor(opened: OpenStore, index: number) {
    this.opened = opened;
    this.id = `${index}`.padStart(16, "0");
    const { store } = opened;
    const clock = new BunClock();
    const random = new BunRandom();
    const observer: RecordObserver = {
      changing: (...change) => this.trees.changing(...change),
      takenBack: (partition) => this.trees.takenBack(partition),
    };
    this.coordinator = new Coordinator({
      store,
      clock,
      logger: silentLogger,
      nodeId: new Uint8Array(8).fill(index),
      nodeName: `n${index}`,
      incarnation: 1,
      clusterId: new Uint8Array(16).fill(7),
      clusterSecret: SECRET,
      q: Q,
      isDurable: true,
      observer,
    });
    const { buckets, replica } = this.coordinator;
    const pace = new RepairPace({
      clock,
      load: () => ({ inFlight: 0, operations: 0 }),
      bytesPerSecond: 1e12,
    });
    this.trees = new MerkleIndex({
      store,
      clock,
      random,
      logger: silentLogger,
      clusterSecret: SECRET,
      q: Q,
      copies: new BucketCopies(buckets),
      rest: (workMs) => pace.rest(workMs, 0),
    });
    const parts: ExchangeParts = {
      store,
      replica,
      buckets,
      clock,
      pace,
      trees: this.trees,
      copiesOf: (bucket) => bucket.properties.n,
      locate: (key) => ({
        bucket: buckets.get(bucketNameOf(key)),
        address: addressOfInternalKey(key, BITS)!,
      }),
      isHeld: () => true,
      nowMs: () => this.coordinator.nowMs(),
      gcFloor: () => 0,
      raiseGcFloor: () => undefined,
      ownedSince: () => 0,
    };
    this.answers = new ExchangeAnswers(parts);
    this.antiEntropy = new AntiEntropy({
      ...parts,
      peers: this.peers(),
      random,
      logger: silentLogger,
      confirmPauseMs: 1,
      others: () => [this.peer.id],
      isUp: () => true,
      incarnationOf: () => 1,
      treesShared: () => [TREE],
    });
  }

  static async open(index: number): Promise<BenchNode> {
    const disk = new BunDisk(mkdtempSync(join(tmpdir(), "hutch-bench-")));
    directories.push(disk);
    const world = { disk, clock: new BunClock(), random: new BunRandom() };
    const node = new BenchNode(await openStore(world, DEFAULT_STORE_OPTIONS), index);
    node.trees.start([PARTITION]);
    return node;
  }

  /** The other node's answers, by way of a later turn. */
  private peers(): Peers {
    const call = async (_: string, request: PeerRequest, timeoutMs: number): Promise<PeerReply> => {
      this.messages++;
      await Promise.resolve();
      if (request.kind !== "repair") return failedReplyOf(undefined);
      const answer = this.peer.answers.answerers[request.topic as "roots"];
      return answer(request.body, this.id, timeoutMs).then(
        (body): PeerReply => ({ kind: "repair", body }),
        failedReplyOf,
      );
    };
    return {
      call,
      isReachable: () => true,
      isConnectionRefused: () => false,
      latencyP95Ms: () => undefined,
      latencyMeanMs: () => 0,
    };
  }

  async load(keys: readonly Uint8Array[], record: (index: number) => Uint8Array): Promise<void> {
    const { store } = this.opened;
    for (let i = 0; i < keys.length; i += BATCH_RECORDS) {
      for (let wait = store.admit("put"); wait !== undefined; wait = store.admit("put")) await wait;
      const batch = new WriteBatch();
      const end = Math.min(keys.length, i + BATCH_RECORDS);
      for (let j = i; j < end; j++) batch.put(keys[j]!, record(j));
      await store.apply(batch);
    }
    await this.trees.rebuild(PARTITION, "loaded");
  }

  /** A newer value that only this node has. */
  async overwrite(key: Uint8Array): Promise<void> {
    const { replica, buckets } = this.coordinator;
    const request: WriteRequest = { ...PUT, value: noise.slice(0, VALUE_BYTES) };
    const address = addressOfInternalKey(key, BITS)!;
    await replica.mint(buckets.get(BUCKET), address, request, this.coordinator.nowMs()).durable;
  }

  exchange(options: ExchangeOptions): Promise<ExchangeResult> {
    return this.antiEntropy.exchange(this.peer.id, PARTITION, options);
  }

  async close(): Promise<void> {
    await this.trees.close();
    await this.coordinator.stop();
    await this.opened.close();
  }
}

const directories: BunDisk[] = [];

function keysInPartition(count: number): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let i = 0; keys.length < count; i++) {
    const address = addressOf(PREFIX, utf8(`user/${i}`), BITS);
    if (address.partition === PARTITION) keys.push(address.internalKey);
  }
  return keys;
}

function recordOf(index: number): Uint8Array {
  const at = (index * 61) % (noise.length - VALUE_BYTES);
  const payload = {
    isTombstone: false,
    hlc: index + 1,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: noise.subarray(at, at + VALUE_BYTES),
  };
  const counter = index + 1;
  const writer = new ByteWriter(256);
  const actor = makeActor(new Uint8Array(8).fill(9), 1);
  encodeRecord(writer, [{ actor, counterMax: counter, values: [{ counter, payload }] }]);
  return writer.finish();
}

async function measured(
  node: BenchNode,
  options: ExchangeOptions,
): Promise<{ result: ExchangeResult; cpuMs: number; wallMs: number; messages: number }> {
  node.messages = 0;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const result = await node.exchange(options);
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  return { result, cpuMs: (user + system) / 1000, wallMs, messages: node.messages };
}

const cells = (...values: (string | number)[]): string =>
  values.map((value) => String(value).padStart(11)).join("");

async function differences(keyCount: number, keys: readonly Uint8Array[]): Promise<void> {
  const [a, b] = [await BenchNode.open(1), await BenchNode.open(2)];
  [a.peer, b.peer] = [b, a];
  await a.load(keys, recordOf);
  await b.load(keys, recordOf);
  for (const count of DIFFERENCES) {
    for (let i = 0; i < count; i++) await a.overwrite(keys[prng.below(keyCount)]!);
    const { result, cpuMs, wallMs, messages } = await measured(a, { direction: "both" });
    if (!result.isEqual) throw new Error(`not equal: ${result.failure ?? "still"}`);
    const bytes = result.bytesSent + result.bytesReceived;
    console.log(
      cells(keyCount, count, bytes, messages, result.keysSent, cpuMs.toFixed(1), wallMs.toFixed(0)),
    );
  }
  await a.close();
  await b.close();
}

async function filling(keyCount: number, keys: readonly Uint8Array[]): Promise<void> {
  for (const direction of ["streamed to", "fetched by"] as const) {
    const [a, b] = [await BenchNode.open(1), await BenchNode.open(2)];
    [a.peer, b.peer] = [b, a];
    await a.load(keys, recordOf);
    const driver = direction === "streamed to" ? a : b;
    const { result, cpuMs, wallMs, messages } = await measured(driver, {
      direction: "both",
      isBulk: true,
    });
    const bytes = result.bytesSent + result.bytesReceived;
    const rate = bytes / 2 ** 20 / (wallMs / 1000);
    console.log(
      `${keyCount} records ${direction} an empty node: ${rate.toFixed(1)} MiB/s, ${messages} messages, ` +
        `${Math.round(keyCount / (wallMs / 1000))} records/s, ${((cpuMs * 1000) / keyCount).toFixed(1)} us CPU a record${result.isEqual ? "" : ", NOT EQUAL"}`,
    );
    await a.close();
    await b.close();
  }
}

try {
  console.log(cells("keys", "different", "bytes", "messages", "records", "CPU ms", "wall ms"));
  for (const keyCount of KEY_COUNTS) await differences(keyCount, keysInPartition(keyCount));
  const most = Math.max(...KEY_COUNTS);
  await filling(most, keysInPartition(most));
} finally {
  for (const { root } of directories) rmSync(root, { recursive: true, force: true });
}
