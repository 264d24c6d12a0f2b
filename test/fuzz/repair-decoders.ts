/** What nodes say to each other to find and mend differences, to forget deletions, and about suspects. */
import fc from "fast-check";
import { concatBytes } from "../../src/base/bytes.ts";
import * as collect from "../../src/cluster/collect-messages.ts";
import * as exchange from "../../src/cluster/exchange-codec.ts";
import * as held from "../../src/cluster/held-messages.ts";
import { arbitraryActor } from "../support/arbitrary-record.ts";
import * as some from "./arbitrary-cluster.ts";
import { type Decoder, decoder } from "./decoder.ts";

const { bytes, u32, whole } = some;
const flag = fc.boolean();

const PARTITION = 0x0102;
const HASHES_EACH = 4;
const copies = fc.integer({ min: 1, max: 15 });
const tree = fc.record({ partition: fc.nat(0xffff), n: copies });
const words = (count: number): fc.Arbitrary<Uint32Array> =>
  fc.array(u32, { minLength: count, maxLength: count }).map((list) => new Uint32Array(list));
const gaps = (below: number): fc.Arbitrary<number[]> =>
  fc
    .uniqueArray(fc.nat(below - 1), { maxLength: Math.min(below, 6) })
    .map((list) => list.sort((a, b) => a - b));
const scanned = fc
  .uniqueArray(fc.uint8Array({ maxLength: 8 }), { selector: (key) => key.toHex(), maxLength: 4 })
  .map((tails) =>
    tails
      .sort((a, b) => Buffer.compare(a, b))
      .map((tail) => ({
        key: concatBytes(new Uint8Array([PARTITION >>> 8, PARTITION & 0xff]), tail),
        record: tail,
      })),
  );
const asked = {
  partition: PARTITION,
  n: 3 as const,
  wantsRecords: true,
  leaves: undefined,
  lower: new Uint8Array([1, 2]),
  upper: new Uint8Array(0),
  hashes: new Uint32Array(16),
};
const compared = fc.integer({ min: 0, max: 6 }).chain((count) =>
  fc.record({
    partition: fc.nat(0xffff),
    n: copies,
    wantsRecords: flag,
    leaves: fc.option(gaps(4096), { nil: undefined }),
    lower: bytes,
    upper: bytes,
    hashes: words(2 * count),
  }),
);
const verdict = fc.record({
  reply: fc.constantFrom(
    "equal" as const,
    "differs" as const,
    "unknown" as const,
    "not-held" as const,
  ),
  gcFloor: whole,
});
const item = fc.record({
  internalKey: fc.uint8Array({ minLength: 1, maxLength: 24 }),
  newest: whole,
  digest: fc.uint8Array({ minLength: 16, maxLength: 16 }),
});
const askedEntry = fc.record({
  actor: arbitraryActor,
  counters: fc.array(whole, { maxLength: 3 }),
});

