/** A few nodes that collect deletions: `many-nodes.ts` and what a node needs for that. Sweeps happen when a test says so, or with `start`. */
import { Prng } from "../../src/base/prng.ts";
import { stateDigest } from "../../src/kernels/kernels.ts";
import { Deletions } from "../../src/cluster/deletions.ts";
import { encodeState } from "../../src/cluster/join-states.ts";
import type { Collected } from "../../src/cluster/tombstone-collector.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimRandom } from "../../src/sim/random.ts";
import {
  DRIFT_MAX_MS,
  FakePeers,
  HOUR_MS,
  type ManyNode,
  ManyNodes,
  type ManyNodesOptions,
  type NodeExtension,
  Q,
  settle,
} from "./many-nodes.ts";

export const GC_DELAY_MS = 24 * HOUR_MS;

class DeletionPart implements NodeExtension {
  readonly deletions: Deletions;
  readonly observer;
  readonly gate;
  readonly repairs;

  constructor(node: ManyNode, store: ReplicaStore) {
    this.deletions = new Deletions({
      store,
      clock: node.clock,
      random: new SimRandom(new Prng(`deletions ${node.index}`)),
      logger: silentLogger,
      peers: new FakePeers(node),
      pace: { rest: () => Promise.resolve() },
      self: node.id,
      q: Q,
      gcDelayMs: GC_DELAY_MS,
      driftMaxMs: DRIFT_MAX_MS,
      view: () => node.view(),
      hints: () => node.hints,
      coordinator: () => node.coordinator,
    });
    this.observer = this.deletions.due;
    this.gate = this.deletions.suspects;
    this.repairs = this.deletions.answerers;
  }

  composed(): void {}

  async stop(): Promise<void> {
    this.deletions.stop();
    await this.deletions.facts.saved();
  }
}

export function deletionsOf(node: ManyNode): Deletions {
  return (node.extension as DeletionPart).deletions; // `startCollecting` gives every node one
}

export async function startCollecting(
  count: number,
  options: ManyNodesOptions = {},
): Promise<ManyNodes> {
  const cluster = await ManyNodes.start(count, {
    ...options,
    extend: (node, store) => new DeletionPart(node, store),
  });
  for (const node of cluster.nodes) await cluster.run(deletionsOf(node).ownershipChanged());
  // Dots of the same instant are not "since then".
  await cluster.pass(2 * DRIFT_MAX_MS);
  return cluster;
}

/** A long time goes by, in steps of half an hour. */
export async function sleep(cluster: ManyNodes, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= HOUR_MS / 2) {
    cluster.clock.advance(Math.min(left, HOUR_MS / 2));
    await settle();
  }
}

/** Everybody collects what is due; the sum. */
export async function collectAll(cluster: ManyNodes): Promise<Collected> {
  const sum = { collected: 0, postponed: 0 };
  for (const node of cluster.nodes.filter(({ isRunning }) => isRunning)) {
    const { collected, postponed } = await cluster.run(deletionsOf(node).collector.run());
    sum.collected += collected;
    sum.postponed += postponed;
  }
  return sum;
}

/** One text for each node: its values, "-" for a deletion, nothing for no record. */
export function copiesOf(cluster: ManyNodes, key: string): string[] {
  return cluster.walk(key).map((node) => node.stored(key).join(","));
}

export function digestOf(node: ManyNode, key: string): Uint8Array {
  return stateDigest(encodeState(node.recordOf(key)));
}
