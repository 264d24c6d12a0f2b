import { describe, expect, test } from "bun:test";
import { DecodeError } from "../../../src/base/byte-reader.ts";
import { compareBytes, hex } from "../../../src/base/bytes.ts";
import { Prng } from "../../../src/base/prng.ts";
import { BlockIndex, BlockIndexWriter } from "../../../src/storage/table/block-index.ts";
import { randomEntries } from "./support.ts";

function indexOf(keys: readonly Uint8Array[]): { content: Uint8Array; dataEnd: number } {
  const writer = new BlockIndexWriter();
  let previous = new Uint8Array(0);
  for (const key of keys) {
    writer.begin(key, 0, key.length, previous, previous.length);
    writer.end(10);
    previous = key.slice();
  }
  return { content: writer.content().slice(), dataEnd: keys.length * 10 };
}

describe("BlockIndex", () => {
  test("find gives the block that a dumb search gives, for present and absent keys", () => {
    for (let seed = 0; seed < 40; seed++) {
      const prng = new Prng(`index/${seed}`);
      // Each key is a block of its own, so block i holds exactly key i.
      const keys = randomEntries(prng, { count: prng.between(1, 60) }).map((entry) => entry.key);
      const { content, dataEnd } = indexOf(keys);
      const index = BlockIndex.decode(content, keys.length, dataEnd);
      for (let i = 0; i < keys.length; i++) {
        expect(index.find(keys[i]!)).toBe(i);
        expect(index.blockOffset(i)).toBe(i * 10);
        expect(index.blockEnd(i)).toBe(i * 10 + 10);
      }
      const separators = keys.map((_, i) => index.separator(i));
      for (const { key } of randomEntries(prng, { count: 60 })) {
        const dumb = separators.filter((separator) => compareBytes(separator, key) <= 0).length - 1;
        const dumbBefore =
          separators.filter((separator) => compareBytes(separator, key) < 0).length - 1;
        expect(index.find(key)).toBe(dumb);
        expect(index.findBefore(key)).toBe(dumbBefore);
      }
      for (let i = 0; i < separators.length; i++)
        expect(index.findBefore(separators[i]!)).toBe(i - 1);
    }
  });

  test("separators lie between the blocks and are as short as they can be", () => {
    const keys = randomEntries(new Prng("separators"), { count: 100 }).map((entry) => entry.key);
    const { content, dataEnd } = indexOf(keys);
    const index = BlockIndex.decode(content, keys.length, dataEnd);
    expect(hex(index.separator(0))).toBe(hex(keys[0]!));
    for (let i = 1; i < keys.length; i++) {
      const separator = index.separator(i);
      expect(compareBytes(keys[i - 1]!, separator)).toBeLessThan(0);
      expect(compareBytes(separator, keys[i]!)).toBeLessThanOrEqual(0);
      const shorter = separator.subarray(0, separator.length - 1);
      expect(compareBytes(keys[i - 1]!, shorter)).toBeGreaterThanOrEqual(0);
    }
  });

  test("every prefix of a valid index is refused, and so are wrong counts and ends", () => {
    const keys = randomEntries(new Prng("prefix"), { count: 10 }).map((entry) => entry.key);
    const { content, dataEnd } = indexOf(keys);
    for (let length = 0; length < content.length; length++)
      expect(() => BlockIndex.decode(content.subarray(0, length), keys.length, dataEnd)).toThrow(
        DecodeError,
      );
    for (const count of [0, keys.length - 1, keys.length + 1, 2 ** 32 - 1])
      expect(() => BlockIndex.decode(content, count, dataEnd)).toThrow(DecodeError);
    expect(() => BlockIndex.decode(content, keys.length, dataEnd + 1)).toThrow(DecodeError);
  });
});
