/**
 * How many copies each bucket has (`copies.ts`), as Merkle trees need it: a tree holds the keys of all buckets with one number of copies. `version` says
 * whether a tree that was computed earlier was computed for the same numbers.
 */
import { utf8 } from "../base/bytes.ts";
import { hashKey } from "../kernels/kernels.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../quorum/operation.ts";
import type { Bucket, Buckets } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Copies } from "./copies.ts";

export interface CopiesOfBuckets {
  /** Throws `CorruptionError` where that may have been lost. */
  copiesOf(bucket: string): Copies;
  /** 32 bits over what `copiesOf` says of all buckets; equal after a restart, and on other nodes. */
  version(): number;
}

export class BucketCopies implements CopiesOfBuckets {
  private readonly buckets: Buckets;
  private readonly view: (() => ClusterView) | undefined;
  private readonly words = new Uint32Array(4);
  /** Of the buckets with this hash, in that state of layouts. */
  private known: Known = { hash: -1, state: undefined, version: 0, all: [] };

  /** @param view left out where layouts say nothing of buckets */
  constructor(buckets: Buckets, view?: () => ClusterView) {
    this.buckets = buckets;
    this.view = view;
  }

  copiesOf(bucket: string): Copies {
    return this.of(this.buckets.get(bucket));
  }

  of(bucket: Bucket): Copies {
    return this.view === undefined ? bucket.properties.n : this.view().copiesOf(bucket);
  }

  /** Buckets with the default count for nothing, so that a first write into a new bucket changes nothing. */
  version(): number {
    return this.now().version;
  }

  /** All there are, the default among them: the keys of each have their own owners. */
  all(): readonly Copies[] {
    return this.now().all;
  }

  private now(): Known {
    const { hash } = this.buckets;
    const state = this.view?.().state;
    if (this.known.hash !== hash || this.known.state !== state)
      this.known = { hash, state, ...this.count() };
    return this.known;
  }

  private count(): Pick<Known, "version" | "all"> {
    const usual = DEFAULT_BUCKET_PROPERTIES.n;
    const all = new Set([usual]);
    let version = 0;
    for (const { name } of this.buckets.all()) {
      const copies = this.copiesOf(name);
      if (copies === usual) continue;
      all.add(copies);
      const bytes = utf8(`${name}/${copies}`);
      hashKey(bytes, 0, bytes.length, this.words);
      version = (version ^ this.words[0]!) >>> 0;
    }
    return { version, all: [...all].sort((a, b) => a - b) };
  }
}

interface Known {
  readonly hash: number;
  readonly state: ClusterView["state"] | undefined;
  readonly version: number;
  readonly all: readonly Copies[];
}
