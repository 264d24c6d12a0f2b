import { describe, expect, test } from "bun:test";
import { Prng } from "../../../src/base/prng.ts";
import { BlockCache } from "../../../src/storage/table/block-cache.ts";

describe("BlockCache", () => {
  test("stays within its bytes, whatever is added", () => {
    const prng = new Prng("cache");
    const cache = new BlockCache(100_000);
    const table = cache.tableKey();
    for (let i = 0; i < 5000; i++) {
      const index = prng.below(300);
      if (cache.get(table, index) === undefined)
        cache.add(table, index, new Uint8Array(prng.below(20_000)));
      expect(cache.usedBytes).toBeLessThanOrEqual(100_000);
    }
    expect(cache.hits).toBeGreaterThan(0);
    expect(cache.hits + cache.misses).toBe(5000);
  });

  test("a block that was used outlives those that were not", () => {
    const cache = new BlockCache(10_000);
    const table = cache.tableKey();
    for (let index = 0; index < 100; index++) {
      cache.add(table, index, new Uint8Array(800));
      expect(cache.get(table, 0)).toBeDefined();
    }
    expect(cache.get(table, 50)).toBeUndefined();
    expect(cache.get(table, 99)).toBeDefined();
  });

  test("tables do not share blocks, and a cache of zero bytes keeps none", () => {
    const cache = new BlockCache(10_000);
    const [first, second] = [cache.tableKey(), cache.tableKey()];
    cache.add(first, 1, new Uint8Array([1]));
    expect(cache.get(second, 1)).toBeUndefined();
    const none = new BlockCache(0);
    none.add(none.tableKey(), 0, new Uint8Array(0));
    expect(none.blockCount).toBe(0);
  });

  test("one large block does not drive out the rest", () => {
    const cache = new BlockCache(10_000);
    const table = cache.tableKey();
    cache.add(table, 0, new Uint8Array(100));
    cache.add(table, 1, new Uint8Array(9000));
    expect([cache.get(table, 0)?.length, cache.get(table, 1)]).toEqual([100, undefined]);
  });
});
