/**
 * The hash of one entry, key and record, in Merkle trees, and the leaf that its key falls into. Frozen: all nodes of a cluster must agree.
 *
 *   entry hash = SipHash-2-4 under the cluster's secret of
 *
 *     +--------------+--------------+---+--------------------------+
 *     | key length 4 | internal key | 0 | record                   |    records up to 512 bytes
 *     +--------------+--------------+---+--------------------------+
 *     | key length 4 | internal key | 1 | state digest of it 16    |    others
 *     +--------------+--------------+---+--------------------------+
 *
 *   leaf       = MurmurHash3 of the internal key, its low bits
 *
 * The key has its length before it, so no two entries have one input (R36); equal states have equal bytes (`causality/record.ts`), so replicas that
 * agree have equal hashes, whenever each of them looks at expiry (R23). The secret is what makes XOR sound: a client who could know the hashes could
 * choose keys whose hashes cancel each other. What is left to a hostile client are two large values of one key with one digest (xxHash128 has
 * no secret): a tree does not see which of the two a replica has. That is the client's own key, and read repair goes by the same digest.
 *
 * Small records are hashed as they are because that is cheaper than their digest (about 170 ns against 400 ns for 150 bytes) and makes no garbage.
 */
import { assert } from "../base/assert.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { hashKey, sipHash24, stateDigest } from "../kernels/kernels.ts";

const SECRET_BYTES = 16;
const DIRECT_BYTES_MAX = 512;
const DIRECT = 0;
const DIGESTED = 1;

export class EntryHasher {
  private readonly secret: Uint8Array;
  private readonly leafMask: number;
  private readonly scratch = new ByteWriter(1024);
  private readonly words = new Uint32Array(4);
  /** What `hash` found. */
  low = 0;
  high = 0;

  /** @param leafCount a power of two */
  constructor(secret: Uint8Array, leafCount: number) {
    assert(secret.length === SECRET_BYTES, "a secret has 16 bytes");
    this.secret = secret;
    this.leafMask = leafCount - 1;
  }

  /** Sets `low` and `high`. @param record encoded */
  hash(internalKey: Uint8Array, record: Uint8Array): void {
    const { scratch, words } = this;
    scratch.reset();
    scratch.u32(internalKey.length);
    scratch.raw(internalKey);
    if (record.length <= DIRECT_BYTES_MAX) {
      scratch.u8(DIRECT);
      scratch.raw(record);
    } else {
      scratch.u8(DIGESTED);
      scratch.raw(stateDigest(record));
    }
    sipHash24(this.secret, scratch.buffer, 0, scratch.length, words);
    this.low = words[0]!;
    this.high = words[1]!;
  }

  leafOf(internalKey: Uint8Array): number {
    hashKey(internalKey, 0, internalKey.length, this.words);
    return this.words[2]! & this.leafMask;
  }

  /** 32 bits that two hashers share only with secret and leaves: hashes made by one mean something to the other. */
  get fingerprint(): number {
    const { scratch, words } = this;
    scratch.reset();
    scratch.u32(this.leafMask);
    sipHash24(this.secret, scratch.buffer, 0, scratch.length, words);
    return words[0]!;
  }
}