export const REPAIR_DECODERS: readonly Decoder[] = [
  decoder({
    name: "roots",
    covers: ["cluster/exchange-codec.ts decodeRoots"],
    valid: fc
      .array(fc.tuple(tree, fc.option(words(2), { nil: undefined }), whole), { maxLength: 4 })
      .map((entries) =>
        exchange.encodeRoots(entries.map(([its, root, gcFloor]) => ({ ...its, root, gcFloor }))),
      ),
    decode: exchange.decodeRoots,
    encode: exchange.encodeRoots,
    refusals: ["decode"],
  }),
  decoder({
    name: "verdicts on roots",
    covers: ["cluster/exchange-codec.ts decodeRootVerdicts"],
    valid: fc.array(verdict, { minLength: 2, maxLength: 2 }).map(exchange.encodeRootVerdicts),
    decode: (input) => exchange.decodeRootVerdicts(input, 2),
    encode: exchange.encodeRootVerdicts,
    refusals: ["decode"],
  }),
  decoder({
    name: "question for hashes",
    covers: ["cluster/exchange-codec.ts decodeHashesMessage"],
    valid: fc
      .tuple(tree, gaps(64))
      .map(([its, branches]) => exchange.encodeHashesMessage({ ...its, branches })),
    decode: exchange.decodeHashesMessage,
    encode: exchange.encodeHashesMessage,
    refusals: ["decode"],
  }),
  decoder({
    name: "hashes",
    covers: ["cluster/exchange-codec.ts decodeHashes"],
    valid: fc
      .array(words(2 * HASHES_EACH), { minLength: 3, maxLength: 3 })
      .map(exchange.encodeHashes),
    decode: (input) => exchange.decodeHashes(input, 3, HASHES_EACH),
    encode: exchange.encodeHashes,
    refusals: ["decode"],
  }),
  decoder({
    name: "compare",
    covers: ["cluster/exchange-codec.ts decodeCompare"],
    valid: compared.map(exchange.encodeCompare),
    decode: exchange.decodeCompare,
    encode: exchange.encodeCompare,
    refusals: ["decode"],
  }),
  decoder({
    name: "answer to a compare",
    covers: ["cluster/exchange-codec.ts decodeCompareReply"],
    valid: fc
      .record({
        isIncomplete: flag,
        reached: fc.constantFrom(new Uint8Array(0), new Uint8Array([1, 2, 9])),
        ownedSince: whole,
        lacking: gaps(8),
        records: scanned,
      })
      .map(exchange.encodeCompareReply),
    decode: (input) => exchange.decodeCompareReply(input, asked),
    encode: exchange.encodeCompareReply,
    refusals: ["decode"],
  }),
  decoder({
    name: "store",
    covers: ["cluster/exchange-codec.ts decodeStore"],
    valid: fc
      .tuple(whole, scanned)
      .map(([ownedSince, records]) =>
        exchange.encodeStore({ partition: PARTITION, ownedSince, records }),
      ),
    decode: exchange.decodeStore,
    encode: exchange.encodeStore,
    refusals: ["decode"],
  }),
  decoder({
    name: "answer to a store",
    covers: ["cluster/exchange-codec.ts decodeStoreReply"],
    valid: fc.record({ unsettled: gaps(8), suspects: gaps(8) }).map(exchange.encodeStoreReply),
    decode: (input) => exchange.decodeStoreReply(input, 8),
    encode: exchange.encodeStoreReply,
    refusals: ["decode"],
  }),
  decoder({
    name: "collect",
    covers: ["cluster/collect-messages.ts decodeCollectRequest"],
    valid: fc
      .record({
        step: fc.constantFrom("compare" as const, "drop" as const),
        layoutVersion: whole,
        partition: whole,
        items: fc.array(item, { maxLength: 3 }),
      })
      .map(collect.encodeCollectRequest),
    decode: collect.decodeCollectRequest,
    encode: collect.encodeCollectRequest,
    refusals: ["decode"],
  }),
  decoder({
    name: "answer to a collect",
    covers: ["cluster/collect-messages.ts decodeCollectReply"],
    valid: fc
      .array(
        fc.constantFrom("equal" as const, "gone" as const, "other" as const, "later" as const),
        { minLength: 3, maxLength: 3 },
      )
      .map(collect.encodeCollectReply),
    decode: (input) => collect.decodeCollectReply(input, 3),
    encode: collect.encodeCollectReply,
    refusals: ["decode"],
  }),
  decoder({
    name: "held",
    covers: ["cluster/held-messages.ts decodeHeldRequest"],
    valid: fc
      .oneof(
        fc.record({
          kind: fc.constant("ask" as const),
          internalKey: bytes,
          entries: fc.array(askedEntry, { maxLength: 3 }),
        }),
        fc.record({ kind: fc.constant("accept" as const), internalKey: bytes, record: bytes }),
      )
      .filter(
        (request) =>
          request.kind === "accept" || request.entries.every(({ counters }) => counters.length > 0),
      )
      .map(held.encodeHeldRequest),
    decode: held.decodeHeldRequest,
    encode: held.encodeHeldRequest,
    refusals: ["decode"],
  }),
  decoder({
    name: "answer to a held",
    covers: ["cluster/held-messages.ts decodeHeldAnswer"],
    valid: fc
      .record({
        isServing: flag,
        ownedSince: whole,
        gcFloor: whole,
        knowledge: fc.array(
          fc.constantFrom("lists" as const, "lacks" as const, "superseded" as const),
          { minLength: 2, maxLength: 2 },
        ),
      })
      .map(held.encodeHeldAnswer),
    decode: (input) => held.decodeHeldAnswer(input, 2),
    encode: held.encodeHeldAnswer,
    refusals: ["decode"],
  }),
];
