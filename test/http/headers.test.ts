/** The hand-written parser of headers and the schema of the same headers say the same. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HutchError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { Audit } from "../../src/http/audit.ts";
import { BodyReader } from "../../src/http/body-reader.ts";
import { Exchange, type HttpServices, RequestIds } from "../../src/http/exchange.ts";
import { EXCLUSIVE_HEADERS, READ_HEADERS, WRITE_HEADERS } from "../../src/http/header-schema.ts";
import { conditionOf, readRequestOf, writeRequestOf } from "../../src/http/headers.ts";
import { StreamSlots } from "../../src/http/ndjson.ts";
import { HotAnswers } from "../../src/http/hot-answers.ts";
import { HotKeys } from "../../src/http/hot-keys.ts";
import { HttpCounters } from "../../src/http/http-counters.ts";
import { LiveFeed } from "../../src/http/live-feed.ts";
import { DEFAULT_HTTP_LIMITS } from "../../src/http/limits.ts";
import { SlowRequests } from "../../src/http/slow-requests.ts";
import { CountingRandom, FakeAdmin, FakeKv, ManualClock } from "../support/fake-kv.ts";

const clock = new ManualClock();
const kv = new FakeKv(clock);
kv.nodeCount = 10_000;
const counters = new HttpCounters();
const random = new CountingRandom();
const admin = new FakeAdmin();
const hotKeys = new HotKeys();
const feedParts = { nodeId: "n1", admin, counters, hotKeys, clock, logger: silentLogger };
const services: HttpServices = {
  kv,
  admin,
  random,
  clock,
  logger: silentLogger,
  limits: DEFAULT_HTTP_LIMITS,
  bodies: new BodyReader(clock, DEFAULT_HTTP_LIMITS, counters),
  counters,
  requestIds: new RequestIds(random),
  hotAnswers: new HotAnswers(),
  hotKeys,
  live: new LiveFeed(feedParts),
  streams: new StreamSlots(),
  slow: new SlowRequests({ slowRequestMs: 0, clock, logger: silentLogger, keyHash: () => "" }),
  tracer: undefined,
  access: undefined,
  audit: new Audit(silentLogger, clock),
};
// So large that no count of four digits is above it: ranges are not a matter of form.
await kv.setBucket("demo", "put", { n: 9999 });

const exchangeOf = (headers: Record<string, string>, query = ""): Exchange =>
  new Exchange(
    services,
    new Request(`http://localhost/v1/kv/demo/a${query}`, { headers }),
    undefined,
  );

function accepts(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof HutchError && error.code !== "not-implemented") return false;
    if (error instanceof HutchError) return false;
    throw error;
  }
}

/** Texts that are nearly right: drawn from the pieces of the grammar. */
const pieces = (...texts: string[]): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...texts), { maxLength: 5 }).map((parts) => parts.join(""));

const VALUES: Record<string, fc.Arbitrary<string>> = {
  "x-consistency": fc.oneof(
    pieces(
      "ONE",
      "quorum",
      "ALL",
      "r=2",
      "w=1",
      "pr=1",
      "n=9999",
      "sloppy",
      "=?0",
      ",",
      ", ",
      " ",
      "0",
      "x",
    ),
    fc.constantFrom("One", "ALL", "r=2, w=2", "sloppy=?0", "r=0", "w=10000", "r=2;q", "STRONG"),
  ),
  "x-session": fc.constantFrom("new", "s-1"),
  "x-timeout": fc.oneof(
    pieces("2", "0", "60", "s", "ms", ".", "-", "1e3"),
    fc.integer().map((n) => `${n}ms`),
  ),
  "if-match": pieces('"a"', "W/", "*", ",", " ", '"', "b"),
  "if-none-match": pieces('"a"', "W/", "*", ",", " ", '"', "b"),
  "x-causal-context": fc.constantFrom("", "AAAA", "a".repeat(8192), "a".repeat(8193)),
  "x-ttl": fc.oneof(
    pieces("keep", "1", "0", "3650", "s", "m", "h", "d", ".", "-"),
    fc.nat().map(String),
  ),
  "content-type": fc.constantFrom(
    "",
    "text/plain",
    "a".repeat(256),
    "a".repeat(257),
    "text/\u00e9",
  ),
  "content-encoding": fc.constantFrom("gzip", "a".repeat(64), "a".repeat(65)),
  "idempotency-key": fc.constantFrom("", "k", "a b", "a".repeat(200), "a".repeat(201), "\u00e9"),
};

