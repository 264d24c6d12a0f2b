/** Does a bucket hold a live key? Pages that end early for want of one are followed to the end; a gap counts as a key. */
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { ListRequest } from "../quorum/operation.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { Listing } from "./listing.ts";

const FIRST_KEY: ListRequest = {
  prefix: EMPTY_BYTES,
  start: EMPTY_BYTES,
  end: EMPTY_BYTES,
  limit: 1,
  cursor: "",
  delimiter: EMPTY_BYTES,
  isReverse: false,
  withValues: false,
};

export async function isProvenEmpty(listing: Listing, bucket: Bucket): Promise<boolean> {
  let page = await listing.page(bucket, FIRST_KEY);
  while (page.keys.length === 0 && page.cursor !== "")
    page = await listing.page(bucket, { ...FIRST_KEY, cursor: page.cursor });
  return page.keys.length === 0 && !page.isPartial;
}
