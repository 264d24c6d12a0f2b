/**
 * The composition root: from a configuration and a world to a running node.
 *
 *   data directory (lock, identity) -> cluster found or founded -> store -> coordinator, cluster, administration -> REST application
 *
 * Everything that touches the outside comes in as a port, so the same node runs on a machine (`cli/serve.ts`), inside another
 * program (`index.ts`), and in the simulator. Stopping goes the other way: `drain` lets what is inside end, `close` leaves a
 * directory that says that all is well. A node that is not closed has crashed, and finds out at its next start.
 */

import { hex } from "./base/bytes.ts";
import { CorruptionError, HutchError, messageOf } from "./base/errors.ts";
import { Metrics } from "./base/metrics.ts";
import { limitOf, mustRebuild, wasAwayLong } from "./cluster/absence.ts";
import { Admin, type AdminParts } from "./cluster/admin.ts";
import { defineClusterMetrics } from "./cluster/cluster-metrics.ts";
import type { ClusterNode } from "./cluster/cluster-node.ts";
import type { Coordinator, CoordinatorOptions } from "./cluster/coordinator.ts";
import { coordinatorOfOne } from "./cluster/coordinator-alone.ts";
import { saveLayouts, storedLayouts } from "./cluster/layout-store.ts";
import type { Collected } from "./cluster/tombstone-collector.ts";
import type { Config } from "./config.ts";
import { adminPartsOf } from "./node-admin.ts";
import { type ObservationPorts, observationOf } from "./node-metrics.ts";
import { formatAddress } from "./config/knob-kinds.ts";
import type { Access } from "./http/access.ts";
import type { App, AppOptions } from "./http/app.ts";
import { createApp } from "./http/app.ts";
import type { AuditSink } from "./http/audit.ts";
import type { DiskErrorKind } from "./ports/disk.ts";
import { DiskError } from "./ports/disk.ts";
import type { Logger } from "./ports/logger.ts";
import type { MemoryPressure } from "./ports/memory.ts";
import type { PeerPorts } from "./ports/transport.ts";
import { PeerDoor, peerAddressOf } from "./peer-door.ts";
import type { LayoutState } from "./ring/layout-state.ts";
import { ALIVE_EVERY_MS, AliveMark, lastAliveMs } from "./storage/alive-mark.ts";
import type { Identity } from "./storage/data-directory.ts";
import { DataDirectory, identityOfSnapshot } from "./storage/data-directory.ts";
import type { StoreOptions, StorePorts } from "./storage/store.ts";
import { Store } from "./storage/store.ts";

/** The world of one node. `workers` runs the jobs of the store with the retention of `causality/retention.ts`. */
export interface NodePorts extends StorePorts, ObservationPorts {
  /** Where it is left out the node never sheds load for want of memory. */
  readonly memory?: MemoryPressure;
  /** Bound to the node's peer address. Where they are left out the node is a cluster of one for ever. */
  readonly peers?: PeerPorts;
  /** Who may come in through the REST face. Where it is left out: everybody, for everything. */
  readonly access?: Access;
  /** Keeps what administrators did, and who was refused, besides the log. */
  readonly auditSink?: AuditSink;
  /** Defines what is measured outside of the node. */
  readonly defineMetrics?: (metrics: Metrics) => void;
  /** Calls back when what came up in this turn is complete; messages to peers travel together then. */
  readonly scheduleFlush?: (run: () => void) => void;
}

export interface Node {
  /** The REST face; `app.fetch(request)` needs no server. */
  readonly app: App;
  readonly id: string;
  /** What it is made of, for whoever looks at it from within its process: tests, the simulator. */
  readonly inside: { readonly store: Store; readonly cluster: ClusterNode | undefined };
  /** Not ready, no new operations; settles when those under way have ended. */
  drain(): Promise<void>;
  /** After `drain`: everything on disk, files closed, lock released. */
  close(): Promise<void>;
  /** The disk could not be trusted any more (C15): the node answers nothing from now on and should be ended. */
  onFailure(listener: (error: HutchError) => void): void;
  /** The node has left its cluster, or was removed from it: it should be ended, and does not start again with these data. */
  onGone(listener: () => void): void;
}

/**
 * Opens a node. Only one at a time may have the data directory of `ports.disk`.
 *
 * @throws HutchError `data-dir-in-use`, `data-dir-unusable`, `permission-denied`, `data-refused`, `io-error`; nothing is
 * left open then.
 */
