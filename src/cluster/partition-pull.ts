/**
 * Everything that the other owners have of this node's partitions, fetched page by page and merged: what brings a node up to date for which hints had
 * to be dropped. It moves all data, not only what differs, so it is for the rare case.
 */
import { decodeRecord } from "../causality/record.ts";
import type { NodeId } from "../gossip/member.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import { PartitionSet } from "./partition-set.ts";
import type { Peers, ScannedEntry } from "./peer-messages.ts";
import type { Replica } from "./replica.ts";

const PAGE_KEYS = 1024;
const PAGE_BYTES = 1024 * 1024;
const PAGE_TIMEOUT_MS = 10_000;
const NOTHING = new Uint8Array(0);

export interface PartitionPullOptions {
  readonly view: ClusterView;
  readonly peers: Peers;
  readonly replica: Replica;
  /** Where the key lives, `undefined` where that is not a key. */
  locate(internalKey: Uint8Array): { bucket: Bucket; address: KeyAddress } | undefined;
  nowMs(): number;
}

/** False where a node that should be there did not answer. Settles when all of it is durable. */
export async function pullPartitions(options: PartitionPullOptions): Promise<boolean> {
  const { view } = options;
  let isComplete = true;
  for (const { id } of view.layout.members) {
    if (id === view.self || !view.isUp(id)) continue;
    const shared = sharedPartitions(view, id);
    if (!shared.isEmpty) isComplete = (await pullFrom(options, id, shared)) && isComplete;
  }
  return isComplete;
}

function sharedPartitions(view: ClusterView, other: NodeId): PartitionSet {
  const { q, n, members, owners } = view.layout;
  const shared = PartitionSet.none(q);
  for (let partition = 0; partition < q; partition++) {
    const ids = Array.from({ length: n }, (_, i) => members[owners[partition * n + i]!]!.id);
    if (ids.includes(view.self) && ids.includes(other)) shared.add(partition);
  }
  return shared;
}

async function pullFrom(
  options: PartitionPullOptions,
  node: NodeId,
  partitions: PartitionSet,
): Promise<boolean> {
  let lower: Uint8Array = NOTHING;
  for (;;) {
    const reply = await options.peers.call(
      node,
      {
        kind: "scan",
        bucket: "",
        partitions: partitions.bytes,
        lower,
        upper: NOTHING,
        isReverse: false,
        keysMax: PAGE_KEYS,
        bytesMax: PAGE_BYTES,
      },
      PAGE_TIMEOUT_MS,
      "repair",
    );
    if (reply.kind !== "scan") return false;
    await Promise.all(reply.entries.map((entry) => mergeEntry(options, entry)));
    const last = reply.entries.at(-1);
    if (!reply.hasMore || last === undefined) return !reply.isIncomplete;
    lower = new Uint8Array(last.key.length + 1);
    lower.set(last.key);
  }
}

function mergeEntry(
  { replica, locate, nowMs }: PartitionPullOptions,
  { key, record }: ScannedEntry,
): Promise<void> | undefined {
  const place = locate(key);
  if (place === undefined) return undefined;
  const options = { encoded: record, isFromPeer: true };
  return replica.merge(place.bucket, place.address, decodeRecord(record), nowMs(), options);
}