const block = (names: readonly string[]): fc.Arbitrary<Record<string, string>> =>
  fc
    .record(Object.fromEntries(names.map((name) => [name, VALUES[name]!])), { requiredKeys: [] })
    .map(
      // What the HTTP layer does to every value.
      (headers) =>
        Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value!.trim()])),
    );

const isExclusive = (headers: Record<string, string>): boolean =>
  EXCLUSIVE_HEADERS.every(([a, b]) => headers[a] === undefined || headers[b] === undefined);

/** PUTs need all of these right; a draw of few headers is right often enough. */
const READ_NAMES = ["x-consistency", "x-session", "x-timeout", "if-match", "if-none-match"];

describe("headers", () => {
  test("a block is accepted by the parser exactly when the schema accepts it", () => {
    let accepted = 0;
    let refused = 0;
    for (const [name, values] of Object.entries(VALUES)) {
      fc.assert(
        fc.property(values, (text) => {
          const headers = { [name]: text.trim() };
          const parsed = accepts(() => writeRequestOf(exchangeOf(headers), "demo", "put"));
          const expected = WRITE_HEADERS.safeParse(headers).success;
          expect(`${name}: ${text} ${parsed}`).toBe(`${name}: ${text} ${expected}`);
          if (parsed) accepted++;
          else refused++;
        }),
      );
    }
    fc.assert(
      fc.property(block(Object.keys(VALUES)), (headers) => {
        const parsed = accepts(() => writeRequestOf(exchangeOf(headers), "demo", "put"));
        expect(parsed).toBe(WRITE_HEADERS.safeParse(headers).success && isExclusive(headers));
      }),
    );
    // The property would hold of a parser and a schema that refuse everything.
    expect(accepted).toBeGreaterThan(200);
    expect(refused).toBeGreaterThan(200);
  });

  test("the same for what a read looks at", () => {
    const parse = (exchange: Exchange): void => {
      readRequestOf(exchange, "demo");
      conditionOf(exchange);
    };
    fc.assert(
      fc.property(block(READ_NAMES), (headers) => {
        const parsed = accepts(() => parse(exchangeOf(headers)));
        expect(parsed).toBe(READ_HEADERS.safeParse(headers).success && isExclusive(headers));
      }),
    );
  });

  test("a header and its twin mean the same", () => {
    const twin = (name: string): string =>
      name === "x-causal-context" ? "context" : name.replace(/^x-/, "");
    fc.assert(
      fc.property(block(Object.keys(VALUES)), (headers) => {
        // A header is a byte string; the query is UTF-8 and can hold nothing else.
        fc.pre(Object.values(headers).every((value) => /^[\x00-\x7f]*$/.test(value)));
        const query = Object.entries(headers).map(
          ([name, value]) => `${twin(name)}=${encodeURIComponent(value)}`,
        );
        const read = (exchange: Exchange): unknown => {
          try {
            return writeRequestOf(exchange, "demo", "put");
          } catch (error) {
            return (error as HutchError).code;
          }
        };
        const byQuery = read(exchangeOf({}, query.length === 0 ? "" : `?${query.join("&")}`));
        expect(byQuery).toEqual(read(exchangeOf(headers)));
      }),
    );
  });

  test("Last-Modified, X-Expires-At: an RFC 3339 instant that the schema takes is taken", () => {
    const instant = fc.date({
      min: new Date("2026-11-22T00:00:00Z"),
      max: new Date("2036-11-01T00:00:00Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instant, (date) => {
        const headers = { "x-expires-at": date.toISOString() };
        expect(WRITE_HEADERS.safeParse(headers).success).toBe(true);
        const { expiry } = writeRequestOf(exchangeOf(headers), "demo", "put");
        expect(expiry).toEqual({ kind: "at", wallMs: date.getTime() });
      }),
    );
  });
});
