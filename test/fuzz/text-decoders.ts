/** Text that people write: headers, paths, queries, JSON, configuration, CSV. */
import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import { isTraceState, parseTraceParent } from "../../src/base/trace-context.ts";
import { HutchError } from "../../src/base/errors.ts";
import { CsvReader, formatCsvRecord } from "../../src/cli/csv.ts";
import { hasPlainValue } from "../../src/cli/import-records.ts";
import { parseDurationMs, parseSizeBytes } from "../../src/config/knob-kinds.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { preferredType } from "../../src/http/accept.ts";
import { parseRfc3339, rfc3339 } from "../../src/http/dates.ts";
import {
  checkMetadata,
  headerOfText,
  parseCondition,
  parseExpiresAt,
  parseTimeout,
  parseTtl,
  textOfHeader,
} from "../../src/http/header-values.ts";
import { parseJson } from "../../src/http/json-text.ts";
import { checkBucket } from "../../src/http/key-path.ts";
import { percentDecode, percentEncode } from "../../src/http/percent.ts";
import { Query } from "../../src/http/query.ts";
import { consistencyFor, parseConsistency } from "../../src/quorum/parse-consistency.ts";
import { DEFAULT_BUCKET_PROPERTIES } from "../../src/quorum/operation.ts";
import { type Decoder, decoder, REFUSED } from "./decoder.ts";

const NOW_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;

/** A header has one character for each byte. */
const latin1 = (input: Uint8Array): string => Buffer.from(input).toString("latin1");
/** Files and flags are UTF-8, with a mark for what is none. */
const textOf = (input: Uint8Array): string => Buffer.from(input).toString("utf8");
const oneOf = (...texts: string[]): fc.Arbitrary<Uint8Array> => fc.constantFrom(...texts).map(utf8);

