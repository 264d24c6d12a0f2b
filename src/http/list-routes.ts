/**
 * `GET /v1/kv/{bucket}`: keys in byte order, a page as JSON, or as lines page after page (REST.md section 3).
 *
 * Lines: one per key, `{"prefix"}` per group, and at the end one with what the page has around its lists
 * (`{"cursor","complete","partial"}`). Without a `limit` the lines go on to the end of the bucket.
 */
import { z } from "zod";
import { EMPTY_BYTES, base64url, utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import type { ListPage, ListRequest, ListedKey } from "../quorum/operation.ts";
import { requireType } from "./accept.ts";
import { jsonAnswer } from "./answers.ts";
import { rfc3339 } from "./dates.ts";
import type { Exchange } from "./exchange.ts";
import { checkOptions } from "./headers.ts";
import { bucketOf } from "./key-path.ts";
import { envelopeJson, metadataJson, valueJson } from "./key-json.ts";
import { NDJSON_TYPE, ndjsonAnswer } from "./ndjson.ts";
import { keyMember } from "./problem.ts";

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;

/** What can be said of the parameters without their bytes; `prefix`, `start`, `end`, `delimiter` may be any bytes. */
export const LIST_QUERY = z.object({
  prefix: z.string().optional().describe("only keys that start with these bytes"),
  start: z.string().optional().describe("first key, inclusive"),
  end: z.string().optional().describe("last key, exclusive"),
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,4}$/, "want 1 to 10000")
    .refine((text) => Number(text) <= LIMIT_MAX, "want 1 to 10000")
    .optional()
    .describe("keys and prefixes of one page, 1000 where it is not given"),
  cursor: z.string().max(4096).optional().describe("of the page before"),
  delimiter: z.string().optional().describe("groups keys that share what stands before it"),
  reverse: z.enum(["0", "1", "true", "false", ""]).optional(),
  values: z.enum(["0", "1", "true", "false", ""]).optional().describe("adds values to the keys"),
});

export async function listKeys(exchange: Exchange): Promise<Response> {
  const bucket = bucketOf(exchange, "/v1/kv/");
  const type = requireType(exchange.header("accept"), ["application/json", NDJSON_TYPE]);
  checkOptions(exchange, bucket);
  const request = listRequestOf(exchange);
  exchange.grant?.requirePrefix(bucket, request.prefix);
  if (type === NDJSON_TYPE) return ndjsonAnswer(exchange, listLines(exchange, bucket, request));
  const page = await exchange.services.kv.list(bucket, request);
  return jsonAnswer(exchange, {
    keys: page.keys.map(listedJson),
    prefixes: page.prefixes.map(prefixText),
    ...endOf(page.cursor, page.isPartial),
  });
}

function listRequestOf({ query, hasQuery }: Exchange): ListRequest {
  if (!hasQuery) return { ...EVERYTHING };
  return {
    prefix: query.bytes("prefix") ?? EMPTY_BYTES,
    start: query.bytes("start") ?? EMPTY_BYTES,
    end: query.bytes("end") ?? EMPTY_BYTES,
    limit: Number(query.text("limit") ?? LIMIT_DEFAULT),
    cursor: query.text("cursor", "bad-cursor") ?? "",
    delimiter: query.bytes("delimiter") ?? EMPTY_BYTES,
    isReverse: query.flag("reverse"),
    withValues: query.flag("values"),
  };
}

const EVERYTHING: ListRequest = {
  prefix: EMPTY_BYTES,
  start: EMPTY_BYTES,
  end: EMPTY_BYTES,
  limit: LIMIT_DEFAULT,
  cursor: "",
  delimiter: EMPTY_BYTES,
  isReverse: false,
  withValues: false,
};

async function* listLines(
  exchange: Exchange,
  bucket: string,
  request: ListRequest,
): AsyncGenerator<unknown, void, undefined> {
  const isLimited = exchange.hasQuery && exchange.query.text("limit") !== undefined;
  let cursor = request.cursor;
  let isPartial = false;
  do {
    const page: ListPage = await exchange.services.kv.list(bucket, { ...request, cursor });
    if (page.cursor !== "" && page.cursor === cursor) {
      throw new HutchError("internal", "Cannot list: a page ends where it began");
    }
    yield* page.keys.map(listedJson);
    yield* page.prefixes.map((prefix) => ({ prefix: prefixText(prefix) }));
    cursor = page.cursor;
    isPartial ||= page.isPartial;
  } while (cursor !== "" && !isLimited);
  yield endOf(cursor, isPartial);
}

function endOf(cursor: string, isPartial: boolean): Record<string, unknown> {
  return { cursor, complete: cursor === "", partial: isPartial };
}

/** A prefix that is not UTF-8 cannot be a JSON text; it is marked by its form. */
function prefixText(prefix: Uint8Array): string | { readonly prefixB64: string } {
  return utf8Text(prefix) ?? { prefixB64: base64url(prefix) };
}

function listedJson(listed: ListedKey): Record<string, unknown> {
  return {
    ...keyMember(listed.key),
    etag: `"${listed.etag}"`,
    size: listed.sizeBytes,
    expiresAt: listed.expiresAtMs === 0 ? null : rfc3339(listed.expiresAtMs),
    siblings: listed.siblingCount,
    ...valueMembers(listed),
  };
}

/** One value as it is; several as in the envelope, whose `siblings` then stand in place of their count. */
function valueMembers({ state }: ListedKey): Record<string, unknown> {
  if (state === undefined) return {};
  const [only, second] = state.siblings;
  if (only === undefined || second !== undefined) {
    return { ...envelopeJson(state, state.siblings) };
  }
  return {
    context: state.context,
    contentType: only.contentType || "application/octet-stream",
    ...(only.meta.length === 0 ? {} : { meta: metadataJson(only.meta) }),
    ...valueJson(only.value),
  };
}
