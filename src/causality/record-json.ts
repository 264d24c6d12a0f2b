/**
 * A key's whole causal state as JSON, the lines of `export` and `import?mode=merge`. Exact: decode(encode(state)) equals the state, so
 * importing twice changes nothing.
 *
 *   {"v":1,"entries":[{"actor":"<24 hex digits>","counterMax":9,"values":[
 *     {"counter":9,"value":"text"}                                 as text where the bytes are UTF-8, else "valueB64" (base64url)
 *     {"counter":8,"deleted":true}
 *     ... "hlc" (where not the counter), "expiresAtMs", "contentType", "contentEncoding", "meta":[["name","value"]]
 *   ]}]}
 *
 * Unknown members are refused: they may carry what this version cannot keep. So are texts and instants that no client could have written: they come
 * back as headers, and one that is none would make its key unreadable.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { EMPTY_BYTES, base64url, fromBase64url, utf8, utf8Text } from "../base/bytes.ts";
import { type Actor, parseActor } from "./actor.ts";
import { NO_METADATA, type Payload, type PayloadMetadata } from "./payload.ts";
import type { Record } from "./record.ts";
import type { DottedValue, Entry } from "./siblings.ts";

const VERSION = 1;
/** Entries of an imported record: twice what a cluster makes, and a context of so many still fits its 8 KiB. */
const ENTRIES_MAX = 256;

