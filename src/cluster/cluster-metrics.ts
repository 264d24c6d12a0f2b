/** Of one node among others, for `/metrics`: plain counts of its parts, and what they hold now. */
import type { Metrics } from "../base/metrics.ts";
import type { ClusterNode } from "./cluster-node.ts";

export function defineClusterMetrics(metrics: Metrics, node: ClusterNode): void {
  const { peers, gossip, hints, handoff, coordinator, convergence } = node;
  const { trees, antiEntropy, deletions, pace } = convergence;
  const count = (prefix: string, about: string, counters: () => object): void =>
    defineCounters(metrics, `hutch_${prefix}`, about, counters);
  count("peer", "Requests to other nodes", () => {
    const { waitingBytes: _, ...counts } = peers.counters;
    return counts;
  });
  count("gossip", "Gossip", () => gossip.counters);
  count("hints", "Hints", () => hints.counters);
  count("handoff", "Hinted handoff", () => handoff.counters);
  count("read_repair", "Read repair", () => coordinator.repairs.counters);
  count("anti_entropy", "Anti-entropy", () => antiEntropy.counters);
  count("background", "Background work under the pace", () => pace.counters);
  count("merkle", "Merkle trees", () => trees.counters);
  count("collect", "Collection of deletions", () => deletions.collector.counters);
  count("suspect", "States that may be deleted ones", () => deletions.suspects.counters);
  defineGauges(metrics, node);
}

function defineGauges(metrics: Metrics, node: ClusterNode): void {
  const { peers, gossip, convergence } = node;
  metrics.gauge(
    "hutch_peer_waiting_bytes",
    "Requests to other nodes that wait for their links",
    () => peers.counters.waitingBytes,
  );
  metrics.gauge("hutch_local_health", "Lifeguard's local health, 0 is well", () => gossip.health);
  metrics.gauge(
    "hutch_merkle_bytes",
    "Memory of the Merkle trees",
    () => convergence.trees.memoryBytes,
  );
  metrics.gauge(
    "hutch_merkle_pending_rebuilds",
    "Partitions whose trees wait to be built",
    () => convergence.trees.pendingRebuilds,
  );
  metrics.gauge(
    "hutch_background_share",
    "Part of the time that background work may take now",
    () => convergence.pace.share,
  );
  metrics.gauge(
    "hutch_suspects_held",
    "Keys whose states are held back as possibly deleted",
    () => convergence.deletions.suspects.quarantine.held.count,
  );
  metrics.gauge("hutch_layout_version", "Newest layout version", () => node.view.layout.version);
}

/** One metric for each plain count. */
function defineCounters(
  metrics: Metrics,
  prefix: string,
  about: string,
  counters: () => object,
): void {
  for (const name of Object.keys(counters())) {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.count(`${prefix}_${snake}`, `${about}: ${snake.replaceAll("_", " ")}`, () =>
      Number((counters() as Readonly<Record<string, number>>)[name]),
    );
  }
}
