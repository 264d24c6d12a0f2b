/**
 * How many copies the keys of a bucket have, as one number that stands for it everywhere: in the names of trees, in messages, in maps.
 *
 *   below 32     that many, in every active layout
 *   otherwise    n is changing (docs/decisions/bucket-copies.md): `before` in layouts older than `since`, `n` from that version on
 *
 *      n  +  before x 32  +  since x 1024
 *
 * Keys of one partition with equal numbers have the same owners in every layout, so whatever is done with owners is done once for each number.
 */
import type { CopiesChange, Layout } from "../ring/layout.ts";

export type Copies = number;

const N_END = 32;

/** @param since the version that brings the change */
export function changingCopies({ n, before }: CopiesChange, since: number): Copies {
  return n + before * N_END + since * N_END * N_END;
}

/** The number of copies in one layout. */
export function copiesIn({ version }: Layout, copies: Copies): number {
  if (copies < N_END) return copies;
  const since = Math.floor(copies / (N_END * N_END));
  return version >= since ? copies % N_END : Math.floor(copies / N_END) % N_END;
}

/** What the active layouts say of one bucket. */
export interface CopiesNow {
  readonly copies: Copies;
  /** What is wanted, and will be everywhere. */
  readonly n: number;
  /** The version that it begins with. */
  readonly since: number;
}

/** By bucket; of the others the layouts say nothing, and their properties do. */
export function copiesByBucket(layouts: readonly Layout[]): ReadonlyMap<string, CopiesNow> {
  const [oldest] = layouts;
  const byBucket = new Map<string, CopiesNow>();
  for (const layout of layouts) {
    const { copies: change, version: since } = layout;
    if (change === undefined) continue;
    const { bucket, n } = change;
    const copies = layout === oldest ? n : changingCopies(change, since);
    byBucket.set(bucket, { copies, n, since });
  }
  return byBucket;
}
