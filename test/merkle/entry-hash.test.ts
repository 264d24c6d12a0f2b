/** What stands for an entry in a tree, and where. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import { EntryHasher } from "../../src/merkle/entry-hash.ts";

const SECRET = new Uint8Array(16).fill(9);
const hasher = new EntryHasher(SECRET, 4096);

function hashOf(key: Uint8Array, record: Uint8Array, by = hasher): string {
  by.hash(key, record);
  return `${by.low}/${by.high}`;
}

describe("EntryHasher", () => {
  test("R36: the key's length is part of the input, so bytes do not move between key and record", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 40 }), (bytes) => {
        const hashes = new Set<string>();
        for (let cut = 0; cut <= bytes.length; cut++)
          hashes.add(hashOf(bytes.subarray(0, cut), bytes.subarray(cut)));
        expect(hashes.size).toBe(bytes.length + 1);
      }),
    );
  });

  test.each([0, 1, 511, 512, 513, 100_000])(
    "R36: records of %d bytes: equal bytes, equal hash; another byte, another hash",
    (length) => {
      const key = utf8("key");
      const record = new Uint8Array(length).fill(5);
      expect(hashOf(key, record.slice())).toBe(hashOf(key, record));
      const other = length === 0 ? new Uint8Array(1) : record.slice();
      other[other.length - 1]! ^= 1;
      expect(hashOf(key, other)).not.toBe(hashOf(key, record));
    },
  );

  test("frozen: a hash and a leaf that every node of a cluster must find", () => {
    expect(hashOf(utf8("key"), utf8("record"))).toBe("2826818564/1924210871");
    expect(hashOf(utf8("key"), new Uint8Array(1000))).toBe("1612554047/348604817");
    expect(hasher.leafOf(utf8("key"))).toBe(973);
  });

  test("R36: without the cluster's secret nobody knows the hashes", () => {
    const others = new EntryHasher(new Uint8Array(16).fill(8), 4096);
    expect(hashOf(utf8("key"), utf8("record"), others)).not.toBe(
      hashOf(utf8("key"), utf8("record")),
    );
    expect(others.fingerprint).not.toBe(hasher.fingerprint);
    expect(new EntryHasher(SECRET, 64).fingerprint).not.toBe(hasher.fingerprint);
    expect(new EntryHasher(SECRET, 4096).fingerprint).toBe(hasher.fingerprint);
  });

  test("keys spread over all leaves", () => {
    const counts = new Uint32Array(64);
    const small = new EntryHasher(SECRET, 64);
    for (let i = 0; i < 64_000; i++) counts[small.leafOf(utf8(`user/${i}`))]!++;
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1200);
  });
});
