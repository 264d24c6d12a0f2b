/** What all runs of a simulated cluster do: buckets before, rings and reports after. */
import { BUCKETS, propertiesOf } from "./clients.ts";
import type { History, Violation } from "../checkers/history.ts";
import type { SimCluster } from "./cluster.ts";

const JSON_BODY = { "Content-Type": "application/json" };
const LINES_MAX = 20;
/** Keys whose whole story a report tells. */
const STORIES_MAX = 3;

/** The buckets that clients use; all nodes know them afterwards. */
export function makeBuckets(cluster: SimCluster): void {
  for (const kind of BUCKETS) {
    const init = { method: "PUT", body: propertiesOf(kind), headers: JSON_BODY };
    const { status, text } = cluster.request(0, `/v1/buckets/${kind.name}`, init);
    if (status !== 200 && status !== 204) throw cluster.broken(`bucket ${kind.name}: ${text}`);
  }
  cluster.waitFor("all know the buckets", () => haveAllBuckets(cluster), 10_000);
}

function haveAllBuckets(cluster: SimCluster): boolean {
  const all = BUCKETS.map(({ name }) => `/v1/buckets/${name}`);
  const textOf = (i: number): string => all.map((path) => cluster.request(i, path).text).join();
  const first = textOf(0);
  return cluster.present.every((i) => textOf(i) === first);
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

/** Violations, what went wrong on purpose, and all that happened to the keys. */
export function tellViolations(
  violations: readonly Violation[],
  history: History,
  faults: readonly string[] = [],
): string {
  const lines = violations
    .slice(0, LINES_MAX)
    .map(({ invariant, message, key }) => `${invariant} ${key}: ${message}`);
  const keys = new Set(violations.map(({ key }) => key).filter((key) => history.byKey().has(key)));
  const stories = [...keys].slice(0, STORIES_MAX).map((key) => `${key}:\n${history.describe(key)}`);
  return [`${violations.length} violations`, ...lines, ...faults, ...stories].join("\n");
}
