import { describe, expect, test } from "bun:test";
import { concatBytes, equalBytes } from "../../../src/base/bytes.ts";
import { Prng } from "../../../src/base/prng.ts";
import { zstdCompression } from "../../../src/bun/compression.ts";
import {
  BLOCK_BYTES_MAX,
  compressContent,
  decompressContent,
} from "../../../src/storage/table/compression.ts";

describe("block compression", () => {
  test("decompress gives back what compress took, at every size class of the frame header", () => {
    for (const length of [1, 200, 255, 256, 257, 4096, 65_791, 65_792, 1 << 20]) {
      const bytes = new Uint8Array(length).map((_, i) => i % 7);
      const frame = zstdCompression.compress(bytes);
      expect(equalBytes(zstdCompression.decompress(frame, length), bytes)).toBe(true);
    }
  });

  test("what does not save an eighth stays as it is", () => {
    const prng = new Prng("noise");
    expect(compressContent(zstdCompression, prng.bytes(4096))).toBeUndefined();
    expect(compressContent(zstdCompression, new Uint8Array(4096))!.length).toBeLessThan(100);
  });

  test("a frame that announces another size than expected is refused before it is unpacked", () => {
    const bomb = zstdCompression.compress(new Uint8Array(16 << 20));
    expect(() => zstdCompression.decompress(bomb, 4096)).toThrow(RangeError);
    const packed = compressContent(zstdCompression, new Uint8Array(4096))!;
    new DataView(packed.buffer).setUint32(0, BLOCK_BYTES_MAX + 1, true);
    expect(() => decompressContent(zstdCompression, packed)).toThrow(RangeError);
    expect(() => decompressContent(zstdCompression, packed.subarray(0, 3))).toThrow(RangeError);
  });

  test("a frame behind the expected one is refused before it is unpacked", () => {
    const expected = zstdCompression.compress(new Uint8Array(4096));
    const bomb = zstdCompression.compress(new Uint8Array(1 << 20));
    const both = concatBytes(expected, bomb);
    expect(() => zstdCompression.decompress(both, 4096)).toThrow(`it has ${expected.length} bytes`);
    const prng = new Prng("frames");
    for (const length of [0, 1, 4096, 200_000, 1 << 20]) {
      const frame = zstdCompression.compress(prng.bytes(length));
      expect(zstdCompression.decompress(frame, length).length).toBe(length);
      expect(() => zstdCompression.decompress(concatBytes(frame, expected), length)).toThrow();
    }
  });

  test("every prefix of a frame, and noise, throws", () => {
    const frame = zstdCompression.compress(new Uint8Array(1000).map((_, i) => i % 97));
    for (let length = 0; length < frame.length; length++)
      expect(() => zstdCompression.decompress(frame.subarray(0, length), 1000)).toThrow();
    expect(() => zstdCompression.decompress(new Prng(1).bytes(100), 1000)).toThrow();
  });
});
