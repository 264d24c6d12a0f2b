/**
 * Properties of buckets as clients ask for them and change them. All but one take effect at each node when it hears of them; the number of copies comes
 * with a layout version (row 107, docs/decisions/bucket-copies.md), unless nothing can be in the bucket yet.
 */
import { HutchError } from "../base/errors.ts";
import { type BucketProperties, DEFAULT_BUCKET_PROPERTIES } from "../quorum/operation.ts";
import type { CopiesChange } from "../ring/layout.ts";
import { isProvenEmpty } from "./bucket-emptiness.ts";
import type { BucketEntry } from "./bucket-entry.ts";
import { type Bucket, type Buckets, checkProperties } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Listing } from "./listing.ts";

/** How changes get to the other nodes; nothing of it where there are none. */
export interface BucketSpreading {
  /** Settles when those that are up have it, or soon after. */
  spreadBuckets(entry: BucketEntry): Promise<void>;
  /** Asks those that are up what buckets they know; settles when they have answered, or soon after. */
  learnBuckets?(): Promise<void>;
  /** Settles when it is agreed on. Rejects with `layout-conflict` while the ring or another bucket's copies are changing. */
  changeCopies?(change: CopiesChange): Promise<void>;
}

export class BucketAdmin {
  private readonly buckets: Buckets;
  private readonly listing: Listing;
  private readonly others: BucketSpreading | undefined;
  private readonly view: () => ClusterView;

  constructor(
    buckets: Buckets,
    listing: Listing,
    others: BucketSpreading | undefined,
    view: () => ClusterView,
  ) {
    this.buckets = buckets;
    this.listing = listing;
    this.others = others;
    this.view = view;
  }

  /** With the n that is wanted, also while it is on its way. */
  propertiesOf(name: string): BucketProperties {
    const bucket = this.buckets.get(name);
    const n = this.view().wantedN(bucket);
    return n === bucket.properties.n ? bucket.properties : { ...bucket.properties, n };
  }

  async set(
    name: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties> {
    const base = mode === "put" ? DEFAULT_BUCKET_PROPERTIES : this.propertiesOf(name);
    const wanted = { ...base, ...properties };
    checkProperties(wanted);
    const isAtOnce = await this.changeCopies(name, wanted.n);
    const rest = isAtOnce ? properties : withN(properties, this.buckets.get(name));
    await this.spread(await this.buckets.set(name, mode, rest));
    return this.propertiesOf(name);
  }

  /** What comes into the bucket later has as many copies as in any new one. */
  async delete(name: string): Promise<void> {
    const bucket = this.buckets.get(name);
    if (!(await isProvenEmpty(this.listing, bucket)))
      throw new HutchError(
        "bucket-not-empty",
        `Cannot delete bucket "${name}": it holds keys, want them deleted first`,
      );
    const isAtOnce = await this.changeCopies(name, DEFAULT_BUCKET_PROPERTIES.n);
    await this.spread(await this.buckets.delete(name, !isAtOnce));
  }

  private async spread(entry: BucketEntry): Promise<void> {
    await this.others?.spreadBuckets(entry);
  }

  /** True where n may simply be set: nobody else has copies, or nobody has heard of the bucket. False where layouts say it from now on. */
  private async changeCopies(name: string, n: number): Promise<boolean> {
    const { others, buckets } = this;
    if (others?.changeCopies === undefined) return true;
    if (n === this.propertiesOf(name).n) return false;
    if (!buckets.isKnown(name)) await others.learnBuckets?.();
    if (!buckets.isKnown(name)) return true;
    const before = this.propertiesOf(name).n;
    if (n !== before) await others.changeCopies({ bucket: name, n, before });
    return false;
  }
}

/** As it is written down now: what layouts say is written down when all nodes follow it. */
function withN(
  { n: _, ...rest }: Partial<BucketProperties>,
  { explicit }: Bucket,
): Partial<BucketProperties> {
  return explicit.n === undefined ? rest : { ...rest, n: explicit.n };
}
