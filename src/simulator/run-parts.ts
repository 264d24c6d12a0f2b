/** Steps of a run that need nothing but the cluster: buckets before, rings, reads and stories after. */
import type { History, Operation, Violation } from "../checkers/history.ts";
import { finalRead, propertiesOf } from "./clients.ts";
import type { SimCluster } from "./cluster.ts";
import type { PlannedBucket } from "./plan.ts";

const JSON_BODY = { "Content-Type": "application/json" };
const LINES_MAX = 20;
/** Keys whose whole story is told. */
const STORIES_MAX = 3;
const SPREAD_MS_MAX = 10_000;

/** The buckets that clients use; all nodes know them afterwards. */
export function makeBuckets(cluster: SimCluster, buckets: readonly PlannedBucket[]): void {
  for (const bucket of buckets) {
    const init = { method: "PUT", body: propertiesOf(bucket), headers: JSON_BODY };
    const { status, text } = cluster.request(0, `/v1/buckets/${bucket.name}`, init);
    if (status !== 200 && status !== 204) throw cluster.broken(`bucket ${bucket.name}`, text);
  }
  const paths = buckets.map(({ name }) => `/v1/buckets/${name}`);
  const textOf = (i: number): string => paths.map((path) => cluster.request(i, path).text).join();
  const areKnown = (): boolean => new Set(cluster.present.map(textOf)).size === 1;
  cluster.waitFor("all know the buckets", areKnown, SPREAD_MS_MAX);
}

/** A read at ALL of every key that anybody has touched. */
export function readAll(cluster: SimCluster, history: History): Operation[] {
  const places = new Map(history.operations.map((own) => [`${own.bucket.name}/${own.key}`, own]));
  return [...places.values()].map(({ bucket, key }) =>
    cluster.world.runUntil(finalRead(cluster, history, bucket, key)),
  );
}

/** The ring as each node tells it. */
export function ringsOf(cluster: SimCluster): Map<string, string> {
  return new Map(
    cluster.present.map((i) => {
      const ring = cluster.json<Ring>(i, "/v1/cluster/ring");
      const owners = ring.partitions.map((own) => own.owners.join());
      return [cluster.names[i]!, `${ring.layoutVersion} ${owners.join(";")}`];
    }),
  );
}

interface Ring {
  readonly layoutVersion: number;
  readonly partitions: readonly { readonly owners: readonly string[] }[];
}

/** Violations, and all that happened to their keys. */
export function storyOf(
  violations: readonly Violation[],
  history: History,
  lastWords: string,
): string {
  const lines = violations
    .slice(0, LINES_MAX)
    .map(({ invariant, message, key }) => `${invariant} ${key}: ${message}`);
  const known = history.byKey();
  const keys = new Set(violations.map(({ key }) => key).filter((key) => known.has(key)));
  const stories = [...keys].slice(0, STORIES_MAX).map((key) => `${key}:\n${history.describe(key)}`);
  return [`${violations.length} violations`, ...lines, ...stories, "logs:", lastWords].join("\n");
}
