/**
 * Every knob of a node: what it is, its default, which way to turn it, what that costs, how it relates to others.
 *
 * This one table makes all four ways to set a knob and the check on each of them (`config/load-config.ts`). The knob
 * `memtableAgeMs` is the flag `--memtable-age`, the variable `HUTCH_MEMTABLE_AGE` and the line `memtable-age = "1h"` of
 * the file. A flag wins over a variable, that over the file, that over the preset, that over the default written here.
 * Durations are written `500ms 10s 5m 3h 14d`, sizes `4096 4KiB 64MiB`. Relations between knobs: `config/relations.ts`.
 */

import type { z } from "zod";
import type { Kind } from "./config/knob-kinds.ts";
import {
  address,
  addresses,
  choice,
  count,
  duration,
  parseDurationMs,
  parseSizeBytes,
  optionalAddress,
  powerOfTwo,
  size,
  text,
  toggle,
} from "./config/knob-kinds.ts";

/** The headings under which help and `config print` show the knobs. */
export type KnobGroup =
  "node" | "replication" | "requests" | "security" | "storage" | "cluster" | "logging";

export interface Knob<Value> {
  readonly group: KnobGroup;
  readonly kind: Kind<Value>;
  readonly default: Value;
  /** What it is; which way to turn it; what that costs; how it relates to its neighbours; what zero means. */
  readonly about: string;
  /** The name in kebab-case where it does not follow from the property's. */
  readonly name?: string;
}

/** A knob whose kind of value does not matter. */
export interface AnyKnob {
  readonly group: KnobGroup;
  readonly kind: Pick<Kind<never>, "placeholder" | "show"> & { readonly schema: z.ZodType };
  readonly default: unknown;
  readonly about: string;
  readonly name?: string;
}

function knob<Value>(
  group: KnobGroup,
  kind: Kind<Value>,
  defaultValue: Value,
  about: string,
  name?: string,
): Knob<Value> {
  return { group, kind, default: defaultValue, about, ...(name === undefined ? {} : { name }) };
}

const ms = (duration: string): number => parseDurationMs(duration)!;
const bytes = (size: string): number => parseSizeBytes(size)!;
const label = (placeholder: string) =>
  text(
    placeholder,
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "1 to 63 letters, digits, dots, dashes or underscores",
  );
const path = (placeholder: string) => text(placeholder, /^[^\0]*$/, "a path");
const loopback = (port: number) => ({ host: "127.0.0.1", port });

