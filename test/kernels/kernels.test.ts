import { describe, expect, test } from "bun:test";
import "../../src/bun/native-kernels.ts";
import { hex, utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { crc32Js, hashKeyJs, sipHash24Js } from "../../src/kernels/kernels-js.ts";
import { crc32Wasm, hashKeyWasm, sipHash24Wasm } from "../../src/kernels/kernels-wasm.ts";
import { crc32, hashKey, sipHash24, stateDigest } from "../../src/kernels/kernels.ts";

type HashKey = typeof hashKey;
type SipHash = typeof sipHash24;

/** Hash words as one hexadecimal number, the highest word of each 64-bit half first. */
function keyHashHex(hash: HashKey, bytes: Uint8Array, start = 0, end = bytes.length): string {
  const words = new Uint32Array(4);
  hash(bytes, start, end, words);
  return [1, 0, 3, 2].map((index) => words[index]!.toString(16).padStart(8, "0")).join("");
}

/** The MAC in the byte order of the published vectors. */
function sipHex(sip: SipHash, key: Uint8Array, bytes: Uint8Array, start = 0): string {
  const words = new Uint32Array(2);
  sip(key, bytes, start, bytes.length, words);
  return hex(new Uint8Array(words.buffer));
}

/** Lengths around every boundary of the kernels, and beyond the 64 KiB that WASM takes at once. */
const LENGTHS = [...Array(70).keys(), 255, 256, 1023, 4096, 65_535, 65_536, 65_537, 200_001];

describe("hashKey()", () => {
  const golden: readonly (readonly [string, string])[] = [
    ["", "00000000000000000000000000000000"],
    ["hello", "cbd8a7b341bd9b025b1e906a48ae1d19"],
    ["hello, world", "342fac623a5ebc8e4cdcbc079642414d"],
    ["19 Jan 2038 at 3:14:07 AM", "b89e5988b737affc664fc2950231b2cb"],
    ["The quick brown fox jumps over the lazy dog.", "cd99481f9ee902c9695da1a38987b6e7"],
    ["The quick brown fox jumps over the lazy dog", "e34bbc7bbc071b6c7a433ca9c49a9347"],
  ];

  test("gives the published murmur3 x64 128 values", () => {
    for (const [text, expected] of golden)
      for (const hash of [hashKey, hashKeyJs, hashKeyWasm])
        expect(keyHashHex(hash, utf8(text))).toBe(expected);
  });

  test("is the same in WASM and TypeScript for every length, at any offset", () => {
    const prng = new Prng("hashKey");
    for (const length of LENGTHS) {
      const start = prng.below(9);
      const bytes = prng.bytes(start + length + 5);
      const expected = keyHashHex(hashKeyJs, bytes, start, start + length);
      expect(keyHashHex(hashKeyWasm, bytes, start, start + length)).toBe(expected);
      expect(keyHashHex(hashKeyJs, bytes.slice(start, start + length))).toBe(expected);
    }
  });

  test("is the same in WASM and TypeScript for 3,000 random keys", () => {
    const prng = new Prng("hashKey keys");
    for (let round = 0; round < 3000; round++) {
      const key = prng.bytes(prng.below(300));
      expect(keyHashHex(hashKeyWasm, key)).toBe(keyHashHex(hashKeyJs, key));
    }
  });
});

describe("sipHash24()", () => {
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  const golden = [
    ...["310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785"],
    ...["b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab"],
    ...["6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4"],
    ...["fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1"],
  ];

  test("gives the published vectors for the messages 00, 00 01, ...", () => {
    golden.forEach((expected, length) => {
      const message = Uint8Array.from({ length }, (_, index) => index);
      for (const sip of [sipHash24, sipHash24Js, sipHash24Wasm])
        expect(sipHex(sip, key, message)).toBe(expected);
    });
  });

  test("is the same in WASM and TypeScript for every length and random keys", () => {
    const prng = new Prng("sipHash24");
    for (const length of LENGTHS) {
      const start = prng.below(9);
      const secret = prng.bytes(16);
      const bytes = prng.bytes(start + length);
      const expected = sipHex(sipHash24Js, secret, bytes, start);
      expect(sipHex(sipHash24Wasm, secret, bytes, start)).toBe(expected);
    }
  });
});

describe("crc32()", () => {
  test("gives the check value cbf43926 in all three implementations", () => {
    for (const crc of [crc32, crc32Js, crc32Wasm, (bytes: Uint8Array) => Bun.hash.crc32(bytes)])
      expect(crc(utf8("123456789"))).toBe(0xcbf43926);
  });

  test("is the same natively, in WASM and in TypeScript for every length", () => {
    const prng = new Prng("crc32");
    for (const length of LENGTHS) {
      const bytes = prng.bytes(length + 3).subarray(3);
      const expected = crc32Js(bytes);
      expect(crc32(bytes)).toBe(expected);
      expect(crc32Wasm(bytes)).toBe(expected);
      expect(Bun.hash.crc32(bytes)).toBe(expected);
    }
  });
});

describe("stateDigest()", () => {
  test("gives the published XXH3 128 values", () => {
    expect(hex(stateDigest(utf8("")))).toBe("99aa06d3014798d86001c324468d497f");
    expect(hex(stateDigest(utf8("a")))).toBe("a96faf705af16834e6c632b61e964e1f");
    expect(hex(stateDigest(utf8("abc")))).toBe("06b05ab6733a618578af5f94892f3950");
  });

  test("returns a new array each time", () => {
    const first = stateDigest(utf8("first"));
    const before = hex(first);
    stateDigest(utf8("second"));
    expect(hex(first)).toBe(before);
  });
});