const headers: readonly Decoder[] = [
  decoder({
    name: "traceparent",
    covers: ["base/trace-context.ts parseTraceParent"],
    valid: oneOf(
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
      "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later",
    ),
    decode: (input) => {
      const text = latin1(input);
      const parent = parseTraceParent(text, text);
      if (parent === undefined) return REFUSED;
      const isWhole = /^[0-9a-f]{48}$/.test(parent.traceId + parent.spanId);
      if (!isWhole || !isTraceState(parent.state)) throw new Error(JSON.stringify(parent));
      return parent;
    },
    refusals: [],
  }),
  decoder({
    name: "X-Consistency",
    covers: ["quorum/parse-consistency.ts parseConsistency"],
    valid: oneOf(
      "ONE",
      "quorum",
      " ALL ",
      "r=2, w=2",
      "r=1,w=3,sloppy=?0",
      "pr=1, pw=1, dw=1",
      "sloppy",
    ),
    decode: (input) => {
      const text = latin1(input);
      const request = parseConsistency(text);
      const { n, r, w, pr, pw, dw } = consistencyFor(text, DEFAULT_BUCKET_PROPERTIES, 3);
      const isPossible = r >= 1 && r <= n && w >= 1 && w <= n && pr <= r && pw <= w && dw <= w;
      if (!isPossible) throw new Error(`r=${r} w=${w} pr=${pr} pw=${pw} dw=${dw} of ${n}`);
      return request;
    },
    refusals: ["bad-consistency", "not-implemented"],
  }),
  decoder({
    name: "X-TTL",
    covers: ["http/header-values.ts parseTtl"],
    valid: oneOf("60", "60s", "5m", "2h", "7d", "keep"),
    decode: (input) => {
      const expiry = parseTtl(latin1(input));
      if (expiry.kind === "after") withinYears(NOW_MS + expiry.ttlMs);
      return expiry;
    },
    refusals: ["bad-ttl"],
  }),
  decoder({
    name: "X-Expires-At",
    covers: ["http/header-values.ts parseExpiresAt", "http/dates.ts parseRfc3339"],
    valid: fc.integer({ min: 1, max: 3000 }).map((days) => utf8(rfc3339(NOW_MS + days * DAY_MS))),
    decode: (input) => {
      const expiry = parseExpiresAt(latin1(input), NOW_MS);
      if (expiry.kind === "at") withinYears(expiry.wallMs);
      return expiry;
    },
    refusals: ["bad-ttl"],
  }),
  decoder({
    name: "instant",
    covers: ["http/dates.ts parseRfc3339"],
    valid: fc.integer({ min: 0, max: 253_402_300_799_999 }).map((ms) => utf8(rfc3339(ms))),
    decode: (input) => {
      const ms = parseRfc3339(latin1(input));
      if (ms !== undefined && !Number.isSafeInteger(ms)) throw new Error(`${ms} is no instant`);
      return ms ?? REFUSED;
    },
    refusals: [],
  }),
  decoder({
    name: "X-Timeout",
    covers: ["http/header-values.ts parseTimeout"],
    valid: oneOf("1ms", "250ms", "2s", "60s"),
    decode: (input) => parseTimeout(latin1(input), 60_000),
    refusals: ["bad-timeout"],
  }),
  decoder({
    name: "If-Match",
    covers: ["http/header-values.ts parseCondition"],
    valid: oneOf("*", '"abc"', '"a", "b" , W/"c"', '"a,b"', '""'),
    decode: (input) => [
      parseCondition(latin1(input), undefined),
      parseCondition(undefined, latin1(input)),
    ],
    refusals: ["bad-request"],
  }),
  decoder({
    name: "Accept",
    covers: ["http/accept.ts preferredType"],
    valid: oneOf("*/*", "text/html, application/json;q=0.9, */*;q=0.1", "multipart/mixed"),
    decode: (input) => preferredType(latin1(input), ["application/json", "multipart/mixed"]),
    refusals: [],
  }),
  decoder({
    name: "X-Meta",
    covers: ["http/header-values.ts textOfHeader"],
    valid: fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => utf8(text)),
    decode: (input) => {
      const text = textOfHeader(latin1(input));
      if (text === undefined) return REFUSED;
      const [[, value] = ["", ""]] = checkMetadata(
        [["name", text.replace(/[\x00-\x1f\x7f]/g, "").trim()]],
        4096,
      );
      if (textOfHeader(headerOfText(value)) !== value) throw new Error("it comes back as another");
      return text;
    },
    refusals: ["metadata-too-large"],
  }),
];

/** What is accepted can be written down as an instant with a year of four digits. */
function withinYears(wallMs: number): void {
  if (parseRfc3339(rfc3339(wallMs)) !== wallMs) throw new Error(`${wallMs} cannot be written down`);
}

const paths: readonly Decoder[] = [
  decoder({
    name: "path of a key",
    covers: ["http/percent.ts percentDecode"],
    valid: fc.uint8Array({ maxLength: 20 }).map((key) => utf8(percentEncode(key))),
    decode: (input) => percentDecode(latin1(input)) ?? REFUSED,
    encode: (key: Uint8Array) => utf8(percentEncode(key)),
    refusals: [],
  }),
  decoder({
    name: "bucket name",
    covers: ["http/key-path.ts checkBucket"],
    valid: oneOf("demo", "a", "0.b_c-d", "x".repeat(63)),
    decode: (input) => checkBucket(latin1(input)),
    encode: utf8,
    refusals: ["bad-bucket"],
  }),
  decoder({
    name: "query",
    covers: ["http/query.ts parse", "http/percent.ts percentDecode"],
    valid: oneOf("", "a=1", "prefix=a%2Fb&limit=10", "x=%C3%A9+y&&z", "reverse=1&values=true"),
    decode: (input) => {
      const query = Query.parse(latin1(input), 16);
      return new Set(query.names()).size === query.names().length
        ? query.names().map((name) => [name, query.bytes(name)])
        : REFUSED;
    },
    refusals: ["bad-request"],
  }),
];

const json = fc
  .json({ maxDepth: 4 })
  .filter((text) => !/__proto__|constructor|prototype/.test(text));