// prettier-ignore
export const KNOBS = {
  preset: knob("node", choice("local", "lan", "wan"), "lan",
    "Starting point for timings between nodes: local (one machine, quick drills), lan (one site), wan (several sites). Any knob set by itself wins over it."),
  nodeId: knob("node", label("ID"), "n1",
    "Name of this node, unique in its cluster; what X-Node and /v1/cluster/nodes show."),
  cluster: knob("node", label("NAME"), "hutch",
    "Name of the cluster. Nodes with different names never talk to each other."),
  listen: knob("node", address(), loopback(7001),
    "Where clients connect (HTTP). Anything but loopback needs auth-tokens, or insecure-bind-public."),
  peer: knob("node", address(), loopback(7101),
    "Where other nodes connect (TCP and UDP, the same port). Must differ from listen."),
  advertise: knob("node", optionalAddress(), "",
    "Where other nodes reach this one, where that is not the address of peer: behind address translation, in a container. Empty: the address of peer."),
  advertiseClient: knob("node", optionalAddress(), "",
    "Where clients reach this node, where that is not the address of listen; what /v1/cluster/nodes tells them. Empty: the address of listen."),
  insecureBindPublic: knob("node", toggle(), false,
    "Allow listen without auth-tokens, and peer without a key or certificates of the cluster, on addresses that other machines reach. Everybody who reaches the port can read and delete everything; logged every minute."),
  dataDir: knob("node", text("DIR", /^[^\0]*$/, "a path"), "",
    "Where the data live; created when its parent is there. Empty: .hutch/NODE-ID in the working directory, parent included. One process at a time."),
  seeds: knob("node", addresses(64), [],
    "Peer addresses of nodes of the cluster. The first of them founds a new cluster when all have answered; all nodes get the same list. Empty: a cluster of one."),
  dc: knob("node", label("NAME"), "dc1", "Data centre of this node: copies of a key are spread over these first."),
  rack: knob("node", label("NAME"), "rack1", "Rack of this node: copies are spread over these next."),
  host: knob("node", label("NAME"), "host1",
    "Machine of this node: no two copies of a key share one while there are enough. Give nodes on one machine the same."),
  weight: knob("node", count(1, 1000), 1,
    "Share of the partitions that this node takes, relative to the others. Higher: more data and more requests."),
  partitions: knob("node", powerOfTwo(16, 65_536), 256,
    "Number of partitions of the ring; only at the creation of a cluster, fixed for ever. More: finer balance for many nodes, more bookkeeping for each."),
  rejoin: knob("node", choice("refuse", "rebuild"), "refuse",
    "What a node does that was away longer than max-absence: refuse to start, or rebuild from its peers, taking its own data as candidates only."),
  replace: knob("node", text("NODE", /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$/, "a node's name"), "",
    "Take the place of this dead node. Empty: of nobody."),
  joins: knob("node", choice("apply", "stage"), "apply",
    "What becomes of a node that joins through this cluster: a layout with it is applied at once, or only staged for somebody to look at and apply (`hutch layout`)."),

  n: knob("replication", count(1, 15), 3,
    "Copies of each key (N), for buckets that do not say. More: survives more failures, costs disk and write traffic. A cluster with fewer nodes keeps as many as it has, a node alone one."),
  r: knob("replication", count(0, 15), 0,
    "Copies that must answer a read (R) unless the request or bucket says; at most n. 0: a quorum. r + w > n makes reads see the last acknowledged write."),
  w: knob("replication", count(0, 15), 0,
    "Copies that must acknowledge a write (W) unless the request or bucket says; at most n. 0: a quorum. Higher: safer and slower, and less available."),

  requestTimeoutMs: knob("requests", duration("1ms", "10m"), ms("2s"),
    "Time for one request that brings no X-Timeout. Longer: rides out slow disks; clients wait longer for an error. At most request-timeout-max."),
  replicaTimeoutMs: knob("requests", duration("1ms", "10m"), ms("500ms"),
    "Time for one replica to answer one read or write. Shorter: a stalled node costs less; too short: slow disks look like dead ones. Never more than the request has left."),
  requestTimeoutMaxMs: knob("requests", duration("1ms", "10m"), ms("60s"),
    "The longest X-Timeout that is accepted. Part of the relation that keeps deletes deleted: see gc-delay."),
  keyBytesMax: knob("requests", size("1", "1KiB"), 256,
    "Longest key. Longer keys make indexes larger."),
  valueBytesMax: knob("requests", size("1", "16MiB"), bytes("16MiB"),
    "The most that a bucket's valueBytesMax (1 MiB unless set) may be raised to. Each request in flight may hold this much memory."),
  idleTimeoutMs: knob("requests", duration("1s", "255s"), ms("10s"),
    "A connection that sends nothing for this long is closed, in the middle of a request too. Longer: kinder to slow clients, easier to exhaust. Whole seconds."),
  memoryLimitBytes: knob("requests", size("0", "100TiB"), 0,
    "Memory of the process besides mapped files; above four fifths of it requests with a body get 503 overloaded. 0: what the control group or the machine has.", "memory-limit"),
  shutdownTimeoutMs: knob("requests", duration("0", "10m"), ms("10s"),
    "How long a stopping node lets requests in flight finish before it closes. 0: not at all."),

  authTokens: knob("security", path("FILE"), "",
    "File of tokens (`hutch token create`); readable by its owner only. With it every request needs a token, but for health, contract and dashboard. Read again on SIGHUP. Empty: everybody may do everything."),
  tlsCert: knob("security", path("FILE"), "",
    "Certificate chain (PEM) for clients; with tls-key, and then clients connect by https only. Read again on SIGHUP. Empty: no TLS."),
  tlsKey: knob("security", path("FILE"), "",
    "Private key (PEM) of tls-cert; readable by its owner only."),
  auditLog: knob("security", path("FILE"), "",
    "File to which a line of JSON is appended for every act of administration and every refused request, besides the log. Opened again on SIGHUP. Empty: the log only."),
  clusterKeyFile: knob("security", path("FILE"), "",
    "File of the cluster's keys (`hutch keys new`); readable by its owner only, the same keys on all nodes. With it gossip is sealed and only nodes with a key open links, which are sealed too. Read again on SIGHUP. Empty: every process that reaches peer is believed."),
  peerCert: knob("security", path("FILE"), "",
    "Certificate chain (PEM) of this node for links with other nodes; it must name node-id. With peer-key and peer-ca, and then both sides of a link show one (mutual TLS 1.2 or later). Gossip has no TLS: set cluster-key-file too. Empty: no TLS between nodes."),
  peerKey: knob("security", path("FILE"), "",
    "Private key (PEM) of peer-cert; readable by its owner only."),
  peerCa: knob("security", path("FILE"), "",
    "Certificates (PEM) of the authorities whose nodes are believed; those of the machine are not."),
  hostNames: knob("security", text("NAME,...", /^([A-Za-z0-9._-]{1,253}(,[A-Za-z0-9._-]{1,253}){0,31})?$/, "at most 32 host names separated by commas"), "",
    "Host names that clients may ask for, besides localhost, the host of listen and of advertise-client; others get 421, so that no page of a stranger can reach the node under a name of its own."),
  allowedOrigins: knob("security", text("ORIGIN,...", /^(https?:\/\/[^\s,/]+(,https?:\/\/[^\s,/]+){0,31})?$/, "at most 32 origins such as https://admin.example separated by commas"), "",
    "Origins whose pages may use the node through a browser, besides the node's own; others read nothing and get 403 when they change something."),

  fsync: knob("storage", choice("always", "group", "os"), "group",
    "When a write is acknowledged. group: one sync covers all writes that came before it. always: a sync for every batch; slower, no safer. os: without a sync; fastest, a power loss takes the last seconds."),
  memtableBytes: knob("storage", size("4KiB", "4GiB"), bytes("64MiB"),
    "Writes kept in memory before they become a table. Larger: fewer and larger tables, more memory (three times this at worst), longer recovery."),
  memtableAgeMs: knob("storage", duration("100ms", "7d"), ms("1h"),
    "A memtable this old becomes a table however small. Shorter: less log to replay, more small tables."),
  walSegmentBytes: knob("storage", size("4KiB", "8GiB"), bytes("128MiB"),
    "Log size at which the memtable is frozen too, as overwrites grow the log and not the table."),
  blockBytes: knob("storage", size("512", "1MiB"), bytes("2KiB"),
    "Uncompressed content of a block of a table. Larger: smaller index and better compression, slower reads of one key."),
  tableBytes: knob("storage", size("4KiB", "4GiB"), bytes("32MiB"),
    "Size at which compaction starts the next table. Larger: fewer files, coarser compactions."),
  level0Trigger: knob("storage", count(1, 100), 4,
    "Tables in level 0 that start a compaction. More: less write work, slower reads. Below level0-slowdown."),
  level0Slowdown: knob("storage", count(2, 200), 12,
    "Tables in level 0 at which writes are delayed by milliseconds each. Below level0-stop."),
  level0Stop: knob("storage", count(3, 400), 20,
    "Tables in level 0 at which writes get 503 overloaded until compaction has caught up."),
  levelBaseBytes: knob("storage", size("64KiB", "1TiB"), bytes("256MiB"),
    "Size of level 1; each next level is ten times larger. Larger: fewer levels, larger compactions."),
  compactionBytesPerSecond: knob("storage", size("0", "100GiB"), bytes("64MiB"),
    "Limit of compaction and scrub input and output while level 0 is below its slowdown. Lower: calmer reads, slower catching up. 0: no limit."),
  scrubBytesPerSecond: knob("storage", size("64KiB", "10GiB"), bytes("8MiB"),
    "How fast the scrub reads tables back to check them. Higher: damage is found earlier, the disk is busier."),
  scrubIntervalMs: knob("storage", duration("1s", "365d"), ms("14d"),
    "Every table is read back and checked within this time."),
  blockCacheBytes: knob("storage", size("0", "1TiB"), bytes("32MiB"),
    "Memory for decompressed blocks, besides what the operating system caches. Larger: faster reads of compressible data."),
  readMode: knob("storage", choice("map", "read"), "map",
    "How tables are read. map: through memory maps. read: by read calls; slower, for file systems whose maps cannot be trusted (networks)."),
  diskReserveBytes: knob("storage", size("0", "100TiB"), 0,
    "Free space below which writes get 507 disk-full; reads go on. 0: the larger of 5 % of the disk and what flush and compaction need.", "disk-reserve"),
  syncStuckMs: knob("storage", duration("100ms", "1h"), ms("30s"),
    "A sync that takes longer makes the node give up its disk and stop (exit 75). Longer: rides out slow disks; writes hang meanwhile.", "sync-stuck"),

  gossipIntervalMs: knob("cluster", duration("10ms", "1m"), ms("1s"),
    "Time between two probes of other nodes. Shorter: failures are seen earlier, more traffic."),
  hintWindowMs: knob("cluster", duration("0", "30d"), ms("3h"),
    "How long after a node went away writes for it are kept as hints. Longer: less to repair when it is back, more disk. 0: no hints."),
  hintTtlMs: knob("cluster", duration("1s", "30d"), ms("3h"),
    "Age at which an undelivered hint is dropped, where this node has a copy of its own. A hint that is the only copy here stays until it is delivered. Part of the relation of gc-delay."),
  hintBytesMax: knob("cluster", size("0", "1TiB"), bytes("256MiB"),
    "Most that is kept as hints for one node; beyond it repair does the work."),
  hintReplayDelayMs: knob("cluster", duration("0", "1h"), ms("2s"),
    "How long a node must be back before its hints are sent. Longer: calmer returns in large clusters."),
  repairIntervalMs: knob("cluster", duration("1s", "90d"), ms("1h"),
    "Every partition is compared with its other owners within this time. Shorter: copies agree earlier, more background reading."),
  driftMaxMs: knob("cluster", duration("100ms", "1h"), ms("10s"),
    "How far the clocks of two nodes may be apart before messages are refused. Part of the relation of gc-delay."),
  gcDelayMs: knob("cluster", duration("1s", "365d"), ms("24h"),
    "Age at which a deletion may be forgotten. Must be more than request-timeout-max + hint-ttl + drift-max, or an old write that is still under way would bring deleted data back."),
  maxAbsenceMs: knob("cluster", duration("0", "365d"), 0,
    "A node that was away longer does not come back with its data (see rejoin). At most gc-delay. 0: as long as gc-delay."),

  logLevel: knob("logging", choice("debug", "info", "warn", "error"), "info",
    "The least important kind of line that is logged."),
  logFormat: knob("logging", choice("auto", "human", "json"), "auto",
    "One line for people or one JSON object for machines. auto: human on a terminal, json elsewhere."),
  slowRequestMs: knob("logging", duration("0", "10m"), ms("1s"),
    "A read, write or delete of one key that takes longer is logged, with what it waited for; at most five lines a second. 0: none is."),
  tracesUrl: knob("logging", text("URL", /^(https?:\/\/[^\s@]+)?$/, "an http or https address without a user"), "",
    "Where traces are sent, as OTLP over HTTP in JSON: http://127.0.0.1:4318/v1/traces. Set it when all nodes run a version that knows it. Empty: nothing is traced."),
  tracesRatio: knob("logging", text("SHARE", /^(0(\.\d{1,6})?|1(\.0{1,6})?)$/, "a number from 0 to 1"), "0",
    "Share of the requests without traceparent that are traced, 0 to 1; one with it is traced when its flag says so. Higher: more is seen, more is sent."),
} as const satisfies Record<string, AnyKnob>;

