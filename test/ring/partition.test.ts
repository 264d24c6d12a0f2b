import { expect, test } from "bun:test";
import fc from "fast-check";
import { hex, utf8 } from "../../src/base/bytes.ts";
import {
  addressOf,
  bucketPrefix,
  internalKeyOf,
  internalPrefixBytes,
  partitionBitsOf,
} from "../../src/ring/partition.ts";

const DEMO = bucketPrefix("demo");

test("D12: an internal key is partition, bucket, 0x00, key", () => {
  const address = addressOf(DEMO, utf8("hello"), 8);
  const { partition, internalKey } = address;
  expect(hex(internalKey)).toBe(partition.toString(16).padStart(4, "0") + hex(utf8("demo\0hello")));
  expect(internalKeyOf(partition, DEMO, utf8("hello"))).toEqual(internalKey);
  expect(internalPrefixBytes(DEMO)).toBe(7);
});

test("the partition of a key never changes: golden values", () => {
  const partitions = ["hello", "a", "", "\u00e9", "cart:7"].map(
    (key) => addressOf(DEMO, utf8(key), 8).partition,
  );
  expect(partitions).toEqual(GOLDEN);
});
const GOLDEN = [254, 219, 18, 164, 6];

test("with twice the partitions a key moves into one of the two halves of its own", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 4, max: 15 }), (key, bits) => {
      const coarse = addressOf(DEMO, key, bits).partition;
      expect(coarse).toBeLessThan(2 ** bits);
      expect(addressOf(DEMO, key, bits + 1).partition >> 1).toBe(coarse);
    }),
  );
});

test("keys spread evenly over 256 partitions", () => {
  const counts = new Array<number>(256).fill(0);
  for (let i = 0; i < 25_600; i++) counts[addressOf(DEMO, utf8(`user:${i}`), 8).partition]!++;
  // Poisson with mean 100: six standard deviations.
  expect(Math.min(...counts)).toBeGreaterThan(40);
  expect(Math.max(...counts)).toBeLessThan(160);
});

test("Q is a power of two in 16..65536", () => {
  expect(partitionBitsOf(256)).toBe(8);
  expect(partitionBitsOf(65_536)).toBe(16);
  for (const q of [0, 8, 100, 131_072]) expect(() => partitionBitsOf(q)).toThrow(/power of two/);
});
