/** Short words for what scenarios ask of a simulated cluster, and for what they expect of all of its nodes. */
import { expect } from "bun:test";
import type { Flags, SimClusterOptions } from "../../src/simulator/cluster-config.ts";
import type { Answer } from "../../src/simulator/clients.ts";
import { SimCluster } from "../../src/simulator/cluster.ts";
import {
  contentsOf,
  differencesIn,
  hasAnythingDead,
  hasLosses,
} from "../../src/simulator/contents.ts";

export type Headers = Readonly<Record<string, string>>;

export const GC_DELAY_MS = 7000;
/** The least that the relations of the knobs allow (R41), so that deletions are collected within seconds. */
export const SMALL: Flags = {
  requestTimeoutMaxMs: "2s",
  hintTtlMs: "3s",
  hintWindowMs: "3s",
  driftMaxMs: "1s",
  gcDelayMs: `${GC_DELAY_MS}ms`,
  repairIntervalMs: "1s",
  scrubIntervalMs: "3s",
};

/** Three nodes, unless `options` say otherwise. */
export function formed(seed: string, options: SimClusterOptions = {}): SimCluster {
  const flags = { ...SMALL, ...options.flags };
  return new SimCluster(seed, { nodes: 3, ...options, flags }).form();
}

export function put(
  cluster: SimCluster,
  node: number,
  key: string,
  body: string,
  headers: Headers = {},
): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { method: "PUT", body, headers });
}

export function get(cluster: SimCluster, node: number, key: string, headers: Headers = {}): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { headers });
}

export function remove(
  cluster: SimCluster,
  node: number,
  key: string,
  headers: Headers = {},
): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { method: "DELETE", headers });
}

export function post(cluster: SimCluster, node: number, path: string, body: object = {}): Answer {
  const headers = { "Content-Type": "application/json" };
  return cluster.request(node, path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** The `code` of a problem. */
export const codeOf = ({ status, text }: Answer): string =>
  `${status} ${(JSON.parse(text) as { code: string }).code}`;

/** Writes `count` keys with values of their own, spread over the nodes that are up. */
export function fill(cluster: SimCluster, count: number, prefix = "k"): Map<string, string> {
  const up = cluster.present.filter((i) => cluster.isStarted(i) && cluster.isServing(i));
  const written = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const [key, value] = [`${prefix}${i}`, `value of ${prefix}${i}`];
    expect(put(cluster, up[i % up.length]!, key, value, { "X-Consistency": "QUORUM" }).status).toBe(
      204,
    );
    written.set(key, value);
  }
  return written;
}

/** Each key shows its value at each node, at QUORUM. */
export function expectAll(cluster: SimCluster, written: ReadonlyMap<string, string>): void {
  for (const [key, value] of written)
    for (const i of cluster.present) {
      const { status, text } = get(cluster, i, key);
      expect([key, status, text]).toEqual([key, 200, value]);
    }
}

/** At rest, and all that lies anywhere is as it should be: L1 to L4. */
export function expectWhole(cluster: SimCluster, limitMs = 60_000): void {
  cluster.quiesce();
  cluster.waitFor("damage is healed", () => !hasLosses(cluster), limitMs);
  let last: readonly unknown[] = [];
  const isWhole = (): boolean => (last = differencesIn(cluster)).length === 0;
  try {
    cluster.waitFor("all copies are equal", isWhole, limitMs);
  } catch (thrown) {
    expect(last).toEqual([]);
    throw thrown;
  }
}

export function expectNothingDead(cluster: SimCluster, limitMs = 30_000): void {
  const isSo = (): boolean => !hasAnythingDead(cluster, GC_DELAY_MS);
  cluster.waitFor("deletions are collected", isSo, limitMs);
}

/** Records that a node holds. */
export const countAt = (cluster: SimCluster, index: number): number =>
  contentsOf(cluster, index).records.size;
