/**
 * How many copies each bucket asks for, as Merkle trees need it: a tree holds the keys of all buckets with one number of copies. `version` says
 * whether a tree that was computed earlier was computed for the same numbers.
 */
import { utf8 } from "../base/bytes.ts";
import { hashKey } from "../kernels/kernels.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../quorum/operation.ts";
import type { Buckets } from "./bucket-properties.ts";

export interface CopiesOfBuckets {
  /** Throws `CorruptionError` where that may have been lost. */
  copiesOf(bucket: string): number;
  /** 32 bits over what `copiesOf` says of all buckets; equal after a restart, and on other nodes. */
  version(): number;
}

export class BucketCopies implements CopiesOfBuckets {
  private readonly buckets: Buckets;
  private readonly words = new Uint32Array(4);
  /** Of the buckets with this hash. */
  private known = { hash: -1, version: 0 };

  constructor(buckets: Buckets) {
    this.buckets = buckets;
  }

  copiesOf(bucket: string): number {
    return this.buckets.get(bucket).properties.n;
  }

  /** Buckets with the default count for nothing, so that a first write into a new bucket changes nothing. */
  version(): number {
    const { hash } = this.buckets;
    if (this.known.hash === hash) return this.known.version;
    let version = 0;
    for (const { name, explicit, isDeleted } of this.buckets.all()) {
      const copies = explicit.n ?? DEFAULT_BUCKET_PROPERTIES.n;
      if (isDeleted || copies === DEFAULT_BUCKET_PROPERTIES.n) continue;
      const bytes = utf8(`${name}/${copies}`);
      hashKey(bytes, 0, bytes.length, this.words);
      version = (version ^ this.words[0]!) >>> 0;
    }
    this.known = { hash, version };
    return version;
  }
}
