/** A bucket for a request. */
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";

/** Where damage has taken what was known of buckets, others know it, and somebody else can be asked until it is fetched. */
export function knownBucket(buckets: Buckets, view: ClusterView, name: string): Bucket {
  try {
    return buckets.get(name);
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError) || view.planned.size <= 1) throw thrown;
    throw new HutchError(
      "unavailable",
      `Cannot take the request: what this node knew of bucket "${name}" is damaged and being fetched from the others`,
      { retry: "safe", cause: thrown },
    );
  }
}
