import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { bloomAddJs, bloomMayContainJs } from "../../src/kernels/bloom-filter.ts";
import { bloomAddWasm, bloomMayContainWasm } from "../../src/kernels/kernels-wasm.ts";
import { bloomAdd, bloomBytesFor, bloomMayContain, hashKey } from "../../src/kernels/kernels.ts";

const words = new Uint32Array(4);
const counterBytes = new Uint8Array(9);

/** Leaves the hash of the `index`-th key of a family of distinct keys in `words`. */
function hashNth(family: number, index: number): void {
  counterBytes[0] = family;
  for (let byte = 0; byte < 4; byte++) counterBytes[1 + byte] = index >>> (byte * 8);
  hashKey(counterBytes, 0, counterBytes.length, words);
}

type Bend = (hash: Uint32Array) => void;

/** The share of `probeCount` absent keys that a filter over `keyCount` keys lets through. */
function falsePositiveRate(
  keyCount: number,
  probeCount: number,
  family: number,
  bend: Bend,
): number {
  const filter = new Uint8Array(bloomBytesFor(keyCount));
  for (let index = 0; index < keyCount; index++) {
    hashNth(family, index);
    bend(words);
    bloomAdd(filter, words[0]!, words[1]!, words[2]!, words[3]!);
  }
  let positives = 0;
  for (let index = 0; index < probeCount; index++) {
    hashNth(family + 1, index);
    bend(words);
    if (bloomMayContain(filter, words[0]!, words[1]!, words[2]!, words[3]!)) positives++;
  }
  return positives / probeCount;
}

const asIs: Bend = () => {};

describe("bloomMayContain()", () => {
  test("is true for every key that was added", () => {
    for (const keyCount of [1, 2, 47, 48, 49, 1000, 50_000]) {
      const filter = new Uint8Array(bloomBytesFor(keyCount));
      for (const add of [true, false]) {
        for (let index = 0; index < keyCount; index++) {
          hashNth(7, index);
          if (add) bloomAdd(filter, words[0]!, words[1]!, words[2]!, words[3]!);
          else
            expect(bloomMayContain(filter, words[0]!, words[1]!, words[2]!, words[3]!)).toBe(true);
        }
      }
    }
  });

  test("is true for an empty filter and false for one without keys", () => {
    expect(bloomMayContain(new Uint8Array(0), 1, 2, 3, 4)).toBe(true);
    expect(bloomMayContain(new Uint8Array(bloomBytesFor(0)), 1, 2, 3, 4)).toBe(false);
  });

  test("lets at most 1 % of absent keys through, small filters taken together", () => {
    for (const keyCount of [10, 48, 100, 1000]) {
      let sum = 0;
      for (let round = 0; round < 40; round++)
        sum += falsePositiveRate(keyCount, 2500, round * 2, asIs);
      expect(sum / 40).toBeLessThanOrEqual(0.01);
    }
  });

  test("lets at most 1 % of absent keys through at 10^4 to 10^7 keys", () => {
    for (const keyCount of [10_000, 100_000, 1_000_000, 10_000_000])
      expect(falsePositiveRate(keyCount, 200_000, 10, asIs)).toBeLessThanOrEqual(0.01);
  });

  test("keeps the rate where all keys share the top 16 bits of a hash word (one partition)", () => {
    for (const word of [0, 1]) {
      const inOnePartition: Bend = (hash) => {
        hash[word] = (hash[word]! & 0xffff) | 0xabcd0000;
      };
      const rate = falsePositiveRate(100_000, 200_000, 20, inOnePartition);
      expect(rate).toBeLessThanOrEqual(0.01);
    }
  });
});

describe("bloomBytesFor()", () => {
  test("is a multiple of 64, at least 64, and at most 10.6 bits a key for large tables", () => {
    for (const keyCount of [0, 1, 48, 49, 1000, 123_457, 10_000_000]) {
      expect(bloomBytesFor(keyCount) % 64).toBe(0);
      expect(bloomBytesFor(keyCount)).toBeGreaterThanOrEqual(64);
    }
    expect((bloomBytesFor(10_000_000) * 8) / 10_000_000).toBeLessThan(10.6);
  });
});

describe("the bloom kernels", () => {
  test("set and find the same bits in WASM and TypeScript", () => {
    const prng = new Prng("bloom");
    for (const lines of [1, 2, 3, 100, 5000]) {
      const filterJs = new Uint8Array(lines * 64);
      const filterWasm = new Uint8Array(lines * 64);
      for (let round = 0; round < 500; round++) {
        const [a, b, c, d] = [prng.u32(), prng.u32(), prng.u32(), prng.u32()];
        bloomAddJs(filterJs, a, b, c, d);
        bloomAddWasm(filterWasm, a, b, c, d);
      }
      expect(filterWasm).toEqual(filterJs);
      for (let round = 0; round < 500; round++) {
        const [a, b, c, d] = [prng.u32(), prng.u32(), prng.u32(), prng.u32()];
        expect(bloomMayContainWasm(filterWasm, a, b, c, d)).toBe(
          bloomMayContainJs(filterJs, a, b, c, d),
        );
      }
    }
    expect(bloomMayContainWasm(new Uint8Array(0), 1, 2, 3, 4)).toBe(true);
  });

  test("keep the stored layout: the bits of a known hash", () => {
    const filter = new Uint8Array(128);
    // Line 1 (h3 in the upper half); bits 1, 2, 3 from h2 and 4, 5, 6 from the folded word.
    bloomAdd(filter, 4 | (5 << 9) | (6 << 18), 0, 1 | (2 << 9) | (3 << 18), 0x80000000);
    expect(filter.indexOf(0b0111_1110)).toBe(64);
    expect(filter.reduce((sum, byte) => sum + byte, 0)).toBe(0b0111_1110);
    bloomAdd(filter, 0, 0x0001_0000, 0, 0); // h1 is turned by 16: its bit 16 becomes bit 0
    expect([...filter.subarray(0, 1)]).toEqual([0b11]);
  });
});