export async function startNode(config: Config, makePorts: () => NodePorts): Promise<Node> {
  try {
    return await openNode(config, makePorts());
  } catch (error) {
    throw startError(error);
  }
}

async function openNode(config: Config, ports: NodePorts): Promise<Node> {
  const { disk, clock, random } = ports;
  const isAlone = config.seeds.length === 0 || ports.peers === undefined;
  const note = `node ${config.nodeId}`;
  const directory = DataDirectory.open(disk, clock, random, note, config.partitions, isAlone);
  let door: PeerDoor | undefined;
  let store: Store | undefined;
  try {
    if (ports.peers !== undefined) door = new PeerDoor(config, ports, ports.peers, directory);
    const formed = await door?.findCluster();
    const retention = new Retention();
    const owner = { ...directory.identity, wasClean: directory.wasClean };
    store = await Store.open(ports, storeOptionsOf(config, retention), owner);
    if (store.stats().lostRanges > 0) directory.renewIncarnation();
    const layouts = await layoutsOf(store, ports.logger, door, formed?.layouts);
    refuseGone(layouts, hex(directory.identity.nodeId));
    // A copied or restored directory is of some earlier time (row 93).
    const isRebuilding = directory.isCopied || (await wasAwayTooLong(config, ports, door, layouts));
    if (isRebuilding) directory.renewIncarnation();
    const alive = new AliveMark(disk, clock, ports.logger, aliveEveryMs(config));
    const parts = { config, ports, directory, store, retention, alive, isRebuilding };
    return assemble(parts, door, layouts);
  } catch (error) {
    door?.close();
    await store?.close();
    await ports.workers.close();
    directory.release();
    throw error;
  }
}

/** An absence is known to within a tenth of what is too long. */
const aliveEveryMs = (config: Config): number => Math.min(ALIVE_EVERY_MS, limitOf(config) / 10);

/** R43. Throws `data-refused` where the node may not come back with its data; true where it has to rebuild. */
async function wasAwayTooLong(
  config: Config,
  { disk, clock }: NodePorts,
  door: PeerDoor | undefined,
  layouts: LayoutState | undefined,
): Promise<boolean> {
  const isAlone = layouts === undefined || layouts.members.size <= 1;
  const away = { ...config, lastAliveMs: lastAliveMs(disk), nowMs: clock.wallMs(), isAlone };
  if (door === undefined || layouts === undefined || !wasAwayLong(away)) return false;
  const othersAliveMs = await door.othersAliveSince(away.lastAliveMs ?? 0, layouts);
  return mustRebuild({ ...away, othersAliveMs });
}

/** From our own disk; else of the cluster that was found or founded, on disk before anybody hears of it. A node without peers has none. */
async function layoutsOf(
  store: Store,
  logger: Logger,
  door: PeerDoor | undefined,
  found: LayoutState | undefined,
): Promise<LayoutState | undefined> {
  if (door === undefined) return undefined;
  const stored = readLayouts(store, logger);
  if (stored !== undefined) return stored;
  const layouts = found ?? (await door.findLayouts());
  await saveLayouts(store, layouts);
  return layouts;
}

/** Data of a node that has left or was removed are those of a past that the others have gone on from (R51, row 106). */
function refuseGone(layouts: LayoutState | undefined, self: string): void {
  const version = layouts?.removed.get(self);
  if (version === undefined) return;
  throw new HutchError(
    "data-refused",
    `Cannot start: this node is of its cluster no more since layout version ${version}; want an empty data directory, with which it joins anew`,
  );
}

/** The instant that a compaction starts with; one that begins before the coordinator knows the time forgets nothing. */
class Retention {
  nowMs: (() => number) | undefined;
  /** Not while clients want the node (C24). */
  mayScrub: () => boolean = () => true;

  instants(): Readonly<Record<string, number>> {
    return this.nowMs === undefined ? {} : { nowMs: this.nowMs() };
  }
}

/** Share of the time that background work may take below which no table is verified. */
const SCRUB_SHARE_MIN = 0.5;

/** The store's knobs have the names of its options; the type checker holds that none is missing. */
function storeOptionsOf(config: Config, retention: Retention): StoreOptions {
  const onDamagedLog = config.seeds.length > 0 ? "quarantine" : "refuse";
  const mayScrub = (): boolean => retention.mayScrub();
  return { ...config, retention: () => retention.instants(), onDamagedLog, mayScrub };
}

