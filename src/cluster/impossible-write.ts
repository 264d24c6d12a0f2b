/** What refuses a write before anything of it is sent (R5): input that can never work, and durability that nobody promises. */
import { HutchError } from "../base/errors.ts";
import type { BucketProperties, Expiry, WriteRequest } from "../quorum/operation.ts";

const TTL_MS_MAX = 10 * 366 * 86_400_000;

/** @param isDurable does an acknowledged write survive a power loss? */
export function refuseImpossibleWrite(
  { valueBytesMax }: BucketProperties,
  { value, expiry, consistency }: WriteRequest,
  isDurable: boolean,
): void {
  if (value.length > valueBytesMax)
    throw new HutchError(
      "value-too-large",
      `Cannot store ${value.length} bytes: the bucket takes at most ${valueBytesMax}`,
      { data: { valueBytesMax } },
    );
  if (!isExpirySane(expiry))
    throw new HutchError("bad-ttl", "Cannot store the value: its expiry is not within 10 years");
  if (consistency.dw > 0 && !isDurable)
    throw new HutchError(
      "unavailable",
      "Cannot write durably: this node runs with fsync=os and promises nothing",
    );
}

function isExpirySane(expiry: Expiry): boolean {
  if (expiry.kind === "after") return expiry.ttlMs > 0 && expiry.ttlMs <= TTL_MS_MAX;
  return expiry.kind !== "at" || Number.isSafeInteger(expiry.wallMs);
}
