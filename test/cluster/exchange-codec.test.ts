/** The bodies of exchange messages: what is written is read, and nothing else is. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { compareBytes, utf8 } from "../../src/base/bytes.ts";
import {
  type CompareMessage,
  type CompareReply,
  HASHES_MAX,
  ROOTS_MAX,
  type RootReply,
  decodeCompare,
  decodeCompareReply,
  decodeHashes,
  decodeHashesMessage,
  decodeRootVerdicts,
  decodeRoots,
  decodeStore,
  decodeStoreReply,
  encodeCompare,
  encodeCompareReply,
  encodeHashes,
  encodeHashesMessage,
  encodeRootVerdicts,
  encodeRoots,
  encodeStore,
  encodeStoreReply,
} from "../../src/cluster/exchange-codec.ts";

const PARTITION = 0x0102;
const tree = { partition: PARTITION, n: 3 };
const hlc = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const words = (count: number): fc.Arbitrary<Uint32Array> =>
  fc
    .array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 2 * count, maxLength: 2 * count })
    .map((list) => new Uint32Array(list));
const ascending = (below: number): fc.Arbitrary<number[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: below - 1 }), { maxLength: 20 })
    .map((numbers) => numbers.sort((a, b) => a - b));
const keyOf = (name: Uint8Array): Uint8Array => new Uint8Array([1, 2, ...name]);
const records = fc
  .uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 8 }), { maxLength: 8, selector: String })
  .map((names) =>
    names
      .map(keyOf)
      .sort(compareBytes)
      .map((key) => ({ key, record: utf8(`record ${key.length}`) })),
  );

/** What it reads as itself is all that it reads. */
function expectStrict(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): void {
  for (let length = 0; length < bytes.length; length++)
    expect(() => decode(bytes.slice(0, length))).toThrow(DecodeError);
  expect(() => decode(new Uint8Array([...bytes, 0]))).toThrow(DecodeError);
}

describe("exchange codec", () => {
  test("roots and what is said of them", () => {
    const entry = fc.record({
      partition: fc.integer({ min: 0, max: 65_535 }),
      n: fc.integer({ min: 1, max: 16 }),
      root: fc.option(words(1), { nil: undefined }),
      gcFloor: hlc,
    });
    const reply = fc.constantFrom<RootReply>(
      "equal",
      "differs",
      "empty-here",
      "empty-there",
      "unknown",
      "not-held",
    );
    const verdict = fc.record({ reply, gcFloor: hlc });
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 6 }),
        fc.array(verdict, { maxLength: 6 }),
        (entries, verdicts) => {
          const asked = encodeRoots(entries);
          expect(decodeRoots(asked)).toEqual(entries);
          const answer = encodeRootVerdicts(verdicts);
          expect(decodeRootVerdicts(answer, verdicts.length)).toEqual(verdicts);
          expectStrict(asked, decodeRoots);
          expectStrict(answer, (bytes) => decodeRootVerdicts(bytes, verdicts.length));
        },
      ),
      { numRuns: 40 },
    );
    const many = Array.from({ length: ROOTS_MAX + 1 }, () => ({
      ...tree,
      root: undefined,
      gcFloor: 0,
    }));
    expect(() => decodeRoots(encodeRoots(many))).toThrow(DecodeError);
    expect(() => decodeRootVerdicts(encodeRootVerdicts([]), 1)).toThrow(DecodeError);
  });

  test("R35: the root of an equal tree costs about twenty bytes", () => {
    const root = new Uint32Array([1, 2]);
    expect(encodeRoots([{ ...tree, root, gcFloor: 2 ** 50 }]).length).toBeLessThan(24);
  });

  test("hashes", () => {
    fc.assert(
      fc.property(ascending(64), fc.array(words(4), { maxLength: 5 }), (branches, hashes) => {
        const asked = encodeHashesMessage({ ...tree, branches });
        expect(decodeHashesMessage(asked)).toEqual({ ...tree, branches });
        expectStrict(asked, decodeHashesMessage);
        const answer = encodeHashes(hashes);
        expect(decodeHashes(answer, hashes.length, 4)).toEqual(hashes);
        expectStrict(answer, (bytes) => decodeHashes(bytes, hashes.length, 4));
      }),
      { numRuns: 40 },
    );
  });

  test("comparisons", () => {
    const message = fc.record({
      wantsRecords: fc.boolean(),
      leaves: fc.option(ascending(4096), { nil: undefined }),
      lower: fc.uint8Array({ maxLength: 6 }).map(keyOf),
      upper: fc.uint8Array({ maxLength: 6 }),
      hashes: words(3),
    });
    fc.assert(
      fc.property(message, ascending(3), records, hlc, (parts, lacking, found, ownedSince) => {
        const asked: CompareMessage = { ...tree, ...parts };
        const bytes = encodeCompare(asked);
        expect(decodeCompare(bytes)).toEqual(asked);
        expectStrict(bytes, decodeCompare);
        const reached = new Uint8Array([...parts.lower, 0]);
        const reply: CompareReply = {
          isIncomplete: parts.wantsRecords,
          reached,
          ownedSince,
          lacking,
          records: found,
        };
        const answer = encodeCompareReply(reply);
        expect(decodeCompareReply(answer, asked)).toEqual(reply);
        expectStrict(answer, (cut) => decodeCompareReply(cut, asked));
        const stuck = encodeCompareReply({ ...reply, reached: parts.lower });
        expect(() => decodeCompareReply(stuck, asked)).toThrow("got nowhere");
      }),
      { numRuns: 40 },
    );
    const hashes = new Uint32Array(2 * (HASHES_MAX + 1));
    const lower = keyOf(utf8("a"));
    const large = { ...tree, wantsRecords: true, leaves: undefined, lower, upper: lower, hashes };
    expect(() => decodeCompare(encodeCompare(large))).toThrow(DecodeError);
  });

  test("records: of one partition, each key once and in order", () => {
    fc.assert(
      fc.property(records, hlc, ascending(8), (list, ownedSince, positions) => {
        const message = { partition: PARTITION, ownedSince, records: list };
        const bytes = encodeStore(message);
        expect(decodeStore(bytes)).toEqual(message);
        expectStrict(bytes, decodeStore);
        const reply = { unsettled: positions, suspects: positions.slice(1) };
        const answer = encodeStoreReply(reply);
        expect(decodeStoreReply(answer, 8)).toEqual(reply);
        expectStrict(answer, (cut) => decodeStoreReply(cut, 8));
      }),
      { numRuns: 40 },
    );
    const [a, b] = ["a", "b"].map((name) => ({ key: keyOf(utf8(name)), record: utf8("r") }));
    const stored = (partition: number, ...list: (typeof a)[]): (() => unknown) => {
      const entries = list.map((entry) => entry!);
      return () => decodeStore(encodeStore({ partition, ownedSince: 0, records: entries }));
    };
    expect(stored(PARTITION, b, a)).toThrow("not in order");
    expect(stored(PARTITION, a, a)).toThrow("not in order");
    expect(stored(PARTITION + 1, a)).toThrow("not of partition");
    expect(() => decodeStoreReply(encodeStoreReply({ unsettled: [3], suspects: [] }), 3)).toThrow(
      DecodeError,
    );
  });
});
