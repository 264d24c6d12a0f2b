/** One slice of a sweep: what in a piece of a partition has been dead for long enough, as copies that live on after the slice. */
import { newestDot } from "../causality/provenance.ts";
import { deathOf } from "../causality/retention.ts";
import { stateDigest } from "../kernels/kernels.ts";
import { type CollectItem, COLLECT_KEYS_MAX } from "./collect-messages.ts";
import { PartitionScan } from "./partition-scan.ts";
import { type ReplicaStore, decodeStored } from "./replica-store.ts";

/** Entries that one slice looks at: about a millisecond. */
const SLICE_ENTRIES = 1024;
const SLICE_BYTES = 1024 * 1024;

export interface DeadRecord extends CollectItem {
  readonly record: Uint8Array;
}

export interface DeadPage {
  /** By the number of copies that their buckets want: those have the same owners. At most `COLLECT_KEYS_MAX` in all. */
  readonly byCopies: ReadonlyMap<number, readonly DeadRecord[]>;
  /** Where to go on, `undefined` at the end of the partition. */
  readonly next: Uint8Array | undefined;
  /** Read. */
  readonly bytes: number;
}

export interface DeadPageOptions {
  readonly diedBeforeMs: number;
  copiesOf(internalKey: Uint8Array): number;
  /** Of a record that is dead, or will be, and not for long enough. */
  onLaterDeath(diedAtMs: number): void;
}

/** Throws `CorruptionError`, also where some of the piece is lost. */
export function readDead(
  store: ReplicaStore,
  partition: number,
  lower: Uint8Array,
  options: DeadPageOptions,
): DeadPage {
  const scan = new PartitionScan(store, [partition], { lower, upper: undefined }, false);
  const byCopies = new Map<number, DeadRecord[]>();
  let entries = 0;
  let found = 0;
  let bytes = 0;
  try {
    for (; scan.isValid; scan.next()) {
      const isFull = entries >= SLICE_ENTRIES || bytes >= SLICE_BYTES || found >= COLLECT_KEYS_MAX;
      if (isFull) return { byCopies, next: scan.key.slice(), bytes };
      entries++;
      bytes += scan.key.length + scan.value.length;
      const diedAtMs = deathOf(scan.value);
      if (diedAtMs >= options.diedBeforeMs) options.onLaterDeath(diedAtMs);
      else {
        found++;
        add(byCopies, options.copiesOf(scan.key.slice()), scan.key.slice(), scan.value.slice());
      }
    }
    return { byCopies, next: undefined, bytes };
  } finally {
    scan.close();
  }
}

function add(
  byCopies: Map<number, DeadRecord[]>,
  n: number,
  internalKey: Uint8Array,
  record: Uint8Array,
): void {
  const item = {
    internalKey,
    record,
    newest: newestDot(decodeStored(record)),
    digest: stateDigest(record),
  };
  const items = byCopies.get(n);
  if (items === undefined) byCopies.set(n, [item]);
  else items.push(item);
}