const files: readonly Decoder[] = [
  decoder({
    name: "JSON",
    covers: ["http/json-text.ts parseJson", "http/json-text.ts parseJsonText"],
    valid: json.map(utf8),
    decode: (input) => {
      const value = parseJson(input);
      // Not the value itself: a number above 10^308 is infinite, which JSON cannot say.
      const text = JSON.stringify(value);
      if (JSON.stringify(parseJson(utf8(text))) !== text)
        throw new Error("it comes back as another");
      return value;
    },
    refusals: ["bad-json"],
  }),
  decoder({
    name: "configuration",
    covers: ["config/load-config.ts loadConfig", "config/knob-kinds.ts parseDurationMs"],
    valid: oneOf(
      "",
      'listen = "127.0.0.1:7001"\nn = 3\n',
      'preset = "wan"\nmemtable-bytes = "64MiB"\nfsync = "always"\n',
      'seeds = ["127.0.0.1:7101", "[::1]:7102"]\ninsecure-bind-public = false\n',
      'gc-delay = "24h"\nrequest-timeout = "2s"\nweight = 7\n',
    ),
    decode: (input) => {
      const content = tomlOf(textOf(input));
      if (content === undefined) return REFUSED;
      return loadConfig({
        flags: {},
        environment: {},
        file: { path: "hutch.toml", content, isReadableByOthers: false },
      }).config;
    },
    refusals: ["bad-config"],
  }),
  decoder({
    name: "flag",
    covers: ["config/knob-kinds.ts parseDurationMs", "config/knob-kinds.ts parseSizeBytes"],
    valid: oneOf(
      "500ms",
      "10s",
      "3h",
      "0",
      "4KiB",
      "1.5GiB",
      "512",
      "127.0.0.1:7001",
      "[::1]:1",
      "true",
      "map",
    ),
    decode: (input) => {
      const text = textOf(input);
      for (const value of [parseDurationMs(text), parseSizeBytes(text)])
        if (value !== undefined && !(value >= 0)) throw new Error(`${value} is no quantity`);
      const flags = {
        requestTimeoutMs: text,
        listen: text,
        seeds: text,
        readMode: text,
        weight: text,
      };
      return Object.entries(flags).filter(([name, flag]) => isConfig({ [name]: flag })).length;
    },
    refusals: [],
  }),
  decoder({
    name: "CSV",
    covers: ["cli/csv.ts CsvReader"],
    valid: fc
      .array(fc.array(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 3 }), {
        maxLength: 4,
      })
      .map((records) => utf8(records.map(formatCsvRecord).join(""))),
    decode: (input) => {
      const text = textOf(input);
      const whole = recordsIn([text]);
      const step = 1 + (text.length % 5);
      const pieces = Array.from({ length: Math.ceil(text.length / step) }, (_, i) =>
        text.slice(i * step, (i + 1) * step),
      );
      if (!Bun.deepEquals(recordsIn(pieces), whole)) throw new Error("in pieces it is another");
      return whole;
    },
    encode: (records: string[][]) => utf8(records.map(formatCsvRecord).join("")),
    refusals: ["bad-config"],
  }),
  decoder({
    name: "line of an import",
    covers: ["cli/import-records.ts hasPlainValue"],
    valid: oneOf('{"key":"a","value":"b"}', '{"key":"a","record":{"v":1}}'),
    decode: (input) => hasPlainValue(textOf(input)),
    refusals: [],
  }),
];

function recordsIn(pieces: readonly string[]): string[][] {
  const reader = new CsvReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.finish()];
}

/** As the command line does it. */
function tomlOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return Bun.TOML.parse(text) as Record<string, unknown>; // a TOML document is a table
  } catch {
    return undefined;
  }
}

function isConfig(flags: Readonly<Record<string, string>>): boolean {
  try {
    loadConfig({ flags, environment: {} });
    return true;
  } catch (thrown) {
    if (thrown instanceof HutchError && thrown.code === "bad-config") return false;
    throw thrown;
  }
}

export const TEXT_DECODERS: readonly Decoder[] = [...headers, ...paths, ...files];
