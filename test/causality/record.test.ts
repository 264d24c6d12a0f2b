import { expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { hex, utf8 } from "../../src/base/bytes.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { NO_METADATA, type Payload, tombstone } from "../../src/causality/payload.ts";
import {
  type Record,
  decodeRecord,
  decodeSingle,
  encodeRecord,
} from "../../src/causality/record.ts";
import { recordFromJson, recordToJson } from "../../src/causality/record-json.ts";
import { merge } from "../../src/causality/siblings.ts";
import { etagOf, etagOfSingle } from "../../src/causality/state-hash.ts";
import { arbitraryRecord } from "../support/arbitrary-record.ts";

const ME = joinActor("0102030405060708", 3);

function encode(record: Record): Uint8Array {
  const writer = new ByteWriter(16);
  encodeRecord(writer, record);
  return writer.finish();
}

function value(text: string, hlc: number): Payload {
  return {
    isTombstone: false,
    hlc,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: utf8(text),
  };
}

test("a record decodes to the state it was made of", () => {
  fc.assert(
    fc.property(arbitraryRecord, (record) =>
      expect(decodeRecord(encode(record))).toEqual([...record]),
    ),
  );
});

test("equal states have equal bytes", () => {
  fc.assert(
    fc.property(arbitraryRecord, (record) =>
      expect(hex(encode(decodeRecord(encode(record))))).toBe(hex(encode(record))),
    ),
  );
});

test("the commonest record costs 22 bytes beside its value", () => {
  const bytes = encode([
    {
      actor: ME,
      counterMax: 70_000,
      values: [{ counter: 70_000, payload: value("hello", 70_000) }],
    },
  ]);
  expect(hex(bytes)).toBe(
    "02" + "0102030405060708" + "03000000" + "7011010000000000" + "00" + hex(utf8("hello")),
  );
  expect(decodeSingle(bytes)!.actor).toBe(ME);
  expect(decodeSingle(bytes)!.payload.value).toEqual(utf8("hello"));
});

test("incarnations of one node share its id", () => {
  const entries: Record = [1, 2, 3].map((incarnation) => ({
    actor: joinActor("0102030405060708", incarnation),
    counterMax: 100 + incarnation,
    values: [],
  }));
  expect(encode(entries).length).toBe(1 + 1 + 8 + 1 + 3 * 3);
});

test("every prefix of a record is refused or is a shorter value of a sound one", () => {
  fc.assert(
    fc.property(arbitraryRecord, (record) => {
      const bytes = encode(record);
      for (let length = 0; length < bytes.length; length++) {
        const decoded = tryDecode(bytes.subarray(0, length));
        // Only the value of a one-value record has no end of its own; its length is the entry's (and checksummed there).
        if (decoded !== undefined) expect(bytes[0]).toBe(2);
      }
    }),
    { numRuns: 60 },
  );
});

test("a changed byte is refused or gives a well-formed state, never anything else", () => {
  fc.assert(
    fc.property(arbitraryRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, at, flip) => {
      const bytes = encode(record);
      bytes[at % bytes.length]! ^= flip;
      const decoded = tryDecode(bytes);
      if (decoded === undefined) return;
      expect(decodeRecord(encode(decoded))).toEqual([...decoded]);
      for (const { counterMax, values } of decoded)
        for (const { counter } of values) expect(counter).toBeLessThanOrEqual(counterMax);
    }),
    { numRuns: 2000 },
  );
});

test("random bytes are refused with DecodeError, not with anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void tryDecode(bytes)),
    { numRuns: 2000 },
  );
});

function tryDecode(bytes: Uint8Array): Record | undefined {
  try {
    return decodeRecord(bytes);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DecodeError);
    return undefined;
  }
}

test("the JSON form is exact, also through its text", () => {
  fc.assert(
    fc.property(arbitraryRecord.map(withHeaderTexts), (record) => {
      expect(recordFromJson(JSON.parse(JSON.stringify(recordToJson(record))))).toEqual([...record]);
    }),
  );
});

/** As `record`, with texts that can be headers. */
function withHeaderTexts(record: Record): Record {
  const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, "");
  return record.map((entry) => ({
    ...entry,
    values: entry.values.map(({ counter, payload }) => ({
      counter,
      payload: {
        ...payload,
        contentType: ascii(payload.contentType),
        meta: payload.meta.map(([name, value]) => [
          hex(utf8(name)) || "x",
          value.replace(/[\x00-\x1f\x7f]/g, "").trim(),
        ]),
      },
    })),
  }));
}

/** One value with these members. */
const oneValue = (members: object): object => ({
  v: 1,
  entries: [{ actor: ME, counterMax: 1, values: [{ counter: 1, value: "x", ...members }] }],
});

test.each([
  ["null", null],
  ["no entries", { v: 1, entries: [] }],
  ["another version", { v: 2, entries: [] }],
  ["an unknown member", { v: 1, entries: [], x: 1 }],
  ["an actor that is none", { v: 1, entries: [{ actor: "zz", counterMax: 1, values: [] }] }],
  [
    "a counter above counterMax",
    { v: 1, entries: [{ actor: ME, counterMax: 1, values: [{ counter: 2, value: "" }] }] },
  ],
  [
    "a value and a deletion",
    {
      v: 1,
      entries: [{ actor: ME, counterMax: 1, values: [{ counter: 1, value: "", deleted: true }] }],
    },
  ],
  ["neither", { v: 1, entries: [{ actor: ME, counterMax: 1, values: [{ counter: 1 }] }] }],
  [
    "one actor twice",
    { v: 1, entries: [1, 2].map(() => ({ actor: ME, counterMax: 1, values: [] })) },
  ],
  ["a fraction", { v: 1, entries: [{ actor: ME, counterMax: 1.5, values: [] }] }],
  ["a content type of two lines", oneValue({ contentType: "text/plain\r\nX-Evil: 1" })],
  ["a content type above Latin-1", oneValue({ contentType: "\u1234" })],
  ["a content type that fills a header block", oneValue({ contentType: "x".repeat(257) })],
  ["a content encoding that is a line end", oneValue({ contentEncoding: "\n" })],
  ["a metadata name with a space", oneValue({ meta: [["a b", "x"]] })],
  ["a metadata name that is empty", oneValue({ meta: [["", "x"]] })],
  ["metadata of two lines", oneValue({ meta: [["a", "x\ny"]] })],
  ["more metadata than a write may have", oneValue({ meta: [["a", "x".repeat(4096)]] })],
  ["an expiry after the year 9999", oneValue({ expiresAtMs: 2 ** 53 - 1 })],
])("JSON with %s is refused", (_, json) => {
  expect(() => recordFromJson(json)).toThrow(DecodeError);
});

test("R19: the ETag changes whenever the siblings change, and only then", () => {
  fc.assert(
    fc.property(arbitraryRecord, arbitraryRecord, (a, b) => {
      const joined = merge(a, b);
      const isSame = dots(joined) === dots(a);
      expect(etagOf(joined) === etagOf(a)).toBe(isSame);
    }),
  );
});

function dots(record: Record): string {
  return JSON.stringify(
    record.map(({ actor, counterMax, values }) => [
      actor,
      counterMax,
      values.map((v) => v.counter),
    ]),
  );
}

test("R19: the ETag of a one-value state is the same by both ways of making it", () => {
  const record: Record = [
    { actor: ME, counterMax: 9, values: [{ counter: 9, payload: tombstone(9) }] },
  ];
  expect(etagOfSingle(ME, 9)).toBe(etagOf(record));
  expect(etagOfSingle(ME, 9)).toMatch(/^[0-9a-f]{16}$/);
});