/** A layout that damage took is asked for again: the others have it, and a node alone makes the same one. */
function readLayouts(store: Store, logger: Logger): LayoutState | undefined {
  try {
    return storedLayouts(store);
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    store.reportDamage(thrown);
    logger.error("layout_lost", { reason: thrown.message });
    return undefined;
  }
}

interface NodeParts {
  readonly config: Config;
  readonly ports: NodePorts;
  readonly directory: DataDirectory;
  readonly store: Store;
  readonly retention: Retention;
  readonly alive: AliveMark;
  /** Was away for too long (R43). */
  readonly isRebuilding: boolean;
}

function coordinatorOptionsOf({
  config,
  ports,
  directory,
  store,
}: NodeParts): CoordinatorOptions & { readonly store: Store } {
  const { clock, logger } = ports;
  const { identity } = directory;
  return {
    store,
    clock,
    logger,
    nodeId: identity.nodeId,
    nodeName: config.nodeId,
    incarnation: identity.incarnation,
    clusterId: identity.clusterId,
    clusterSecret: identity.clusterSecret,
    q: identity.q,
    isDurable: config.fsync !== "os",
  };
}

/** What makes requests mean something: a node among others, or one that has none. */
interface Core {
  readonly cluster: ClusterNode | undefined;
  readonly coordinator: Coordinator;
  readonly admin: Admin;
  readonly metrics: Metrics;
  start(): void;
  stop(): void;
}

function assemble(
  parts: NodeParts,
  door: PeerDoor | undefined,
  layouts: LayoutState | undefined,
): Node {
  const { ports, directory, store, alive } = parts;
  const failures = new News<HutchError>();
  const endings = new News<void>();
  store.onFailure((error) => failures.report(error));
  const news = {
    onFailure: (error: HutchError) => failures.report(error),
    onGone: () => endings.report(),
  };
  const core =
    door !== undefined && layouts !== undefined
      ? coreAmongOthers(parts, door, layouts, news)
      : coreAlone(parts);
  const { cluster, coordinator, admin, metrics } = core;
  parts.retention.nowMs = () => coordinator.nowMs();
  const app = createApp(appOptionsOf(parts, coordinator, admin, metrics));
  core.start();
  return {
    app,
    id: coordinator.nodeId,
    inside: { store, cluster },
    drain: async () => {
      admin.drain();
      core.stop();
      await coordinator.stop();
    },
    close: async () => {
      admin.close();
      await cluster?.close();
      door?.close();
      await closeNode(ports, directory, store, alive, coordinator);
    },
    onFailure: (listener) => failures.listen(listener),
    onGone: (listener) => endings.listen(listener),
  };
}

function coreAmongOthers(
  parts: NodeParts,
  door: PeerDoor,
  layouts: LayoutState,
  news: { readonly onFailure: (error: HutchError) => void; readonly onGone: () => void },
): Core {
  const { config, ports, directory, store, retention, alive, isRebuilding } = parts;
  const metrics = new Metrics();
  const cluster = door.enter(coordinatorOptionsOf(parts), layouts, news, () => admin);
  const { coordinator, convergence } = cluster;
  const admin = adminOf(parts, coordinator, metrics, adminPartsOf(cluster, store, ports.clock));
  defineClusterMetrics(metrics, cluster, ports.clock);
  door.defineMetrics(metrics);
  retention.mayScrub = () => convergence.pace.share >= SCRUB_SHARE_MIN;
  const start = (): void => {
    // Without syncs a crash takes what was acknowledged last (R12).
    if (config.fsync === "os" && !directory.wasClean) convergence.forgotten();
    cluster.start(isRebuilding);
    // Until it has rebuilt, a crash leaves it as long away as it was.
    if (isRebuilding)
      cluster.syncing.onServing = () => {
        directory.settle();
        alive.start();
      };
    else alive.start();
  };
  return { cluster, coordinator, admin, metrics, start, stop: () => cluster.leave() };
}

