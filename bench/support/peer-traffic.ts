/**
 * What nodes say to each other for one operation: from the counters that they export (`hutch_peer_*`; etcd: bytes between peers), and from the loopback
 * device, which sees everything, less what the load generator itself sent and received.
 */
import { readFileSync } from "node:fs";
import type { Cluster } from "./clusters.ts";
import type { Tally } from "../../src/load/tally.ts";

const PEER_COUNTER =
  /^(hutch_peer_\w+_total|etcd_network_peer_\w+_bytes_total)(?:\{.*\})? (\S+)$/gm;
/** IPv4 and TCP headers with timestamps; a request and its answer are one packet each. */
const PACKET_OVERHEAD_BYTES = 52;
const PACKETS_PER_REQUEST = 2;

export interface TrafficMark {
  /** By name, summed over labels and nodes. */
  readonly counters: ReadonlyMap<string, number>;
  /** Bytes through the loopback device; undefined where the system does not tell. */
  readonly loopbackBytes: number | undefined;
}

export async function markTraffic(cluster: Cluster): Promise<TrafficMark> {
  const counters = new Map<string, number>();
  for (const page of await cluster.metrics())
    for (const [, name, value] of page.matchAll(PEER_COUNTER))
      counters.set(name!, (counters.get(name!) ?? 0) + Number(value));
  return { counters, loopbackBytes: loopbackBytes() };
}

function loopbackBytes(): number | undefined {
  try {
    const line = /^\s*lo:\s*(\d+)/m.exec(readFileSync("/proc/net/dev", "utf8"));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}

/** Figures for one operation, by name. */
export function trafficPerOperation(
  before: TrafficMark,
  after: TrafficMark,
  tally: Tally,
): Record<string, number> {
  const operations = Math.max(1, tally.succeeded);
  const figures: Record<string, number> = {};
  for (const [name, value] of after.counters)
    figures[name] = (value - (before.counters.get(name) ?? 0)) / operations;
  if (before.loopbackBytes !== undefined && after.loopbackBytes !== undefined) {
    const clients =
      tally.bytesSent +
      tally.bytesReceived +
      tally.requests * PACKETS_PER_REQUEST * PACKET_OVERHEAD_BYTES;
    figures["loopback bytes less the clients'"] =
      (after.loopbackBytes - before.loopbackBytes - clients) / operations;
  }
  return figures;
}
