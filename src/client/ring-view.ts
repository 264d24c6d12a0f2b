/**
 * Which nodes own a key, as the ring had it a moment ago, so that a request can go to one of them and save a hop.
 *
 *   /v1/cluster        layout version, asked for every `REFRESH_MS` while there are requests; where it has changed:
 *   /v1/cluster/ring   owners of each partition;  /v1/cluster/nodes  their addresses
 *
 * It is only ever a hint: no request waits for it, a node that is not an owner forwards, and where the ring cannot be read (a token
 * without that right, a cluster that is too large) requests go to the nodes in turn.
 */

import { utf8 } from "../base/bytes.ts";
import { hashKeyJs } from "../kernels/kernels-js.ts";
import type { NodePool } from "./node-pool.ts";
import type { Platform } from "./platform.ts";

const REFRESH_MS = 30_000;
/** After a failure, and the time after which one that never ended (a worker whose request was over) is forgotten. */
const REFRESH_AGAIN_MS = 5000;
/** An address that the cluster names is used once it has answered: it may be one that only nodes reach. */
const PROBE_MS = 2000;
/** About 400 KB of JSON; larger rings are not worth reading. */
const PARTITIONS_MAX = 8192;

interface Ring {
  readonly layoutVersion: number;
  readonly partitionBits: number;
  /** Node ids by partition, best first. */
  readonly owners: readonly (readonly string[])[];
}

export interface RingViewOptions {
  readonly pool: NodePool;
  readonly platform: Platform;
  /** Of the node addresses, which the cluster tells without one: `http:` or `https:`. */
  readonly protocol: string;
  /** GETs a JSON answer. */
  readonly readJson: (path: string) => Promise<unknown>;
}

const NO_OWNERS: readonly string[] = [];
const words = new Uint32Array(4);

/** The partition of a key: the top bits of the hash of bucket, 0x00 and key (`ring/partition.ts`). */
export function partitionOfKey(bucket: string, key: string, partitionBits: number): number {
  const place = utf8(`${bucket}\0${key}`);
  hashKeyJs(place, 0, place.length, words);
  return words[1]! >>> (32 - partitionBits);
}

export class RingView {
  readonly #options: RingViewOptions;
  #ring: Ring | undefined;
  #dueMs = -Infinity;
  #turn = 0;

  constructor(options: RingViewOptions) {
    this.#options = options;
  }

  /** The version that is followed; 0 while none is known. */
  get layoutVersion(): number {
    return this.#ring?.layoutVersion ?? 0;
  }

  /**
   * Ids of the owners of a key, the one to ask first; none while the ring is not known.
   *
   * A write without a context is minted by the first owner, so it goes there; reads take the owners in turn.
   */
  ownersOf(bucket: string, key: string, isWrite: boolean): readonly string[] {
    if (this.#options.platform.nowMs() >= this.#dueMs) void this.#refresh();
    if (this.#ring === undefined) return NO_OWNERS;
    const { owners: all, partitionBits } = this.#ring;
    const owners = all[partitionOfKey(bucket, key, partitionBits)] ?? NO_OWNERS;
    if (isWrite || owners.length < 2) return owners;
    const start = this.#turn++ % owners.length;
    return [...owners.slice(start), ...owners.slice(0, start)];
  }

  /** Never rejects. */
  async #refresh(): Promise<void> {
    const { platform, readJson } = this.#options;
    this.#dueMs = platform.nowMs() + REFRESH_AGAIN_MS;
    try {
      // The shapes are those of REST.md section 4; the answers come from nodes.
      const cluster = (await readJson("/v1/cluster")) as { layoutVersion: number; q: number };
      if (cluster.layoutVersion !== this.layoutVersion && cluster.q <= PARTITIONS_MAX)
        await this.#readRing();
      this.#dueMs = platform.nowMs() + REFRESH_MS;
    } catch {
      // What was known stays; the next request after a while tries again.
    }
  }

  async #readRing(): Promise<void> {
    const { protocol, readJson } = this.#options;
    const [ring, { nodes }] = (await Promise.all([
      readJson("/v1/cluster/ring"),
      readJson("/v1/cluster/nodes"),
    ])) as [RingAnswer, { nodes: readonly NodeAnswer[] }];
    for (const { id, address, state } of nodes)
      if (state === "up" || state === "syncing") void this.#meet(id, `${protocol}//${address}`);
    const owners: string[][] = [];
    for (const { partition, owners: ids } of ring.partitions) owners[partition] = [...ids];
    this.#ring = { layoutVersion: ring.layoutVersion, partitionBits: Math.log2(ring.q), owners };
  }

  /** Adds a node once it has said that it is the one. Never rejects. */
  async #meet(id: string, url: string): Promise<void> {
    const { pool, platform } = this.#options;
    if (pool.knows(id)) return;
    const controller = new AbortController();
    const cancel = platform.alarm(PROBE_MS, () => controller.abort());
    try {
      const answer = await platform.send(`${url}/healthz`, { signal: controller.signal });
      await answer.arrayBuffer();
      if (answer.headers.get("X-Node") === id) pool.learn(id, url);
    } catch {
      // Not reachable from here: the nodes that are will forward.
    } finally {
      cancel();
    }
  }
}

interface RingAnswer {
  readonly layoutVersion: number;
  readonly q: number;
  readonly partitions: readonly {
    readonly partition: number;
    readonly owners: readonly string[];
  }[];
}

interface NodeAnswer {
  readonly id: string;
  readonly address: string;
  readonly state: string;
}
