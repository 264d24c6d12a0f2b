/**
 * What a damaged disk has lost comes back (C13, docs/decisions/healing.md): the healer with all that it needs of this node.
 *
 * Keys of buckets are fetched from the other owners. What the node keeps for itself is nobody's copy: it is written again from memory, learnt from others, or
 * noted as lost.
 */
import { concatBytes, EMPTY_BYTES, prefixSuccessor } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import { decodeRecord } from "../causality/record.ts";
import { HINT_KEY_MARK } from "../causality/retention.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { bucketPrefix, internalKeyOf } from "../ring/partition.ts";
import type { LostRange } from "../storage/store.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Convergence } from "./convergence.ts";
import type { Coordinator } from "./coordinator.ts";
import { Healer, type HealerStore, type OwnKeys } from "./healer.ts";
import type { HintStore } from "./hint-store.ts";
import type { KeyRange } from "./key-scan.ts";
import type { LayoutManager } from "./layout-manager.ts";
import { saveLayouts } from "./layout-store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

export interface HealingOptions {
  readonly store: ReplicaStore & HealerStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly q: number;
  readonly coordinator: Coordinator;
  readonly convergence: Convergence;
  readonly layouts: LayoutManager;
  readonly hints: HintStore;
  view(): ClusterView;
  /** What buckets others know; rejects where nobody says. */
  learnBuckets(): Promise<void>;
}

export function makeHealer(options: HealingOptions): Healer {
  const { convergence, view, logger } = options;
  const { antiEntropy, deletions, trees } = convergence;
  return new Healer({
    ...options,
    pace: convergence.pace,
    ownKeys: ownKeysOf(options),
    isOwn: (partition) => convergence.isHeldPartition(partition),
    isAlone: () => view().planned.size <= 1,
    soleOf: (partition) => soleOf(options, partition),
    fetchRange: (partition, range) =>
      antiEntropy.repairPartitions([partition], { quorum: true, heal: range }),
    offer: (internalKey, record) => offer(options, internalKey, record),
    forgotten: (partitions, ranges) => forgotten(options, partitions, ranges),
    rebuildTree: async (partition) => {
      await deletions.facts.saved();
      await trees.rebuild(partition, "healed");
    },
  });

  function forgotten(
    { coordinator }: HealingOptions,
    partitions: readonly number[],
    ranges: readonly LostRange[],
  ): void {
    coordinator.replica.name.renew();
    trees.damaged(ranges);
    deletions.facts.resetOwnedSince(partitions).catch((thrown: unknown) => {
      logger.warn("partition_facts_not_saved", { reason: messageOf(thrown) });
    });
  }
}

/** Keys of buckets of which there is one copy, this one. */
function soleOf({ coordinator, view }: HealingOptions, partition: number): readonly KeyRange[] {
  return coordinator
    .bucketNames()
    .filter((name) => view().effectiveN(coordinator.copies.copiesOf(name)) === 1)
    .sort()
    .map((name) => {
      const lower = internalKeyOf(partition, bucketPrefix(name), EMPTY_BYTES);
      return { lower, upper: prefixSuccessor(lower)! }; // it ends with 0x00
    });
}

/** An older state of our own: what nobody vouches for is set aside, and is not ours any more (R42). */
async function offer(
  { coordinator, view }: HealingOptions,
  internalKey: Uint8Array,
  record: Uint8Array,
): Promise<void> {
  const { bucket, address } = coordinator.locate(internalKey);
  const source = { node: view().self, purpose: "exchange", ownedSince: 0 } as const;
  const merging = { encoded: record, source, isHealing: true };
  try {
    const state = decodeRecord(record);
    await coordinator.replica.merge(bucket, address, state, coordinator.nowMs(), merging);
  } catch (thrown) {
    if (!(thrown instanceof HutchError) || thrown.code !== "suspect-state") throw thrown;
  }
}

function ownKeysOf(options: HealingOptions): OwnKeys[] {
  const { store, coordinator, convergence, layouts, hints, view, learnBuckets } = options;
  const { facts } = convergence.deletions;
  const done = (work: Promise<unknown>): Promise<true> => work.then(() => true);
  return [
    { ...below("facts/"), keepsOld: false, restore: () => done(facts.rewrite()) },
    {
      ...exactly("layout"),
      keepsOld: false,
      restore: () => done(saveLayouts(store, layouts.state())),
    },
    {
      ...exactly("layout-promise"),
      keepsOld: false,
      restore: () => done(layouts.votes.abstain()),
    },
    {
      ...below("bucket/"),
      keepsOld: false,
      restore: () => done(learnBuckets().then(() => coordinator.buckets.rewrite())),
    },
    {
      ...exactly("hlc-ceiling"),
      keepsOld: false,
      restore: () => done(coordinator.replica.rewriteCeiling()),
    },
    {
      ...exactly("fallback-incarnation"),
      keepsOld: false,
      restore: () => done(coordinator.fallbackActor.leaseAnew()),
    },
    {
      start: new Uint8Array([0, 0, HINT_KEY_MARK]),
      end: new Uint8Array([0, 0, HINT_KEY_MARK + 1]),
      keepsOld: true,
      restore: () => done(hints.damaged([...view().planned.keys()])),
    },
    { ...below("needs-repair/"), keepsOld: true, restore: () => Promise.resolve(true) },
    { ...below("suspect/"), keepsOld: true, restore: () => Promise.resolve(true) },
    { ...below("merkle/"), keepsOld: false, restore: () => Promise.resolve(true) },
  ];
}

function below(prefix: string): Pick<OwnKeys, "start" | "end"> {
  const start = systemKey(prefix);
  return { start, end: prefixSuccessor(start)! }; // a system key has bytes below 0xff
}

function exactly(name: string): Pick<OwnKeys, "start" | "end"> {
  const start = systemKey(name);
  return { start, end: concatBytes(start, new Uint8Array([0])) };
}