function coreAlone(parts: NodeParts): Core {
  const { gcDelayMs, driftMaxMs } = parts.config;
  const { random } = parts.ports;
  const options = { ...coordinatorOptionsOf(parts), random, gcDelayMs, driftMaxMs };
  const { coordinator, deletions } = coordinatorOfOne(options);
  const metrics = new Metrics();
  const collect = (): Promise<Collected> => deletions.collector.run();
  const admin = adminOf(parts, coordinator, metrics, { collect });
  const start = (): void => {
    deletions.start();
    parts.directory.settle();
    parts.alive.start();
  };
  return { cluster: undefined, coordinator, admin, metrics, start, stop: () => deletions.stop() };
}

function adminOf(
  { config, ports, directory, store }: NodeParts,
  coordinator: Coordinator,
  metrics: Metrics,
  rest: Partial<AdminParts>,
): Admin {
  return new Admin({
    facts: factsOf(config, directory.identity),
    store,
    metrics,
    logger: ports.logger,
    partitionOf: (bucket, key) => coordinator.partitionOf(bucket, key),
    snapshotIdentity: () => identityOfSnapshot(directory.identity),
    ...rest,
  });
}

function appOptionsOf(
  { config, ports, directory }: NodeParts,
  kv: Coordinator,
  admin: Admin,
  metrics: Metrics,
): AppOptions {
  ports.defineMetrics?.(metrics);
  const { logger, clock, random, memory, access, auditSink } = ports;
  return {
    ...(memory && { memory }),
    ...(access && { access }),
    ...(auditSink && { auditSink }),
    ...observationOf(config, ports, directory.identity, metrics),
    kv,
    admin,
    random,
    clock,
    logger,
    metrics,
    hosts: hostsOf(config),
    origins: config.allowedOrigins.split(",").filter((origin) => origin !== ""),
    limits: {
      keyBytesMax: config.keyBytesMax,
      valueBytesMax: config.valueBytesMax,
      requestTimeoutMs: config.requestTimeoutMs,
      requestTimeoutMsMax: config.requestTimeoutMaxMs,
    },
  };
}

/** The names that clients may ask for, without ports. */
function hostsOf({ listen, advertiseClient, hostNames }: Config): string[] {
  const advertised = advertiseClient.slice(0, Math.max(0, advertiseClient.lastIndexOf(":")));
  return [listen.host, advertised, ...hostNames.split(",")].filter((host) => host !== "");
}

/** Something that happens once; whoever listens later hears of it, too. */
class News<T> {
  #event: { readonly value: T } | undefined;
  readonly #listeners: ((value: T) => void)[] = [];

  report(value: T): void {
    if (this.#event !== undefined) return;
    this.#event = { value };
    for (const listener of this.#listeners) listener(value);
  }

  listen(listener: (value: T) => void): void {
    if (this.#event === undefined) this.#listeners.push(listener);
    else listener(this.#event.value);
  }
}

function factsOf(config: Config, { clusterId, q, incarnation }: Identity) {
  const { nodeId, cluster, n, listen, dc, rack, host, weight } = config;
  return {
    nodeId,
    clusterName: cluster,
    clusterId,
    q,
    n,
    address: formatAddress(listen),
    peerAddress: peerAddressOf(config),
    zone: { dc, rack, host },
    weight,
    incarnation,
  };
}

/** The identity says "clean" only after everything else is on disk; a store that could not end leaves it as after a crash. */
const WORKERS_WAIT_MS = 2000;

async function closeNode(
  ports: NodePorts,
  directory: DataDirectory,
  store: Store,
  alive: AliveMark,
  { replica }: Coordinator,
): Promise<void> {
  const isClean = (await store.close()) && replica.name.mayOutlive;
  // Workers that are in the middle of a compaction end with the process.
  await Promise.race([ports.workers.close(), ports.clock.sleep(WORKERS_WAIT_MS)]);
  await alive.stop(isClean);
  if (isClean) directory.closeClean();
  else directory.release();
  if (store.failure !== undefined) throw store.failure;
}

const START_CODES = {
  "not-found": "data-dir-unusable",
  exists: "data-dir-unusable",
  "read-only": "data-dir-unusable",
  locked: "data-dir-in-use",
  permission: "permission-denied",
  "no-space": "io-error",
  "too-many-files": "io-error",
  io: "io-error",
} as const satisfies Record<DiskErrorKind, string>;

/** What the world says at start in the words of the contract. */
function startError(thrown: unknown): unknown {
  if (!(thrown instanceof DiskError)) return thrown;
  return new HutchError(
    START_CODES[thrown.kind],
    `Cannot open the data directory: ${messageOf(thrown)}`,
    {
      cause: thrown,
    },
  );
}
