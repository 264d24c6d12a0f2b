/** Answers of nodes as the programs at the other end read them: the client of applications, the load generator, `hutch top`, the dashboard. */
import fc from "fast-check";
import { base64url, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { PROCESS_CODES, REST_CODES } from "../../src/base/errors.ts";
import { HutchClient } from "../../src/client/hutch-client.ts";
import { samplesIn } from "../../src/cli/top.ts";
import { ResponseReader } from "../../src/load/response-reader.ts";
import { EventParser } from "../../src/ui/live/event-parser.ts";
import { ApiProblem, wordsOf } from "../../src/ui/api.ts";
import { type KeyReading, readKey } from "../../src/ui/keys/key-client.ts";
import { keyOfText } from "../../src/ui/keys/stored-key.ts";
import {
  formsOf,
  SHOWN_CHARACTERS_MAX,
  SHOWN_HEX_BYTES_MAX,
  shownAs,
} from "../../src/ui/keys/value-text.ts";
import { type Decoder, decoder, REFUSED, settled } from "./decoder.ts";

const latin1 = (input: Uint8Array): string => Buffer.from(input).toString("latin1");

/** As a test writes an answer down: status, headers, an empty line, the body. */
interface Written {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const NODE_HEADERS = { "X-Node": "n1", "X-Request-Id": "r-1" };

function bytesOfAnswer({ status, headers, body }: Written): Uint8Array {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`);
  return concatBytes(Buffer.from(`${status}\n${lines.join("")}\n`, "latin1"), body);
}

/** `undefined` for what no HTTP parser would let through. */
function answerIn(input: Uint8Array): Response | undefined {
  const end = Buffer.from(input).indexOf("\n\n");
  const [status = "", ...lines] = latin1(input.subarray(0, Math.max(end, 0))).split("\n");
  if (end < 0 || !/^[2-5]\d\d$/.test(status)) return undefined;
  try {
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const hasBody = !["204", "304"].includes(status);
    const body = hasBody ? new Uint8Array(input.subarray(end + 2)) : null;
    return new Response(body, { status: Number(status), headers });
  } catch {
    return undefined;
  }
}

const answer = (status: number, body: unknown, headers: Written["headers"] = {}): Uint8Array =>
  bytesOfAnswer({
    status,
    headers: { ...NODE_HEADERS, ...headers },
    body: body instanceof Uint8Array ? body : utf8(JSON.stringify(body)),
  });

const value = fc.json({ maxDepth: 2 }).map((text) => utf8(text));
const valueFields = fc.oneof(
  value.map((some) => ({ value: Buffer.from(some).toString("utf8") })),
  value.map((some) => ({ valueB64: base64url(some) })),
);
const sibling = fc.tuple(valueFields, fc.boolean()).map(([fields, isDeleted]) => ({
  dot: "000000000000000100000001.9",
  hlc: "1770000000000.1",
  ...(isDeleted ? { deleted: true } : { contentType: "application/json", meta: {}, ...fields }),
}));
const siblings = fc.array(sibling, { minLength: 2, maxLength: 3 });
const problem = fc
  .constantFrom([404, "key-not-found"] as const, [503, "unavailable"] as const)
  .map(([status, code]) =>
    answer(status, { code, status, detail: "it is so", retry: "no", requestId: "r-1" }),
  );
const VALUE_HEADERS = {
  "X-Causal-Context": "abc",
  ETag: '"e"',
  "X-Expires-At": "2030-01-01T00:00:00Z",
  "X-Meta-colour": "caf\u00c3\u00a9",
};

// The client of applications.

/** All that a client throws is a `HutchError`; whoever calls it needs to catch nothing else. */
const CLIENT_REFUSALS: readonly string[] = [...REST_CODES, ...PROCESS_CODES, "bad-value"];

/** What `ask` gets out of a client whose every request is answered with `input`. */
function asked<T>(input: Uint8Array, ask: (client: HutchClient) => Promise<T>): T | typeof REFUSED {
  if (answerIn(input) === undefined) return REFUSED;
  const client = new HutchClient({
    urls: ["http://127.0.0.1:7001"],
    retries: 0,
    timeoutMs: 0,
    platform: {
      send: () => Promise.resolve(answerIn(input)!), // it was made before
      nowMs: () => 0,
      random: () => 0.5,
      alarm: () => () => undefined,
    },
  });
  return settled(ask(client));
}

async function listed(client: HutchClient): Promise<unknown> {
  const bucket = client.bucket("demo");
  const page = await bucket.list();
  const found: unknown[] = [];
  for await (const { key, entry } of bucket.entries()) found.push([key, entry]);
  return [page, found];
}

const listing = fc
  .array(fc.tuple(fc.string({ maxLength: 6 }), fc.oneof(valueFields, siblings)), { maxLength: 3 })
  .map((rows) => ({
    keys: rows.map(([key, content]) => ({
      ...(key.length > 3 ? { keyB64: base64url(utf8(key)) } : { key }),
      etag: '"e"',
      size: 3,
      expiresAt: null,
      context: "abc",
      ...(Array.isArray(content) ? { siblings: content } : { siblings: 1, ...content }),
    })),
    prefixes: ["a/", { prefixB64: "_w" }],
    cursor: "",
    partial: false,
  }));

const batch = fc.tuple(valueFields, siblings, fc.nat(3)).map(([fields, several, kind]) => ({
  results: [
    { status: 204, context: "abc", etag: '"e"' },
    [
      { status: 200, ...fields },
      { status: 300, siblings: several },
      { status: 404, problem: { code: "key-not-found", detail: "it is not there" } },
      { status: 503, problem: { code: "unavailable", detail: "not now", retry: "safe" } },
    ][kind],
  ],
}));

const client: readonly Decoder[] = [
  decoder({
    name: "answer about a key",
    covers: [
      "client/readings.ts readRawEntry",
      "client/codecs.ts decodeJson",
      "client/wire.ts problemOf",
      "client/base64.ts fromBase64url",
    ],
    valid: fc.oneof(
      value.map((some) => answer(200, some, VALUE_HEADERS)),
      siblings.map((several) => answer(300, { siblings: several }, VALUE_HEADERS)),
      problem.filter((some) => latin1(some).startsWith("404")),
    ),
    decode: (input) => asked(input, (from) => from.bucket("demo").getEntry("k")),
    refusals: CLIENT_REFUSALS,
  }),
  decoder({
    name: "answer to a write",
    covers: ["client/readings.ts readWritten", "client/readings.ts readHead"],
    valid: fc.constantFrom(
      answer(204, new Uint8Array(0), { ...VALUE_HEADERS, "X-Acks": "2/3" }),
      answer(201, new Uint8Array(0), { ...VALUE_HEADERS, Location: "/v1/kv/demo/caf%C3%A9" }),
    ),
    decode: (input) =>
      asked(input, async (from) => {
        const bucket = from.bucket("demo");
        return [await bucket.put("k", 1), await bucket.has("k"), await bucket.add(1)];
      }),
    refusals: CLIENT_REFUSALS,
  }),
  decoder({
    name: "answer with a page of keys",
    covers: ["client/listing.ts readPage", "client/readings.ts readJson"],
    valid: listing.map((page) => answer(200, page)),
    decode: (input) => asked(input, listed),
    refusals: CLIENT_REFUSALS,
  }),
  decoder({
    name: "answer to a batch",
    covers: ["client/batch.ts batchResults", "client/readings.ts problemIn"],
    valid: batch.map((results) => answer(200, results)),
    decode: (input) =>
      asked(input, (from) =>
        from.bucket("demo").batch([
          { op: "put", key: "a", value: 1 },
          { op: "get", key: "b" },
        ]),
      ),
    refusals: CLIENT_REFUSALS,
  }),
];

// The load generator.

interface Outcome {
  readonly state: "more" | "complete" | "broken";
  readonly status: number;
  readonly body: string;
}

function outcomeOf(pieces: readonly Uint8Array[]): Outcome {
  const reader = new ResponseReader();
  let state: Outcome["state"] = "more";
  for (const piece of pieces) {
    // What comes behind a whole answer was not asked for.
    if (state === "complete") return { state: "broken", status: 0, body: "" };
    state = reader.push(Buffer.from(piece));
    if (state === "broken") break;
  }
  if (state !== "complete") return { state, status: 0, body: "" };
  return { state, status: reader.status, body: reader.body().toString("latin1") };
}

const load: readonly Decoder[] = [
  decoder({
    name: "answer under load",
    covers: ["load/response-reader.ts ResponseReader"],
    valid: fc
      .tuple(fc.constantFrom("200 OK", "404 Not Found", "300 Multiple"), value, fc.boolean())
      .map(([status, body, isSmall]) =>
        concatBytes(
          utf8(`HTTP/1.1 ${status}\r\n${isSmall ? "content-length" : "Content-Length"}: `),
          utf8(`${body.length}\r\nETag: "a"\r\n\r\n`),
          body,
        ),
      ),
    decode: (input) => {
      const whole = outcomeOf([input]);
      const step = 1 + (input.length % 7);
      const pieces = Array.from({ length: Math.ceil(input.length / step) }, (_, i) =>
        input.subarray(i * step, (i + 1) * step),
      );
      if (input.length > 0 && !Bun.deepEquals(outcomeOf(pieces), whole))
        throw new Error("in pieces it is another");
      if (whole.state !== "complete") return REFUSED;
      if (latin1(input.subarray(9, 12)) !== String(whole.status))
        throw new Error(`it has not the status ${whole.status}`);
      return whole;
    },
    refusals: [],
  }),
];

// Live events.

const events = fc
  .array(fc.tuple(fc.constantFrom("sample", "other"), fc.json({ maxDepth: 2 }), fc.boolean()), {
    maxLength: 3,
  })
  .map((all) =>
    utf8(
      all
        .map(
          ([name, data, isComment]) =>
            `${isComment ? ": hm\n" : ""}event: ${name}\ndata: ${data}\n\n`,
        )
        .join(""),
    ),
  );

function eventsIn(pieces: readonly string[]): unknown[] {
  const parser = new EventParser();
  return pieces.flatMap((piece) => [...parser.push(piece)]);
}

async function samplesOf(pieces: readonly Uint8Array[]): Promise<unknown[] | typeof REFUSED> {
  const found: unknown[] = [];
  const stream = (async function* () {
    yield* pieces;
  })();
  try {
    for await (const sample of samplesIn(stream)) found.push(sample);
  } catch (thrown) {
    // Said to whoever looks on; the stream is opened again.
    if (thrown instanceof SyntaxError) return REFUSED;
    throw thrown;
  }
  return found;
}

function piecesOf<T extends { slice(start: number, end: number): T; readonly length: number }>(
  whole: T,
): T[] {
  const step = 1 + (whole.length % 5);
  return Array.from({ length: Math.ceil(whole.length / step) }, (_, i) =>
    whole.slice(i * step, (i + 1) * step),
  );
}

const live: readonly Decoder[] = [
  decoder({
    name: "live events on the page",
    covers: ["ui/live/event-parser.ts EventParser"],
    valid: events,
    decode: (input) => {
      const text = Buffer.from(input).toString("utf8");
      const whole = eventsIn([text]);
      if (!Bun.deepEquals(eventsIn(piecesOf(text)), whole))
        throw new Error("in pieces it is another");
      return whole;
    },
    refusals: [],
  }),
  decoder({
    name: "live events in a terminal",
    covers: ["cli/top.ts samplesIn"],
    valid: events,
    decode: (input) => {
      const whole = settled(samplesOf([input]));
      if (!Bun.deepEquals(settled(samplesOf(piecesOf(input))), whole))
        throw new Error("in pieces it is another");
      return whole;
    },
    refusals: [],
  }),
];

// The dashboard.

const ENVELOPE = { context: "abc", siblings: [] };

/** What the page makes of a key that is answered with `input`; problems and broken JSON it has words for. */
function readOnPage(input: Uint8Array): KeyReading | typeof REFUSED {
  const response = answerIn(input);
  // The page would ask its person for a token.
  if (response === undefined || response.status === 401) return REFUSED;
  const original = globalThis.fetch;
  globalThis.fetch = (() => Promise.resolve(response)) as unknown as typeof fetch; // of which only calls are asked here
  try {
    const { signal } = new AbortController();
    return settled(readKey("demo", keyOfText("k"), "ONE", signal));
  } catch (thrown) {
    const isSaid = wordsOf(thrown).startsWith("Cannot read the node's answer");
    if (isSaid || thrown instanceof ApiProblem || thrown instanceof SyntaxError) return REFUSED;
    throw thrown;
  } finally {
    globalThis.fetch = original;
  }
}

const page: readonly Decoder[] = [
  decoder({
    name: "answer about a key on the page",
    covers: ["ui/keys/key-client.ts readKey", "ui/api.ts problemOf"],
    valid: fc.oneof(
      siblings.map((several) => answer(200, { ...ENVELOPE, siblings: several }, VALUE_HEADERS)),
      problem.filter((some) => latin1(some).startsWith("404")),
    ),
    decode: readOnPage,
    refusals: [],
  }),
  decoder({
    name: "value on the page",
    covers: ["ui/keys/value-text.ts jsonOf"],
    valid: fc.oneof(value, fc.uint8Array({ maxLength: 40 })),
    decode: (input) => {
      const forms = formsOf(input);
      return forms.map((form) => {
        const { text, isCut } = shownAs(input, form);
        if (text.length > Math.max(SHOWN_CHARACTERS_MAX, SHOWN_HEX_BYTES_MAX * 8))
          throw new Error(`${text.length} characters are too many for a page`);
        return [form, text, isCut];
      });
    },
    refusals: [],
  }),
];

export const ANSWER_DECODERS: readonly Decoder[] = [...client, ...load, ...live, ...page];
