/** Random requests and replies of every kind, for round trips and fuzzing. */
import fc from "fast-check";
import { PEER_CODES, PROCESS_CODES, REST_CODES } from "../../src/base/errors.ts";
import { isTraceState, type TraceContext } from "../../src/base/trace-context.ts";
import type { PeerReply, PeerRequest, SideEntry } from "../../src/cluster/peer-messages.ts";
import { isTraceable } from "../../src/cluster/peer-trace.ts";
import type { Consistency } from "../../src/quorum/consistency.ts";
import type { Condition, Expiry, WriteRequest } from "../../src/quorum/operation.ts";

const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 150 }),
);
const whole = fc.oneof(fc.nat(), fc.maxSafeNat());
const node = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((id) => id.toHex());

const side: fc.Arbitrary<SideEntry | undefined> = fc.option(
  fc.record({ key: bytes, value: bytes }),
  { nil: undefined },
);

const consistency: fc.Arbitrary<Consistency> = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.array(fc.nat(1000), { minLength: 5, maxLength: 5 }))
  .chain(([n, [r = 0, w = 0, pr = 0, pw = 0, dw = 0]]) =>
    fc.record({
      n: fc.constant(n),
      r: fc.constant(1 + (r % n)),
      w: fc.constant(1 + (w % n)),
      pr: fc.constant(pr % (2 + (r % n))),
      pw: fc.constant(pw % (2 + (w % n))),
      dw: fc.constant(dw % (2 + (w % n))),
      isSloppy: fc.boolean(),
      level: fc.constantFrom("" as const, "ONE" as const, "QUORUM" as const, "ALL" as const),
    }),
  );

const expiry: fc.Arbitrary<Expiry> = fc.oneof(
  fc.constantFrom<Expiry>({ kind: "default" }, { kind: "keep" }),
  whole.map((ttlMs): Expiry => ({ kind: "after", ttlMs })),
  whole.map((wallMs): Expiry => ({ kind: "at", wallMs })),
);

const etags = fc.oneof(fc.constant("*" as const), fc.array(text, { maxLength: 3 }));
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ kind: "none" }),
  etags.map((tags): Condition => ({ kind: "if-match", etags: tags })),
  etags.map((tags): Condition => ({ kind: "if-none-match", etags: tags })),
);

const writeRequest: fc.Arbitrary<WriteRequest> = fc.record({
  kind: fc.constantFrom("put" as const, "delete" as const),
  value: bytes,
  contentType: text,
  contentEncoding: text,
  meta: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  expiry,
  context: text,
  condition,
  idempotencyKey: text,
  consistency,
  timeoutMs: whole,
  session: text,
});

const trace: fc.Arbitrary<TraceContext> = fc.record({
  traceId: fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((id) => (id.fill(1, 0, 1), id.toHex())),
  spanId: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((id) => (id.fill(1, 0, 1), id.toHex())),
  state: fc.string({ maxLength: 60 }).filter(isTraceState),
});

export const arbitraryRequest: fc.Arbitrary<PeerRequest> = fc.oneof(
  fc.record({
    kind: fc.constant("read" as const),
    internalKey: bytes,
    knownDigest: fc.oneof(
      fc.constant(new Uint8Array(0)),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    ),
  }),
  fc.record({
    kind: fc.constant("merge" as const),
    internalKey: bytes,
    record: bytes,
    purpose: fc.constantFrom("write" as const, "repair" as const, "handoff" as const),
    isConditional: fc.boolean(),
    side,
  }),
  fc.record({
    kind: fc.constant("hint" as const),
    target: node,
    targetIncarnation: whole,
    internalKey: bytes,
    record: bytes,
    side,
  }),
  fc.record({
    kind: fc.constant("coordinate" as const),
    bucket: text,
    key: bytes,
    request: writeRequest,
  }),
  fc.record({
    kind: fc.constant("hints-held" as const),
    incarnation: whole,
    isRepaired: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("scan" as const),
    bucket: text,
    partitions: bytes,
    lower: bytes,
    upper: bytes,
    isReverse: fc.boolean(),
    keysMax: whole,
    bytesMax: whole,
  }),
  fc.record({
    kind: fc.constant("exchange" as const),
    topic: fc.constantFrom(
      "members" as const,
      "layout" as const,
      "buckets" as const,
      "propose" as const,
      "join" as const,
    ),
    body: bytes,
  }),
  fc.constant({ kind: "status" as const }),
  fc.record({ kind: fc.constant("knock" as const), body: bytes }),
  fc.record({
    kind: fc.constant("repair" as const),
    topic: fc.constantFrom(
      "roots" as const,
      "hashes" as const,
      "compare" as const,
      "store" as const,
      "collect" as const,
      "held" as const,
    ),
    body: bytes,
  }),
);

const isServing = fc.boolean();
const empty = fc.constant(new Uint8Array(0));
const data = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((name) => name !== "__proto__"),
  fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
  { maxKeys: 3, noNullPrototype: true },
);

export const arbitraryReply: fc.Arbitrary<PeerReply> = fc.oneof(
  fc.record({
    kind: fc.constant("record" as const),
    isServing,
    state: fc.constantFrom("absent" as const, "same" as const),
    record: empty,
  }),
  fc.record({
    kind: fc.constant("record" as const),
    isServing,
    state: fc.constant("present" as const),
    record: bytes,
  }),
  fc.record({ kind: fc.constant("stored" as const), isDurable: fc.boolean() }),
  fc.record({
    kind: fc.constant("coordinated" as const),
    context: text,
    record: bytes,
    nowMs: whole,
    conflictDropped: whole,
    acks: fc.record({ n: whole, ok: whole, primary: whole, hinted: whole, durable: whole }),
    session: text,
    isReplay: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("hints-held" as const),
    count: whole,
    lastGeneration: whole,
    isIncomplete: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("scan" as const),
    entries: fc.array(fc.record({ key: bytes, record: bytes }), { maxLength: 4 }),
    hasMore: fc.boolean(),
    isIncomplete: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("exchange" as const), body: bytes }),
  fc.record({
    kind: fc.constant("status" as const),
    keys: whole,
    bytes: whole,
    dataIncarnation: whole,
    hints: fc.array(fc.record({ target: node, count: whole, bytes: whole, oldestMs: whole }), {
      maxLength: 3,
    }),
  }),
  fc.record({ kind: fc.constant("knock" as const), body: bytes }),
  fc.record({ kind: fc.constant("repair" as const), body: bytes }),
  fc.record({
    kind: fc.constant("failed" as const),
    code: fc.constantFrom(...REST_CODES, ...PROCESS_CODES, ...PEER_CODES),
    message: text,
    retry: fc.constantFrom("safe" as const, "safe-with-idempotency-key" as const, "no" as const),
    data,
  }),
);

/** As they travel: some of what may be traced is. */
export const arbitraryFramedRequest: fc.Arbitrary<PeerRequest> = fc
  .tuple(arbitraryRequest, fc.option(trace, { nil: undefined }))
  .map(([request, context]) =>
    context !== undefined && isTraceable(request) ? { ...request, trace: context } : request,
  );
