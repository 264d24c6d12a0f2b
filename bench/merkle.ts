/**
 * Merkle trees: what following a write costs, how fast a partition is read into its tree, and what it costs to see that two trees are equal.
 *
 *   bun bench/merkle.ts [--keys 1000000]
 *
 * One partition of that many keys in a real store, records of 150 bytes (and of 4 KiB for the digest). Nothing rests: a node rests as its
 * foreground asks (`repair-pace.ts`). Memory is that of the tree; the bound of the design is 16 bytes per thousand keys, plus 8 MiB.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../src/base/bytes.ts";
import "../src/bun/native-kernels.ts";
import { createBunPorts } from "../src/cli/bun-ports.ts";
import { MerkleIndex } from "../src/cluster/merkle-index.ts";
import { encodeForest } from "../src/cluster/merkle-store.ts";
import { MerkleForest } from "../src/merkle/merkle-forest.ts";
import { MerkleTree } from "../src/merkle/merkle-tree.ts";
import { silentLogger } from "../src/ports/logger.ts";
import { DataDirectory } from "../src/storage/data-directory.ts";
import { DEFAULT_STORE_OPTIONS, Store, WriteBatch } from "../src/storage/store.ts";
import { printTable } from "./support/figures.ts";

const keysAt = process.argv.indexOf("--keys");
const KEY_COUNT = keysAt < 0 ? 1_000_000 : Number(process.argv[keysAt + 1]);
const RECORD_BYTES = 150;
const LARGE_RECORD_BYTES = 4096;
const BATCH_KEYS = 256;
const ROUNDS = 200_000;
const COPIES = 3;
const PARTITION = 0;
const Q = 256;

const rows: Record<string, string>[] = [];

function row(what: string, figure: string, remark = ""): void {
  rows.push({ what, figure, remark });
}

function nsOf(work: (round: number) => void, rounds = ROUNDS): number {
  for (let round = 0; round < rounds / 10; round++) work(round);
  const startMs = performance.now();
  for (let round = 0; round < rounds; round++) work(round);
  return ((performance.now() - startMs) * 1e6) / rounds;
}

const keyOf = (i: number): Uint8Array => {
  const key = utf8(`..bench\0user/${String(i).padStart(10, "0")}`);
  key.set([PARTITION >>> 8, PARTITION]);
  return key;
};
const recordOf = (i: number, bytes = RECORD_BYTES): Uint8Array =>
  new Uint8Array(bytes).fill(i & 0xff);

function benchTree(): void {
  const tree = new MerkleTree(4096);
  const forest = new MerkleForest(4096);
  for (let i = 0; i < KEY_COUNT; i++) {
    tree.toggle(i & 4095, i + 1, i);
    forest.toggle(COPIES, i & 4095, i + 1, i);
  }
  row("toggle", `${nsOf((i) => tree.toggle(i & 4095, i, i)).toFixed(0)} ns`);
  row("root", `${nsOf(() => void tree.root()).toFixed(0)} ns`, "all that equal trees exchange");
  row("64 branches", `${(nsOf(() => void tree.branches(), 2000) / 1000).toFixed(1)} µs`);
  row("leaves of a branch", `${nsOf(() => void tree.leaves(7)).toFixed(0)} ns`, "512 bytes");
  const saved = encodeForest(1, { forest, builtAtMs: 1 });
  row("memory of a tree", `${tree.memoryBytes} bytes`, `${KEY_COUNT} keys`);
  row("saved", `${saved.length} bytes`);
}

function benchWrites(index: MerkleIndex): void {
  const batch = new WriteBatch();
  const keys = Array.from({ length: 1024 }, (_, i) => keyOf(i));
  for (const [name, bytes] of [
    ["150 bytes", RECORD_BYTES],
    ["4 KiB, by digest", LARGE_RECORD_BYTES],
  ] as const) {
    const [before, after] = [recordOf(1, bytes), recordOf(2, bytes)];
    const ns = nsOf((i) =>
      index.changing(batch, PARTITION + 1, COPIES, keys[i & 1023]!, before, after),
    );
    row(`a write, ${name}`, `${ns.toFixed(0)} ns`, "two entry hashes, leaf, two toggles");
  }
}

async function fill(store: Store): Promise<void> {
  for (let from = 0; from < KEY_COUNT; from += BATCH_KEYS) {
    const batch = new WriteBatch();
    for (let i = from; i < Math.min(from + BATCH_KEYS, KEY_COUNT); i++)
      batch.put(keyOf(i), recordOf(i));
    for (let wait = store.admit(); wait !== undefined; wait = store.admit()) await wait;
    await store.apply(batch);
  }
  await store.flush();
}

async function benchRebuild(index: MerkleIndex): Promise<void> {
  await index.rebuild(PARTITION, "first");
  const startMs = performance.now();
  await index.rebuild(PARTITION, "bench");
  const tookMs = performance.now() - startMs;
  const rate = Math.round((KEY_COUNT / tookMs) * 1000).toLocaleString("en");
  row("rebuild", `${rate} keys/s`, `${(tookMs / 1000).toFixed(2)} s for ${KEY_COUNT} keys`);
}

const directory = mkdtempSync(join(tmpdir(), "hutch-bench-"));
try {
  benchTree();
  const ports = createBunPorts({ dataDir: directory, logger: silentLogger });
  const owner = DataDirectory.open(ports.disk, ports.clock, ports.random, "bench", Q);
  const store = await Store.open(
    ports,
    { ...DEFAULT_STORE_OPTIONS, fsync: "os" },
    { ...owner.identity, wasClean: owner.wasClean },
  );
  await fill(store);
  const index = new MerkleIndex({
    store,
    clock: ports.clock,
    random: ports.random,
    logger: silentLogger,
    clusterSecret: new Uint8Array(16).fill(9),
    q: Q,
    copies: { copiesOf: () => COPIES, version: () => 0 },
    rest: () => Promise.resolve(),
  });
  index.start([]);
  await benchRebuild(index);
  benchWrites(index);
  await index.close();
  await store.close();
  owner.closeClean();
  printTable(`Merkle trees, ${KEY_COUNT} keys in one partition`, rows);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
