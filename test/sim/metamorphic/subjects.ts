/**
 * The variants of a metamorphic run: the same system, set up in ways that a client must not notice.
 *
 * What cannot be varied: bits and existence of bloom filters are no knobs; the kernels of hashing and searching are bound when their modules load, and have
 * differential tests of their own (`test/kernels`).
 */
import { zstdCompression } from "../../../src/bun/compression.ts";
import type { KnobKey } from "../../../src/config.ts";
import { Access } from "../../../src/http/access.ts";
import { TokenTable } from "../../../src/http/token-table.ts";
import { crc32Js } from "../../../src/kernels/kernels-js.ts";
import { crc32Wasm } from "../../../src/kernels/kernels-wasm.ts";
import { type NativeKernels, useNativeKernels } from "../../../src/kernels/kernels.ts";
import type { NodePorts } from "../../../src/node.ts";
import type { Span } from "../../../src/ports/tracer.ts";
import { SimCluster } from "../../../src/simulator/cluster.ts";
import { SimOperator } from "../../../src/simulator/operator.ts";
import type { SimWorld } from "../../../src/sim/world.ts";
import type { Compression } from "../../../src/storage/table/compression.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { NodeOnSim } from "../../support/sim-node.ts";
import type { Answer } from "./client.ts";

export type Flags = Partial<Record<KnobKey, string>>;

/** A system under test, of one node or several. */
export interface Subject {
  readonly world: SimWorld;
  /** @param client clients may talk to different nodes */
  send(client: number, path: string, init: RequestInit | undefined): Answer;
  /** Called before every step with its number: what goes on besides. */
  meanwhile(index: number): void;
}

export interface Variant {
  readonly name: string;
  readonly consistency: string;
  open(seed: number): Subject;
}

/** Of one node, and what is done to it every `every` steps. */
interface OneNodeOptions {
  readonly flags?: Flags;
  readonly compression?: Compression;
  readonly kernels?: NativeKernels;
  readonly ports?: Ports;
  readonly every?: number;
  readonly disturb?: (sim: NodeOnSim) => void;
}

const QUORUM = "QUORUM";
const NATIVE: NativeKernels = { crc32: (bytes) => Bun.hash.crc32(bytes) };

function oneNode(name: string, options: OneNodeOptions = {}): Variant {
  const { flags = {}, compression = zstdCompression, kernels = NATIVE, ports = {} } = options;
  const { every = Infinity, disturb = () => undefined } = options;
  return {
    name,
    consistency: QUORUM,
    open(seed) {
      useNativeKernels(kernels);
      const sim = new NodeOnSim(`metamorphic/${seed}`, flags, compression, ports);
      return {
        world: sim.world,
        send: (_, path, init) => sim.request(path, ports.access ? withToken(init) : init),
        meanwhile: (index) => {
          if (index % every === every - 1) disturb(sim);
        },
      };
    },
  };
}

type Ports = Pick<NodePorts, "access" | "tracer">;

const TOKEN = "token-of-the-variants";

/** Everybody has to say who they are, and one token may do everything. */
function guarded(): Ports {
  const sha256 = digest(TOKEN).toHex();
  const table = new TokenTable([{ id: "all", sha256, roles: ["admin"] }]);
  return { access: new Access({ table, digest, clock: new ManualClock() }) };
}

const digest = (text: string): Uint8Array =>
  new Uint8Array(new Bun.CryptoHasher("sha256").update(text).digest());

