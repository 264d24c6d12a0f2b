import { describe, expect, test } from "bun:test";
import { HotKeys } from "../../src/http/hot-keys.ts";

const URL_START = "http://localhost:7001/v1/kv/";

function seen(count: number, urlOf: (index: number) => string, method = "GET"): HotKeys {
  const hotKeys = new HotKeys();
  for (let index = 0; index < count; index++) hotKeys.see(method, URL_START + urlOf(index));
  return hotKeys;
}

describe("HotKeys", () => {
  test("a key with a fifth of all requests is first among ten thousand others", () => {
    const hotKeys = seen(100_000, (i) => (i % 5 === 0 ? "shop/hot" : `shop/cold-${i % 10_000}`));
    const { keys, samples } = hotKeys.report();
    expect(keys[0]).toMatchObject({ bucket: "shop", path: "hot", writes: 0 });
    const share = (keys[0]!.count - keys[0]!.error) / samples;
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThan(0.25);
  });

  test("about one in 32 requests is looked at", () => {
    const { samples, sampleEvery } = seen(80_000, () => "a/b").report();
    expect(sampleEvery).toBe(32);
    expect(samples).toBeGreaterThan(80_000 / 32 / 1.1);
    expect(samples).toBeLessThan((80_000 / 32) * 1.1);
  });

  test("keys that are asked for in turn, 32 of them, are all found", () => {
    const { keys } = seen(80_000, (i) => `a/${i % 32}`).report();
    expect(keys.map(({ path }) => Number(path)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 32 }, (_, index) => index),
    );
  });

  test("a listing is no request for a key", () => {
    expect(seen(1000, (i) => (i % 2 === 0 ? "shop?prefix=a" : "shop/")).report().keys).toEqual([]);
  });

  test("what was hot gives way to what is hot now", () => {
    const hotKeys = seen(200_000, () => "a/before");
    for (let i = 0; i < 400_000; i++) hotKeys.see("GET", `${URL_START}a/now`);
    const { keys } = hotKeys.report();
    expect(keys[0]!.path).toBe("now");
    expect(keys[0]!.count).toBeGreaterThan(3 * (keys[1]?.count ?? 0));
  });

  test("never more than 64 keys are kept, 32 shown, and other routes are not counted", () => {
    const { keys } = seen(100_000, (i) => `a/${i}`).report();
    expect(keys.length).toBe(32);
    const other = new HotKeys();
    for (let i = 0; i < 1000; i++) other.see("GET", "http://localhost/v1/cluster?x=/v1/kv/a/b");
    expect(other.report()).toMatchObject({ samples: 0, keys: [] });
  });

  test("writes are told apart, and queries are no part of the key", () => {
    const { keys } = seen(3200, (i) => `a/b%20c?ttl=${i}`, "PUT").report();
    expect(keys).toHaveLength(1);
    expect(keys[0]).toMatchObject({ bucket: "a", path: "b%20c" });
    expect(keys[0]!.writes).toBe(keys[0]!.count);
  });
});
