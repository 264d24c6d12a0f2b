import { expect, test } from "bun:test";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { hlcOfWallMs } from "../../src/causality/hlc.ts";
import { NO_METADATA, type Payload, tombstone } from "../../src/causality/payload.ts";
import { type Record, encodeRecord } from "../../src/causality/record.ts";
import { retainEntries } from "../../src/causality/retention.ts";

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

function isKept(payloads: readonly Payload[], collectBeforeMs: number, key = KEY): boolean {
  const record: Record = [
    {
      actor: ME,
      counterMax: 9,
      values: payloads.map((payload, i) => ({ counter: i + 1, payload })),
    },
  ];
  const writer = new ByteWriter();
  encodeRecord(writer, record);
  return keeps(key, writer.finish(), { nowMs: NOW, collectBeforeMs });
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

test("R39: a tombstone goes only when it is older than the instant given", () => {
  const deleted = tombstone(hlcOfWallMs(NOW - 2 * HOUR));
  expect(isKept([deleted], NOW - HOUR)).toBe(false);
  expect(isKept([deleted], NOW - 3 * HOUR)).toBe(true);
  expect(isKept([deleted], 0)).toBe(true);
});

test("R23: an expired value goes like a tombstone, a live one stays, and one live sibling keeps the record", () => {
  expect(isKept([live(NOW - 90 * 60_000)], NOW - HOUR)).toBe(false);
  expect(isKept([live(NOW - 30 * 60_000)], NOW - HOUR)).toBe(true);
  expect(isKept([live(0)], NOW)).toBe(true);
  expect(isKept([tombstone(hlcOfWallMs(NOW - 9 * HOUR)), live(0)], NOW)).toBe(true);
});

test("an idempotency entry goes when its window is over, a system entry never, damage never", () => {
  const entry = (expiresAtMs: number): Uint8Array => {
    const writer = new ByteWriter();
    writer.u8(1);
    writer.u64(expiresAtMs);
    return writer.finish();
  };
  const retryKey = concatBytes(new Uint8Array([1, 2, 2]), new Uint8Array(16));
  const parameters = { nowMs: NOW, collectBeforeMs: NOW };
  expect(keeps(retryKey, entry(NOW - 1), parameters)).toBe(false);
  expect(keeps(retryKey, entry(NOW + 1), parameters)).toBe(true);
  expect(keeps(retryKey, utf8("short"), parameters)).toBe(true);
  expect(isKept([tombstone(1)], NOW, concatBytes(new Uint8Array([0, 0, 1]), utf8("hlc")))).toBe(
    true,
  );
  expect(keeps(KEY, utf8("not a record"), parameters)).toBe(true);
  expect(keeps(KEY, utf8("not a record"), {})).toBe(true);
});

test("R24: a hint stays, also one whose bytes read as a record that is long dead", () => {
  const dead = [tombstone(hlcOfWallMs(NOW - 9 * HOUR))];
  const hintKey = concatBytes(new Uint8Array([0, 0, 3]), new Uint8Array(8), KEY);
  expect(isKept(dead, NOW, KEY)).toBe(false);
  expect(isKept(dead, NOW, hintKey)).toBe(true);
});