function withToken(init: RequestInit = {}): RequestInit {
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${TOKEN}`);
  return { ...init, headers };
}

/** Every request is traced, from node to node. */
function traced(): Ports {
  let count = 0;
  const begin = (traceId: string): Span => {
    const spanId = (++count).toString(16).padStart(16, "0");
    return {
      context: { traceId, spanId, state: "hutch=1" },
      set: () => undefined,
      end: () => undefined,
    };
  };
  return {
    tracer: {
      counters: { exported: 0, dropped: 0 },
      request: () => begin((++count).toString(16).padStart(32, "0")),
      child: ({ traceId }) => begin(traceId),
    },
  };
}

/** Stores everything as it is. */
const NO_COMPRESSION: Compression = {
  compress: (bytes) => bytes,
  decompress: (frame) => frame,
};

/** So small that flushes and compactions follow each other all the time. */
const TINY: Flags = {
  memtableBytes: "4KiB",
  walSegmentBytes: "4KiB",
  tableBytes: "4KiB",
  levelBaseBytes: "64KiB",
  level0Trigger: "2",
  blockBytes: "512",
};

const flush = (sim: NodeOnSim): void => void sim.request("/v1/admin/flush", { method: "POST" });
const compact = (sim: NodeOnSim): void => void sim.request("/v1/admin/compact", { method: "POST" });

const ONE_NODE: readonly Variant[] = [
  oneNode("small memtables and blocks", { flags: TINY }),
  oneNode("small, read by pread", { flags: { ...TINY, readMode: "read", blockCacheBytes: "0" } }),
  oneNode("small, not compressed", { flags: TINY, compression: NO_COMPRESSION }),
  oneNode("large blocks", { flags: { ...TINY, blockBytes: "64KiB", tableBytes: "1MiB" } }),
  oneNode("lazy compaction", { flags: { ...TINY, level0Trigger: "10" } }),
  oneNode("a sync for each batch", { flags: { fsync: "always" } }),
  oneNode("no syncs", { flags: { fsync: "os" } }),
  oneNode("16 partitions", { flags: { partitions: "16" } }),
  oneNode("4096 partitions", { flags: { partitions: "4096" } }),
  oneNode("checksums in TypeScript", { flags: TINY, kernels: { crc32: crc32Js } }),
  oneNode("checksums in WASM", { flags: TINY, kernels: { crc32: crc32Wasm } }),
  oneNode("flushed again and again", { every: 5, disturb: flush }),
  oneNode("compacted again and again", { flags: TINY, every: 7, disturb: compact }),
  oneNode("killed again and again", { every: 9, disturb: (sim) => sim.restart("kill") }),
  oneNode("losing power again and again", {
    flags: TINY,
    every: 11,
    disturb: (sim) => sim.restart("power-loss"),
  }),
  oneNode("with tokens", { ports: guarded() }),
  oneNode("traced", { ports: traced() }),
];

// Clusters.

const CLOCK = { offsetMs: 0, driftPpm: 0 };
const NODES = 3;
/** Joined later; clients talk to the first three. */
const NODES_MAX = 5;

interface ClusterOptions {
  readonly flags?: Flags;
  readonly consistency?: string;
  readonly nodes?: number;
  /** Does each client have a node of its own? */
  readonly isSpread?: boolean;
  /** Of the cluster: what goes on between nodes is sealed with it. */
  readonly key?: Uint8Array;
  readonly ports?: Ports;
  readonly changes?: Readonly<Record<number, (cluster: SimCluster, operator: SimOperator) => void>>;
}

function cluster(name: string, options: ClusterOptions = {}): Variant {
  const {
    flags = {},
    consistency = QUORUM,
    nodes = NODES,
    isSpread = true,
    changes = {},
    ports = {},
    key,
  } = options;
  return {
    name,
    consistency,
    open(seed) {
      useNativeKernels(NATIVE);
      const clocks = Array.from({ length: NODES_MAX }, () => CLOCK);
      const made = new SimCluster(`metamorphic/${seed}`, {
        nodes,
        flags,
        clocks,
        ports,
        ...(key && { key }),
      }).form();
      const operator = new SimOperator(made);
      return {
        world: made.world,
        send: (client, path, init) => made.request(isSpread ? client % nodes : 0, path, init),
        meanwhile: (index) => changes[index]?.(made, operator),
      };
    },
  };
}

const CLUSTERS: readonly Variant[] = [
  cluster("a cluster of one", { nodes: 1 }),
  cluster("three nodes, by way of one", { isSpread: false }),
  cluster("three nodes, a client at each"),
  cluster("three nodes at ALL", { consistency: "ALL" }),
  cluster("three nodes, tiny", { flags: TINY }),
  cluster("five nodes, 64 partitions", { nodes: NODES_MAX, flags: { partitions: "64" } }),
  cluster("three nodes, sealed", { key: new Uint8Array(32).fill(7) }),
  cluster("three nodes, traced", { ports: traced() }),
  cluster("three nodes, sealed and traced, tiny", {
    flags: TINY,
    key: new Uint8Array(32).fill(7),
    ports: traced(),
  }),
  cluster("a ring that changes", {
    changes: {
      8: (made) => void made.add(),
      40: (_, operator) => void operator.reweigh(1, 3),
      70: (_, operator) => void operator.leave(NODES),
    },
  }),
];

/** What all others are compared with. */
export const PLAIN: Variant = oneNode("as it comes");
export const VARIANTS: readonly Variant[] = [...ONE_NODE, ...CLUSTERS];
