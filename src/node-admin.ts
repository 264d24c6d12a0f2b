/** What administration can see and do on a node among others. */
import { hex } from "./base/bytes.ts";
import { HutchError } from "./base/errors.ts";
import type { AdminParts } from "./cluster/admin.ts";
import type { ClusterNode } from "./cluster/cluster-node.ts";
import type { ReportParts } from "./cluster/cluster-report.ts";
import { scrubUpkeep } from "./cluster/scrub-upkeep.ts";
import type { Clock } from "./ports/clock.ts";
import { bucketNameOf } from "./ring/partition.ts";
import type { Store } from "./storage/store.ts";

function reportPartsOf(cluster: ClusterNode): ReportParts {
  const { coordinator, hints, peers, gossip } = cluster;
  return {
    view: () => cluster.view,
    peers,
    phiOf: (node) => gossip.phiOf(node),
    hints: () => hints.targets().map((target) => ({ target, ...hints.heldFor(target) })),
    copiesOf: (bucket) => coordinator.copies.copiesOf(bucket),
  };
}

export function adminPartsOf(
  cluster: ClusterNode,
  store: Store,
  clock: Clock,
): Partial<AdminParts> {
  return {
    cluster: reportPartsOf(cluster),
    phase: () => phaseOf(cluster),
    isLeaving: () => cluster.view.isLeaving || !cluster.view.isMember,
    layout: { control: cluster.layouts, clock },
    repair: {
      run: (onProgress) => cluster.convergence.repairAll(onProgress),
      report: () => repairReport(cluster),
    },
    scrub: scrubUpkeep(store, cluster.healer),
    collect: () => cluster.convergence.deletions.collector.run(),
    suspects: suspectsOf(cluster),
  };
}

/** Nodes by the names that people gave them. */
function repairReport({ convergence, view }: ClusterNode): object {
  const { partitions, ...rest } = convergence.antiEntropy.report();
  const named = partitions.map((one) => ({ ...one, lastPeer: view.nameOf(one.lastPeer) }));
  return { ...rest, partitions: named };
}

const SUSPECTS_SHOWN_MAX = 1000;

/** By the hexadecimal digits of their internal keys. */
function suspectsOf(cluster: ClusterNode): NonNullable<AdminParts["suspects"]> {
  const { suspects } = cluster.convergence.deletions;
  return {
    list: () =>
      suspects.quarantine
        .list(undefined, SUSPECTS_SHOWN_MAX)
        .map(({ internalKey, sinceMs, broughtBy, record }) => ({
          id: hex(internalKey),
          bucket: bucketNameOf(internalKey),
          sinceMs,
          broughtBy: cluster.view.nameOf(broughtBy),
          values: record.flatMap(({ values }) => values).length,
        })),
    accept: async (id) => {
      const isHex = /^([0-9a-f]{2})+$/.test(id);
      if (isHex && (await suspects.accept(Uint8Array.fromHex(id)))) return;
      throw new HutchError("key-not-found", `Cannot accept "${id}": nothing is held back under it`);
    },
  };
}

function phaseOf({ view }: ClusterNode): string {
  if (!view.isMember) return "joining";
  // It goes on serving while it hands over what it has; clients look for another node meanwhile.
  if (view.isLeaving) return "leaving";
  return view.members.get(view.self)?.record.phase ?? "serving";
}
