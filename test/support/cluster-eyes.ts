/** What somebody with `curl` sees of a cluster of real nodes, and how to wait for it. */
import type { ClusterProcess } from "../e2e/node-process.ts";

/** Nobody waits longer for what a test expects; a machine that is busy takes its time. */
const WAIT_MS_MAX = 20_000;
const LOOK_MS = 50;

export interface NodeLine {
  readonly id: string;
  readonly state: string;
  readonly peerAddress: string;
  readonly zone: { readonly rack: string };
  readonly incarnation: number;
  readonly hintsFor: number;
}

export interface OwnerLine {
  readonly node: string;
  readonly state: string;
  readonly reachable: boolean;
  readonly stateHash: string;
  readonly dots: readonly string[];
}

export interface Explained {
  readonly owners: readonly OwnerLine[];
  readonly fallbacks: readonly OwnerLine[];
  readonly equal: boolean;
}

export interface Route {
  readonly owners: readonly string[];
  readonly fallbacks: readonly string[];
}

export interface Sibling {
  readonly value: string;
}

/** What people call an index: 0 is `n1`. */
export const nameOf = (index: number): string => `n${index + 1}`;
export const indexOf = (name: string): number => Number(name.slice(1)) - 1;

async function json<T>(url: string): Promise<T> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS_MAX) });
  const body = await answer.text();
  if (answer.status !== 200) throw new Error(`${url} was answered with ${answer.status}: ${body}`);
  return JSON.parse(body) as T;
}

export async function nodesSeenBy(
  cluster: ClusterProcess,
  index: number,
): Promise<readonly NodeLine[]> {
  return (await json<{ nodes: NodeLine[] }>(`${cluster.url(index)}/v1/cluster/nodes`)).nodes;
}

/** `n1 up, n2 down, n3 syncing` as node `index` sees it. */
export async function statesSeenBy(cluster: ClusterProcess, index: number): Promise<string> {
  const nodes = await nodesSeenBy(cluster, index);
  return nodes.map(({ id, state }) => `${id} ${state}`).join(", ");
}

/** Owners of a key, the first one first. */
export function routeOf(cluster: ClusterProcess, index: number, key: string): Promise<Route> {
  return json(`${cluster.url(index)}/v1/cluster/ring?key=${key}`);
}

export function explain(
  cluster: ClusterProcess,
  index: number,
  bucket: string,
  key: string,
): Promise<Explained> {
  return json(`${cluster.key(index, bucket, key)}?explain=1`);
}

/** `n3: 2`, or nothing where no node holds hints. */
export async function hintsSeenBy(cluster: ClusterProcess, index: number): Promise<string> {
  const hints = await json<{ targets: { node: string; count: number }[] }>(
    `${cluster.url(index)}/v1/admin/hints`,
  );
  return hints.targets.map(({ node, count }) => `${node}: ${count}`).join(", ");
}

/** A sample of `/metrics`. */
export async function metricOf(
  cluster: ClusterProcess,
  index: number,
  name: string,
): Promise<number> {
  const text = await (await fetch(`${cluster.url(index)}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`there is no metric "${name}"`);
  return Number(line.split(" ")[1]);
}

/** Looks again and again until `isSo`; throws what was seen last when that takes too long. */
export async function until<T>(
  what: string,
  look: () => Promise<T>,
  isSo: (seen: T) => boolean,
  waitMs = WAIT_MS_MAX,
): Promise<T> {
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() > deadlineMs)
      throw new Error(`${what}: not within ${waitMs} ms, last seen: ${JSON.stringify(seen)}`);
    await Bun.sleep(LOOK_MS);
  }
}

/** Until each of `observers` sees `node` in one of `states`. */
export async function untilSeen(
  cluster: ClusterProcess,
  observers: readonly number[],
  node: number,
  states: readonly string[],
): Promise<void> {
  for (const observer of observers)
    await until(
      `${nameOf(observer)} sees ${nameOf(node)} ${states.join(" or ")}`,
      async () => (await nodesSeenBy(cluster, observer)).find(({ id }) => id === nameOf(node)),
      (line) => states.includes(line?.state ?? ""),
    );
}

/** Until every node sees every node up. */
export async function untilAllUp(cluster: ClusterProcess): Promise<void> {
  for (let index = 0; index < cluster.size; index++)
    await until(
      `${nameOf(index)} sees all up`,
      () => statesSeenBy(cluster, index),
      (states) => states.split(", ").every((each) => each.endsWith(" up")),
    );
}

/** Until nobody holds a hint for anybody. */
export async function untilNoHints(cluster: ClusterProcess, index: number): Promise<void> {
  await until(
    "all hints are delivered",
    () => hintsSeenBy(cluster, index),
    (hints) => hints === "",
  );
}

export function put(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, { method: "PUT", body, headers });
}

/** `n=3, ok=2, primary=2, hinted=1` as numbers. */
export function countsOf(header: string | null): Readonly<Record<string, number>> {
  const pairs = (header ?? "").split(",").map((pair) => pair.trim().split("="));
  return Object.fromEntries(pairs.map(([name, count]) => [name, Number(count)]));
}
