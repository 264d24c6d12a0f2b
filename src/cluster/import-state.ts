/** A state from an export on its way to the owners of its key: merged, never minted, acknowledged by a quorum. */
import { HutchError } from "../base/errors.ts";
import type { Record } from "../causality/record.ts";
import { NO_METADATA } from "../causality/payload.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import { levelConsistency } from "../quorum/parse-consistency.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { unavailable } from "./answers.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import { encodeState } from "./join-states.ts";
import type { Replica } from "./replica.ts";
import { ReplicaSet } from "./replica-set.ts";
import type { ReplicaStore } from "./replica-store.ts";
import { Replication } from "./replication.ts";
import type { TrustedClock } from "./trusted-clock.ts";

const IMPORT_MS_MAX = 10_000;
const ADMISSION_WAITS_MAX = 3;

export interface ImportMeans {
  readonly parts: CoordinationParts;
  readonly store: ReplicaStore;
  readonly replica: Replica;
  readonly trusted: TrustedClock;
}

export interface ImportedState {
  readonly bucket: Bucket;
  readonly address: KeyAddress;
  readonly record: Record;
  readonly isDurable: boolean;
}

/** Settles when a quorum has it; with the number of concurrent values that our copy of a lww bucket gave up for it. */
export async function importState(means: ImportMeans, imported: ImportedState): Promise<number> {
  try {
    return await importOne(means, imported);
  } catch (thrown) {
    if (!(thrown instanceof HutchError) || thrown.code !== "suspect-state") throw thrown;
    throw new HutchError(
      "precondition-failed",
      "Cannot import the state: it is older than deletions that were collected, and may be one of them; it is kept aside, see /v1/admin/suspects to accept it, or import with mode=write",
      { cause: thrown },
    );
  }
}

async function importOne(means: ImportMeans, imported: ImportedState): Promise<number> {
  const { parts, store } = means;
  for (let waits = 0; waits < ADMISSION_WAITS_MAX; waits++) {
    const pause = store.admit("put");
    if (pause === undefined) break;
    await pause;
  }
  const { bucket, address, record } = imported;
  const view = parts.view();
  const set = new ReplicaSet(view, parts.peers, address.partition, view.copiesOf(bucket));
  const request = requestFor(set.owners.length);
  // A hint of our own is no acknowledgement here: only what others store is.
  const standing = set.fallbacks().filter((node) => node !== view.self).length;
  const possible = Math.min(set.owners.length, set.countPossible(true).primary + standing);
  if (possible < request.consistency.w) throw unavailable("write", possible, request.consistency.w);
  const isOwner = set.isOwner(view.self);
  const deadline = parts.clock.monoMs() + IMPORT_MS_MAX;
  const replication = new Replication(parts, set, address, request, deadline, isOwner);
  const dropped = isOwner ? mergeHere(means, imported, replication) : 0;
  replication.start(encodeState(record), undefined);
  void replication.keepOwnHints();
  replication.arm();
  await replication.done;
  return dropped;
}

function mergeHere(
  { replica, trusted }: ImportMeans,
  { bucket, address, record, isDurable }: ImportedState,
  replication: Replication,
): number {
  const { counters } = replica;
  const droppedBefore = counters.conflictsDropped;
  const durable = replica.merge(bucket, address, record, trusted.nowMsForWrite());
  // Of this merge alone: it has run by now, and nothing else has.
  const dropped = counters.conflictsDropped - droppedBefore;
  if (durable === undefined) replication.storedHere(isDurable);
  else
    durable.then(
      () => replication.storedHere(isDurable),
      (thrown: unknown) => replication.failedHere(thrown),
    );
  return dropped;
}

/** Says how many must answer; nothing of it is minted. */
function requestFor(n: number): WriteRequest {
  return {
    kind: "put",
    value: NOTHING,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    expiry: { kind: "default" },
    context: "",
    condition: { kind: "none" },
    idempotencyKey: "",
    consistency: levelConsistency("QUORUM", n, false),
    timeoutMs: IMPORT_MS_MAX,
    session: "",
  };
}

const NOTHING = new Uint8Array(0);