/** As writes have them. */
const CONTENT_TYPE_LENGTH_MAX = 256;
const CONTENT_ENCODING_LENGTH_MAX = 64;
const METADATA_BYTES_MAX = 4096;
const PRINTABLE = /^[\x20-\x7e]*$/;
const HEADER_NAME = /^[a-z0-9!#$%&'*+\-.^_`|~]+$/;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
/** The end of the year 9999, the last that RFC 3339 can write. */
const EXPIRES_AT_MS_MAX = 253_402_300_799_999;

type Members = { readonly [name: string]: unknown };

export function recordToJson(record: Record): Members {
  return { v: VERSION, entries: record.map(entryToJson) };
}

function entryToJson(entry: Entry<Payload>): Members {
  const values = entry.values.map(({ counter, payload }) => payloadToJson(counter, payload));
  return { actor: entry.actor, counterMax: entry.counterMax, values };
}

function payloadToJson(counter: number, payload: Payload): Members {
  return {
    counter,
    ...(payload.hlc === counter ? {} : { hlc: payload.hlc }),
    ...(payload.expiresAtMs === 0 ? {} : { expiresAtMs: payload.expiresAtMs }),
    ...(payload.contentType === "" ? {} : { contentType: payload.contentType }),
    ...(payload.contentEncoding === "" ? {} : { contentEncoding: payload.contentEncoding }),
    ...(payload.meta.length === 0 ? {} : { meta: payload.meta }),
    ...(payload.isTombstone ? { deleted: true } : valueToJson(payload.value)),
  };
}

function valueToJson(value: Uint8Array): Members {
  const text = utf8Text(value);
  return text === undefined ? { valueB64: base64url(value) } : { value: text };
}

/** Throws `DecodeError` for anything that `recordToJson` does not make. */
export function recordFromJson(json: unknown): Record {
  const { v, entries } = members(json, ["v", "entries"]);
  if (v !== VERSION) throw new DecodeError(`Cannot read exported key: version ${String(v)}`);
  const record = list(entries, "entries", ENTRIES_MAX).map(entryFromJson);
  if (record.length === 0) throw new DecodeError("Cannot read exported key: no entries");
  for (let i = 1; i < record.length; i++)
    if (record[i - 1]!.actor >= record[i]!.actor) throw wrong("entries", "sorted by actor");
  return record;
}

function entryFromJson(json: unknown): Entry<Payload> {
  const { actor, counterMax, values } = members(json, ["actor", "counterMax", "values"]);
  const max = positiveInteger(counterMax, "counterMax");
  const decoded = list(values, "values", Infinity).map(valueFromJson);
  decoded.forEach((value, i) => {
    const before = i === 0 ? 0 : decoded[i - 1]!.counter;
    if (value.counter <= before || value.counter > max)
      throw wrong("counters", "ascending and at most counterMax");
  });
  return { actor: actorFromJson(actor), counterMax: max, values: decoded };
}

function actorFromJson(json: unknown): Actor {
  return parseActor(text(json, "actor"));
}

const VALUE_MEMBERS = [
  "counter",
  "hlc",
  "expiresAtMs",
  "contentType",
  "contentEncoding",
  "meta",
  "deleted",
  "value",
  "valueB64",
];

function valueFromJson(json: unknown): DottedValue<Payload> {
  const found = members(json, VALUE_MEMBERS);
  const counter = positiveInteger(found["counter"], "counter");
  const isTombstone = found["deleted"] === true;
  const payload: Payload = {
    isTombstone,
    hlc: found["hlc"] === undefined ? counter : positiveInteger(found["hlc"], "hlc"),
    expiresAtMs: found["expiresAtMs"] === undefined ? 0 : expiryFromJson(found["expiresAtMs"]),
    contentType: headerFromJson(found["contentType"], "contentType", CONTENT_TYPE_LENGTH_MAX),
    contentEncoding: headerFromJson(
      found["contentEncoding"],
      "contentEncoding",
      CONTENT_ENCODING_LENGTH_MAX,
    ),
    meta: found["meta"] === undefined ? NO_METADATA : metadataFromJson(found["meta"]),
    value: bytesFromJson(found, isTombstone),
  };
  return { counter, payload };
}

function bytesFromJson(found: Members, isTombstone: boolean): Uint8Array {
  const given = ["deleted", "value", "valueB64"].filter((name) => found[name] !== undefined);
  if (given.length !== 1) throw wrong("value", "exactly one of value, valueB64 and deleted");
  if (isTombstone) return EMPTY_BYTES;
  if (found["value"] !== undefined) return utf8(text(found["value"], "value"));
  const bytes = fromBase64url(text(found["valueB64"], "valueB64"));
  if (bytes === undefined) throw wrong("valueB64", "base64url");
  return bytes;
}

function expiryFromJson(json: unknown): number {
  const expiresAtMs = positiveInteger(json, "expiresAtMs");
  if (expiresAtMs > EXPIRES_AT_MS_MAX) throw wrong("expiresAtMs", "before the year 10000");
  return expiresAtMs;
}

/** "" where it is left out. */
function headerFromJson(json: unknown, name: string, lengthMax: number): string {
  const value = json === undefined ? "" : text(json, name);
  if (value.length > lengthMax || !PRINTABLE.test(value))
    throw wrong(name, `at most ${lengthMax} printable ASCII characters`);
  return value;
}

function metadataFromJson(json: unknown): PayloadMetadata {
  const meta = list(json, "meta", 4096).map(pairFromJson);
  const bytes = meta.reduce((sum, [name, value]) => sum + name.length + utf8(value).length, 0);
  if (bytes > METADATA_BYTES_MAX) throw wrong("meta", `at most ${METADATA_BYTES_MAX} bytes`);
  return meta;
}

function pairFromJson(pair: unknown): readonly [string, string] {
  const [name, value, ...rest] = list(pair, "meta pair", 2);
  if (rest.length > 0) throw wrong("meta pair", "a name and a value");
  const [nameText, valueText] = [text(name, "meta name"), text(value, "meta value")];
  if (!HEADER_NAME.test(nameText)) throw wrong("meta name", "a header name");
  if (CONTROL.test(valueText) || valueText !== valueText.trim())
    throw wrong("meta value", "without control characters and space around it");
  return [nameText, valueText];
}

function members(json: unknown, allowed: readonly string[]): Members {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw wrong("exported key", "an object");
  for (const name of Object.keys(json))
    if (!allowed.includes(name))
      throw new DecodeError(`Cannot read exported key: unknown member "${name}"`);
  return json as Members; // an object, as checked
}

function list(json: unknown, name: string, countMax: number): readonly unknown[] {
  if (!Array.isArray(json) || json.length > countMax) throw wrong(name, "a list within bounds");
  return json;
}

function text(json: unknown, name: string): string {
  if (typeof json !== "string") throw wrong(name, "a string");
  return json;
}

function positiveInteger(json: unknown, name: string): number {
  if (!Number.isSafeInteger(json) || (json as number) <= 0) throw wrong(name, "a positive integer");
  return json as number; // just checked
}

function wrong(name: string, expected: string): DecodeError {
  return new DecodeError(`Cannot read exported key: "${name}" must be ${expected}`);
}
