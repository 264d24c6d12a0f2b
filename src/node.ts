/**
 * The composition root: from a configuration and a world to a running node.
 *
 *   data directory (lock, identity) -> store -> coordinator, administration -> REST application
 *
 * Everything that touches the outside comes in as a port, so the same node runs on a machine (`cli/serve.ts`), inside another
 * program (`index.ts`), and in the simulator. Stopping goes the other way: `drain` lets what is inside end, `close` leaves a
 * directory that says that all is well. A node that is not closed has crashed, and finds out at its next start.
 */

import { HutchError, messageOf } from "./base/errors.ts";
import { Metrics } from "./base/metrics.ts";
import { Admin } from "./cluster/admin.ts";
import { Coordinator } from "./cluster/coordinator.ts";
import type { Config } from "./config.ts";
import { formatAddress } from "./config/knob-kinds.ts";
import type { App } from "./http/app.ts";
import { createApp } from "./http/app.ts";
import type { DiskErrorKind } from "./ports/disk.ts";
import { DiskError } from "./ports/disk.ts";
import type { MemoryPressure } from "./ports/memory.ts";
import type { Identity } from "./storage/data-directory.ts";
import { DataDirectory } from "./storage/data-directory.ts";
import type { StoreOptions, StorePorts } from "./storage/store.ts";
import { Store } from "./storage/store.ts";

/** The world of one node. `workers` runs the jobs of the store with the retention of `causality/retention.ts`. */
export interface NodePorts extends StorePorts {
  /** Where it is left out the node never sheds load for want of memory. */
  readonly memory?: MemoryPressure;
}

export interface Node {
  /** The REST face; `app.fetch(request)` needs no server. */
  readonly app: App;
  readonly id: string;
  /** Not ready, no new operations; settles when those under way have ended. */
  drain(): Promise<void>;
  /** After `drain`: everything on disk, files closed, lock released. */
  close(): Promise<void>;
  /** The disk could not be trusted any more (C15): the node answers nothing from now on and should be ended. */
  onFailure(listener: (error: HutchError) => void): void;
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
  const note = `node ${config.nodeId}`;
  const directory = DataDirectory.open(
    ports.disk,
    ports.clock,
    ports.random,
    note,
    config.partitions,
  );
  let store: Store | undefined;
  try {
    const retention = new Retention(config.gcDelayMs);
    const owner = { ...directory.identity, wasClean: directory.wasClean };
    store = await Store.open(ports, storeOptionsOf(config, retention), owner);
    if (store.stats().lostRanges > 0) directory.renewIncarnation();
    const coordinator = createCoordinator(config, ports, directory.identity, store);
    retention.nowMs = () => coordinator.nowMs();
    return assemble(config, ports, directory, store, coordinator);
  } catch (error) {
    await store?.close();
    await ports.workers.close();
    directory.release();
    throw error;
  }
}

/**
 * The instants that a compaction starts with. A deletion may be forgotten once no older write can be under way (R41); a
 * compaction that begins before the coordinator knows the time forgets nothing.
 */
class Retention {
  nowMs: (() => number) | undefined;
  readonly #gcDelayMs: number;

  constructor(gcDelayMs: number) {
    this.#gcDelayMs = gcDelayMs;
  }

  instants(): Readonly<Record<string, number>> {
    if (this.nowMs === undefined) return {};
    const nowMs = this.nowMs();
    return { nowMs, collectBeforeMs: nowMs - this.#gcDelayMs };
  }
}

/** The store's knobs have the names of its options; the type checker holds that none is missing. */
function storeOptionsOf(config: Config, retention: Retention): StoreOptions {
  return { ...config, retention: () => retention.instants() };
}

function createCoordinator(
  config: Config,
  { clock, logger }: NodePorts,
  identity: Identity,
  store: Store,
): Coordinator {
  return new Coordinator({
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
  });
}

function assemble(
  config: Config,
  ports: NodePorts,
  directory: DataDirectory,
  store: Store,
  coordinator: Coordinator,
): Node {
  const { logger, clock, random } = ports;
  const metrics = new Metrics();
  const admin = new Admin({
    facts: factsOf(config, directory.identity),
    store,
    metrics,
    logger,
    partitionOf: (bucket, key) => coordinator.partitionOf(bucket, key),
  });
  const app = createApp({
    ...(ports.memory && { memory: ports.memory }),
    kv: coordinator,
    admin,
    random,
    clock,
    logger,
    metrics,
    hosts: [config.listen.host],
    limits: {
      keyBytesMax: config.keyBytesMax,
      valueBytesMax: config.valueBytesMax,
      requestTimeoutMs: config.requestTimeoutMs,
      requestTimeoutMsMax: config.requestTimeoutMaxMs,
    },
  });
  return {
    app,
    id: coordinator.nodeId,
    drain: async () => {
      admin.drain();
      await coordinator.stop();
    },
    close: () => closeNode(ports, directory, store),
    onFailure: (listener) => store.onFailure(listener),
  };
}

function factsOf(config: Config, { clusterId, q, incarnation }: Identity) {
  const { nodeId, cluster, n, listen, peer, dc, rack, host, weight } = config;
  return {
    nodeId,
    clusterName: cluster,
    clusterId,
    q,
    n,
    address: formatAddress(listen),
    peerAddress: formatAddress(peer),
    zone: { dc, rack, host },
    weight,
    incarnation,
  };
}

/** The identity says "clean" only after everything else is on disk; a store that could not end leaves it as after a crash. */
const WORKERS_WAIT_MS = 2000;

async function closeNode(ports: NodePorts, directory: DataDirectory, store: Store): Promise<void> {
  const isClean = await store.close();
  // Workers that are in the middle of a compaction end with the process.
  await Promise.race([ports.workers.close(), ports.clock.sleep(WORKERS_WAIT_MS)]);
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