export type KnobKey = keyof typeof KNOBS;

type ValueOf<K> = K extends Knob<infer Value> ? Value : never;

/** What a node is started with: a value for each knob, all relations checked. */
export type Config = { readonly [Key in KnobKey]: ValueOf<(typeof KNOBS)[Key]> };

/** Values that presets change; `lan` is the table above. */
export const PRESETS: Readonly<Record<Config["preset"], Partial<Config>>> = {
  local: { gossipIntervalMs: ms("200ms"), hintReplayDelayMs: 500, repairIntervalMs: ms("1m") },
  lan: {},
  wan: {
    gossipIntervalMs: ms("2s"),
    hintReplayDelayMs: ms("30s"),
    requestTimeoutMs: ms("5s"),
  },
};

/** `memtableAgeMs` is `memtable-age`. */
export function knobName(key: KnobKey): string {
  const knob: AnyKnob = KNOBS[key];
  return (
    knob.name ?? key.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  );
}

/** `memtableAgeMs` is `HUTCH_MEMTABLE_AGE`. */
export function variableName(key: KnobKey): string {
  return `HUTCH_${knobName(key).replaceAll("-", "_").toUpperCase()}`;
}

export const KNOB_KEYS = Object.keys(KNOBS) as readonly KnobKey[];

/** The text of one value, as a flag or the file would take it. */
export function showValue<Key extends KnobKey>(key: Key, value: Config[Key]): string {
  // The table pairs each key with the kind of its own value, which TypeScript cannot follow through an index.
  return (KNOBS[key].kind as unknown as Kind<Config[Key]>).show(value);
}
