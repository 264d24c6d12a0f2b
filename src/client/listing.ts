/** Pages of keys: what is asked, and what an answer of REST.md section 3 comes to. */

import type { Codec } from "./codecs.ts";
import { RequestError } from "./errors.ts";
import {
  bytesOf,
  bytesOfBase64url,
  isList,
  listIn,
  readJson,
  type SiblingJson,
  siblingsOf,
  unreadable,
} from "./readings.ts";
import type { Entry, ListedKey, ListedPage, PageOptions } from "./types.ts";
import type { Query } from "./wire.ts";

export interface ListedJson extends SiblingJson {
  readonly key?: string;
  readonly keyB64?: string;
  readonly etag: string;
  readonly size: number;
  readonly expiresAt?: string | null;
  readonly context?: string;
  /** How many; or, with values, the siblings themselves where there are several. */
  readonly siblings: number | readonly SiblingJson[];
}

export interface PageJson {
  readonly keys: readonly ListedJson[];
  readonly prefixes?: readonly (string | { readonly prefixB64: string })[];
  readonly cursor?: string;
  readonly partial: boolean;
}

export function listQuery(options: PageOptions, withValues: boolean): Query {
  const { prefix, start, end, limit, cursor, delimiter, isReverse = false } = options;
  return {
    prefix,
    start,
    end,
    limit,
    cursor,
    delimiter,
    reverse: isReverse ? 1 : undefined,
    values: withValues ? 1 : undefined,
  };
}

export function listedPage({ keys, prefixes = [], cursor = "", partial }: PageJson): ListedPage {
  return {
    keys: keys.map(listedKey),
    prefixes: prefixes.map(groupOf),
    cursor,
    isPartial: partial,
  };
}

function groupOf(prefix: string | { readonly prefixB64: string } | null): string {
  const text = typeof prefix === "string" ? prefix : prefix?.prefixB64;
  if (text !== undefined) return text;
  throw unreadable("it names a group that is none");
}

function listedKey({ key, keyB64, etag, size, expiresAt, siblings }: ListedJson): ListedKey {
  return {
    key: key ?? keyB64 ?? "",
    keyBytes: keyB64 === undefined ? undefined : bytesOfBase64url(keyB64),
    etag,
    sizeBytes: size,
    expiresAt: expiresAt ?? undefined,
    siblingCount: typeof siblings === "number" ? siblings : siblings.length,
  };
}

export async function valueOfListed<Value, Input>(
  json: ListedJson,
  { key, etag, expiresAt }: ListedKey,
  codec: Codec<Value, Input>,
): Promise<Entry<Value>> {
  const context = json.context ?? "";
  if (typeof json.siblings !== "number")
    return {
      kind: "siblings",
      key,
      etag,
      context,
      siblings: await siblingsOf(json.siblings, codec, 200),
    };
  return {
    kind: "value",
    key,
    value: await codec.decode(bytesOf(json)),
    context,
    etag,
    expiresAt,
    metadata: json.meta ?? {},
    contentType: json.contentType ?? "",
  };
}

/** A page as it is, or only a whole one: one that a part of the bucket is missing from is asked for again, from another node. */
export async function readPage(response: Response, isWhole: boolean): Promise<PageJson> {
  // The shape is that of REST.md section 3; the answer comes from a node.
  const page = (await readJson(response)) as PageJson;
  const keys = listIn<ListedJson>(page, "keys");
  const isKnown = ({ siblings }: ListedJson): boolean =>
    typeof siblings === "number" || isList(siblings);
  if (!keys.every(isKnown)) throw unreadable("it does not say how many siblings a key has");
  if (!isWhole || !page.partial) return page;
  throw new RequestError(
    "unavailable",
    "Cannot list all keys: a part of the bucket cannot be read just now",
    { status: response.status, retry: "safe" },
  );
}

/** Page after page. */
export async function* pagesOf(
  read: (cursor: string) => Promise<PageJson>,
): AsyncGenerator<PageJson, void, undefined> {
  let cursor = "";
  do {
    const page = await read(cursor);
    yield page;
    if (cursor !== "" && page.cursor === cursor) throw unreadable("a page leads to itself");
    cursor = page.cursor ?? "";
  } while (cursor !== "");
}
