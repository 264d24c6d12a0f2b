/** Of one node among others, for `/metrics`: plain counts of its parts, what they hold now, how long others take to answer. */
import type { Metrics, Sample } from "../base/metrics.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { PeerTimes } from "./peer-link.ts";

/** Above it a node is silent beyond all doubt, and infinity is no number to draw. */
const PHI_SHOWN_MAX = 1000;
const LIVENESSES = ["alive", "suspect", "down"] as const;

export function defineClusterMetrics(metrics: Metrics, node: ClusterNode, clock: Clock): void {
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
  definePeerTimes(
    metrics,
    "hutch_peer_call",
    "Time of a request to another node until its reply, or until its time was up: read (a copy), merge (a copy to an owner), hint (a copy to a fallback), coordinate (a whole write), and others",
    peers.times,
  );
  defineGauges(metrics, node);
  definePeerGauges(metrics, node);
  defineHints(metrics, node, clock);
  defineUpkeep(metrics, node, clock);
}

/** One series for each kind of request. */
export function definePeerTimes(
  metrics: Metrics,
  name: string,
  help: string,
  times: PeerTimes,
): void {
  const family = metrics.histogram(name, help, "request");
  for (const [kind, histogram] of Object.entries(times)) family.adopt(histogram, kind);
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
    "hutch_background_share_ratio",
    "Part of the time that background work may take now",
    () => convergence.pace.share,
  );
  metrics.gauge(
    "hutch_suspects_held",
    "Keys whose states are held back as possibly deleted",
    () => convergence.deletions.suspects.quarantine.held.count,
  );
  metrics.gauge("hutch_layout_version", "Newest layout version", () => node.view.layout.version);
  metrics.gauge(
    "hutch_syncing",
    "1 while this node asks the others for what it has missed and answers no reads by itself",
    () => Number(node.syncing.isSyncing),
  );
}

/** The other members, by name; the family has as many series as the cluster has nodes. */
function definePeerGauges(metrics: Metrics, node: ClusterNode): void {
  const { gossip, peers } = node;
  const perPeer = (read: (id: NodeId) => number) => (): Sample[] =>
    othersOf(node).map((id) => [[node.view.nameOf(id)], read(id)]);
  metrics.gauges(
    "hutch_peer_phi",
    "How suspicious the silence of another node is (phi accrual): 1 is nothing, 8 is one chance in a hundred million; at most 1000 is shown",
    ["peer"],
    perPeer((id) => Math.min(gossip.phiOf(id), PHI_SHOWN_MAX)),
  );
  metrics.gauges(
    "hutch_peer_up",
    "Whether this node takes another one for up",
    ["peer"],
    perPeer((id) => Number(node.view.isUp(id))),
  );
  metrics.gauges(
    "hutch_peer_latency_mean_seconds",
    "Mean time of reads from another node, as this node weighs whom to ask",
    ["peer"],
    perPeer((id) => peers.latencyMeanMs(id) / 1000),
  );
  metrics.gauges(
    "hutch_members",
    "Other members by what this node takes them for",
    ["liveness"],
    () => {
      const states = othersOf(node).map((id) => node.view.members.get(id)?.liveness ?? "down");
      return LIVENESSES.map((liveness) => [
        [liveness],
        states.filter((state) => state === liveness).length,
      ]);
    },
  );
}

function othersOf({ view }: ClusterNode): NodeId[] {
  return [...view.layout.members].map(({ id }) => id).filter((id) => id !== view.self);
}

function defineHints(metrics: Metrics, node: ClusterNode, clock: Clock): void {
  const { hints } = node;
  const perTarget = (read: (target: NodeId) => number) => (): Sample[] =>
    hints.targets().map((target) => [[node.view.nameOf(target)], read(target)]);
  metrics.gauges(
    "hutch_hints_held",
    "Hints kept here, by the node that they are for",
    ["target"],
    perTarget((target) => hints.heldFor(target).count),
  );
  metrics.gauges(
    "hutch_hints_held_bytes",
    "Keys and values of the hints kept here, by the node that they are for",
    ["target"],
    perTarget((target) => hints.heldFor(target).bytes),
  );
  metrics.gauge(
    "hutch_hints_oldest_age_seconds",
    "Age of the oldest hint kept here, 0 without any",
    () => {
      const oldest = hints.targets().map((target) => hints.heldFor(target).oldestMs);
      return oldest.length === 0 ? 0 : ageSeconds(clock, Math.min(...oldest));
    },
  );
}

function defineUpkeep(metrics: Metrics, node: ClusterNode, clock: Clock): void {
  const { log } = node.convergence.antiEntropy;
  metrics.gauge(
    "hutch_anti_entropy_last_round_age_seconds",
    "Time since this node last ended a round of comparing all that it holds with the other owners, or since its start",
    () => ageSeconds(clock, log.lastRoundMs),
  );
  metrics.gauge(
    "hutch_anti_entropy_oldest_partition_age_seconds",
    "Time since the partition that was compared longest ago was found or made equal; 0 before the first",
    () => (log.oldestVerifiedMs === 0 ? 0 : ageSeconds(clock, log.oldestVerifiedMs)),
  );
  const { handover } = node.ring;
  metrics.gauge(
    "hutch_handover_partitions",
    "Partitions that this node has to hand over to new owners in the present or last change of the ring",
    () => handover.total,
  );
  metrics.gauge(
    "hutch_handover_partitions_done",
    "Of them, those that their new owners have",
    () => handover.done,
  );
  metrics.count(
    "hutch_handover_sent_bytes",
    "Bytes sent to new owners of partitions",
    () => handover.bytesSentEver,
  );
}

function ageSeconds(clock: Clock, sinceMs: number): number {
  return Math.max(0, clock.wallMs() - sinceMs) / 1000;
}

/** One metric for each plain count; `bytesOut` is shown as `out_bytes_total`, `workMs` as `work_seconds_total`. */
function defineCounters(
  metrics: Metrics,
  prefix: string,
  about: string,
  counters: () => object,
): void {
  for (const name of Object.keys(counters())) {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const shown = snake.replace(/^bytes_(\w+)$/, "$1_bytes").replace(/_ms$/, "_seconds");
    const unit = snake.endsWith("_ms") ? 1000 : 1;
    metrics.count(
      `${prefix}_${shown}`,
      `${about}: ${shown.replaceAll("_", " ")}`,
      () => Number((counters() as Readonly<Record<string, number>>)[name]) / unit,
    );
  }
}
