/** In which states a cluster is when a fault strikes: what the table of coverage counts (FAULTS.md 2.10). */
import type { SimCluster } from "./cluster.ts";
import type { Troubles } from "./troubles.ts";

export const STATES = [
  "calm",
  "a node is down",
  "a node catches up",
  "the ring changes",
  "hints are held",
  "the net is cut",
] as const;
export type ClusterState = (typeof STATES)[number];

export function statesOf(cluster: SimCluster, troubles: Troubles): readonly ClusterState[] {
  const started = cluster.present.filter((i) => cluster.isStarted(i));
  const states: ClusterState[] = [];
  if (started.length < cluster.present.length) states.push("a node is down");
  if (started.some((i) => !cluster.isServing(i))) states.push("a node catches up");
  if (started.some((i) => cluster.clusterOf(i).view.layouts.length > 1))
    states.push("the ring changes");
  if (started.some((i) => holdsHints(cluster, i))) states.push("hints are held");
  if (troubles.cutsNow() > 0) states.push("the net is cut");
  return states.length === 0 ? ["calm"] : states;
}

function holdsHints(cluster: SimCluster, index: number): boolean {
  const { hints } = cluster.clusterOf(index);
  return hints.targets().some((target) => hints.heldFor(target).count > 0);
}
