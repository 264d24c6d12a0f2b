import { expect, test } from "bun:test";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { hlcOfWallMs } from "../../src/causality/hlc.ts";
import { NO_METADATA, type Payload, tombstone } from "../../src/causality/payload.ts";
import { type Record, encodeRecord } from "../../src/causality/record.ts";
import { deathOf, mayCollect, retainEntries } from "../../src/causality/retention.ts";

const ME = joinActor("0102030405060708", 3);
const NOW = 1_770_000_000_000;
const HOUR = 3_600_000;
const KEY = concatBytes(new Uint8Array([1, 2]), utf8("demo\0key"));

function live(expiresAtMs: number): Payload {
  return {
    isTombstone: false,
    hlc: hlcOfWallMs(NOW - 2 * HOUR),
    expiresAtMs,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: utf8("v"),
  };
}

function recordOf(payloads: readonly Payload[]): Uint8Array {
  const record: Record = [
    {
      actor: ME,
      counterMax: 9,
      values: payloads.map((payload, i) => ({ counter: i + 1, payload })),
    },
  ];
  const writer = new ByteWriter();
  encodeRecord(writer, record);
  return writer.finish();
}

function keeps(
  key: Uint8Array,
  value: Uint8Array,
  parameters: { [name: string]: number },
): boolean {
  const retain = retainEntries(parameters);
  const padded = concatBytes(utf8("xx"), key, utf8("yy"), value);
  const valueStart = 2 + key.length + 2;
  return retain(padded, 2, 2 + key.length, padded, valueStart, padded.length);
}

test("R39: a tombstone may be collected only when it is older than the instant given", () => {
  const deleted = recordOf([tombstone(hlcOfWallMs(NOW - 2 * HOUR))]);
  expect(mayCollect(deleted, NOW - HOUR)).toBe(true);
  expect(mayCollect(deleted, NOW - 3 * HOUR)).toBe(false);
  expect(mayCollect(deleted, 0)).toBe(false);
  expect(deathOf(deleted)).toBe(NOW - 2 * HOUR);
});

test("R23: an expired value dies like a tombstone, a live one never, and one live sibling keeps the record", () => {
  expect(deathOf(recordOf([live(NOW - 90 * 60_000)]))).toBe(NOW - 90 * 60_000);
  expect(deathOf(recordOf([live(NOW - 9 * HOUR)]))).toBe(NOW - 2 * HOUR);
  expect(deathOf(recordOf([live(0)]))).toBe(Infinity);
  expect(deathOf(recordOf([tombstone(hlcOfWallMs(NOW - 9 * HOUR)), live(0)]))).toBe(Infinity);
  const both = [tombstone(hlcOfWallMs(NOW - 9 * HOUR)), live(NOW - HOUR)];
  expect(deathOf(recordOf(both))).toBe(NOW - HOUR);
});

test("R39: what superseded the last value counts as its death, although no value is left to tell", () => {
  const writer = new ByteWriter();
  encodeRecord(writer, [{ actor: ME, counterMax: hlcOfWallMs(NOW), values: [] }]);
  expect(deathOf(writer.finish())).toBe(NOW);
});

test("what cannot be read never dies", () => {
  for (const bytes of [new Uint8Array(0), utf8("not a record"), new Uint8Array([2, 1])])
    expect(deathOf(bytes)).toBe(Infinity);
});

test("R40: compaction keeps every record, dead for however long, and every system entry", () => {
  const dead = recordOf([tombstone(hlcOfWallMs(NOW - 9000 * HOUR))]);
  const systemKey = concatBytes(new Uint8Array([0, 0, 1]), utf8("hlc"));
  for (const key of [KEY, systemKey]) expect(keeps(key, dead, { nowMs: NOW })).toBe(true);
  expect(keeps(KEY, utf8("not a record"), { nowMs: NOW })).toBe(true);
});

test("an idempotency entry goes when its window is over, damage never", () => {
  const entry = (expiresAtMs: number): Uint8Array => {
    const writer = new ByteWriter();
    writer.u8(1);
    writer.u64(expiresAtMs);
    return writer.finish();
  };
  const retryKey = concatBytes(new Uint8Array([1, 2, 2]), new Uint8Array(16));
  expect(keeps(retryKey, entry(NOW - 1), { nowMs: NOW })).toBe(false);
  expect(keeps(retryKey, entry(NOW + 1), { nowMs: NOW })).toBe(true);
  expect(keeps(retryKey, entry(NOW - 1), {})).toBe(true);
  expect(keeps(retryKey, utf8("short"), { nowMs: NOW })).toBe(true);
});

test("R24: a hint stays, also one whose bytes read as a record that is long dead", () => {
  const dead = recordOf([tombstone(hlcOfWallMs(NOW - 9 * HOUR))]);
  const hintKey = concatBytes(new Uint8Array([0, 0, 3]), new Uint8Array(8), KEY);
  expect(keeps(hintKey, dead, { nowMs: NOW })).toBe(true);
});
