import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { base64url, compareBytes, hex, utf8, utf8Text } from "../../src/base/bytes.ts";
import type { ListPage, ListRequest } from "../../src/quorum/operation.ts";
import { decodeRecord } from "../../src/causality/record.ts";
import { recordFromJson } from "../../src/causality/record-json.ts";
import { PAGE_VALUE_BYTES_MAX } from "../../src/cluster/listing.ts";
import { OneNode, PUT, codeOf } from "../support/one-node.ts";

const keysOf = (page: ListPage): string[] => page.keys.map(({ key }) => utf8Text(key)!);
const prefixesOf = (page: ListPage): string[] => page.prefixes.map((prefix) => utf8Text(prefix)!);

async function nodeWith(keys: readonly string[], q = 64): Promise<OneNode> {
  const node = await OneNode.start({ q });
  await Promise.all(keys.map((key) => node.put(key, `value of ${key}`)));
  return node;
}

test("keys come in byte order over all partitions, deleted and expired ones and other buckets left out", async () => {
  const node = await nodeWith(["b", "a/2", "a/1", "é", "z", "gone", "old"]);
  await node.delete("gone");
  await node.put("old", "v", { expiry: { kind: "after", ttlMs: 1000 } });
  await node.put("m", "v", {}, "demo2");
  await node.put("m", "v", {}, "dem");
  node.clock.advance(1000);
  const page = await node.list();
  expect(keysOf(page)).toEqual(["a/1", "a/2", "b", "z", "é"]);
  expect(page).toMatchObject({ cursor: "", isPartial: false, prefixes: [] });
  expect(keysOf(await node.list({ isReverse: true }))).toEqual(["é", "z", "b", "a/2", "a/1"]);
});

test("a listed key has the ETag, size, expiry and siblings that a GET shows; values come on demand", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  await node.put("k", "first");
  await node.put("k", "second!", { expiry: { kind: "after", ttlMs: 5000 } });
  const { etag } = await node.get("k");
  const [plain] = (await node.list()).keys;
  expect(plain).toMatchObject({
    etag,
    sizeBytes: 7,
    siblingCount: 2,
    expiresAtMs: node.clock.wallMs() + 5000,
    state: undefined,
  });
  const [full] = (await node.list({ withValues: true })).keys;
  expect(full!.state!.siblings.map((sibling) => utf8Text(sibling.value))).toEqual([
    "second!",
    "first",
  ]);
  expect(full!.state!.context).toBe((await node.get("k")).context);
});

test("a delimiter groups, and a group without a live key does not show", async () => {
  const node = await nodeWith(["a/1", "a/2", "b", "c/x/1", "c/x/2", "c/y", "d/gone"]);
  await node.delete("d/gone");
  const delimiter = utf8("/");
  const top = await node.list({ delimiter });
  expect(prefixesOf(top)).toEqual(["a/", "c/"]);
  expect(keysOf(top)).toEqual(["b"]);
  const below = await node.list({ delimiter, prefix: utf8("c/") });
  expect(prefixesOf(below)).toEqual(["c/x/"]);
  expect(keysOf(below)).toEqual(["c/y"]);
  expect(prefixesOf(await node.list({ delimiter, isReverse: true }))).toEqual(["c/", "a/"]);
});

test("limit counts keys and prefixes together, and the cursor goes on where the page ended", async () => {
  const node = await nodeWith(["a/1", "a/2", "b", "c/1", "d"]);
  for (const isReverse of [false, true]) {
    const seen: string[] = [];
    let cursor = "";
    do {
      const page = await node.list({ limit: 2, delimiter: utf8("/"), isReverse, cursor });
      expect(page.keys.length + page.prefixes.length).toBeLessThanOrEqual(2);
      seen.push(...[...keysOf(page), ...prefixesOf(page)].sort());
      cursor = page.cursor;
    } while (cursor !== "");
    expect(seen.sort()).toEqual(["a/", "b", "c/", "d"]);
  }
});

test("Q9: a page with values ends with 16 MiB of them, whatever its limit; the cursor goes on", async () => {
  const node = await OneNode.start();
  const value = "v".repeat(1024 * 1024);
  const keys = Array.from({ length: 18 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  for (const key of keys) await node.put(key, value);
  const withValues = true;
  const first = await node.list({ withValues });
  expect(keysOf(first)).toEqual(keys.slice(0, PAGE_VALUE_BYTES_MAX / value.length));
  const rest = await node.list({ withValues, cursor: first.cursor });
  expect([...keysOf(first), ...keysOf(rest)]).toEqual(keys);
  expect(rest.cursor).toBe("");
  expect((await node.list()).keys).toHaveLength(18);
});

test("a page that ends exactly with the last key is complete", async () => {
  const node = await nodeWith(["a", "b"]);
  expect((await node.list({ limit: 2 })).cursor).toBe("");
  expect((await node.list({ limit: 1 })).cursor).not.toBe("");
});

test("garbage and cursors of another bucket or direction are bad-cursor", async () => {
  const node = await nodeWith(["a", "b", "c"]);
  const { cursor } = await node.list({ limit: 1 });
  expect(await codeOf(node.list({ cursor, isReverse: true }))).toBe("bad-cursor");
  expect(await codeOf(node.list({ cursor }, "other"))).toBe("bad-cursor");
  for (const bad of [
    "!",
    "AAAA",
    "A",
    cursor.slice(2),
    `${cursor}A`,
    base64url(new Uint8Array(20)),
  ])
    expect(await codeOf(node.list({ cursor: bad }))).toBe("bad-cursor");
});

/** The same question put to a sorted array. */
function expected(all: readonly Uint8Array[], request: ListRequest): string[] {
  const { prefix, start, end, delimiter, isReverse } = request;
  const sorted = all.toSorted(compareBytes);
  if (isReverse) sorted.reverse();
  const seen: string[] = [];
  for (const key of sorted) {
    if (hex(key.subarray(0, prefix.length)) !== hex(prefix)) continue;
    if (compareBytes(key, start) < 0 || (end.length > 0 && compareBytes(key, end) >= 0)) continue;
    const rest = hex(key.subarray(prefix.length));
    const at = delimiter.length === 0 ? -1 : indexOfByte(rest, hex(delimiter));
    const item = at === -1 ? `k${hex(key)}` : `p${hex(prefix)}${rest.slice(0, at + 2)}`;
    if (!seen.includes(item)) seen.push(item);
  }
  return seen;
}

function indexOfByte(digits: string, byte: string): number {
  for (let at = 0; at < digits.length; at += 2) if (digits.startsWith(byte, at)) return at;
  return -1;
}

test.each([1, 2, 3])(
  "random listings agree with a sorted array, page by page, seed %d",
  async (seed) => {
    const prng = new Prng(`listing/${seed}`);
    const node = await OneNode.start({ q: prng.pick([16, 256]), store: { memtableBytes: 4096 } });
    const word = (): Uint8Array =>
      new Uint8Array(
        Array.from({ length: prng.between(1, 4) }, () => prng.pick([0, 0x2f, 0x61, 0x62, 0xff])),
      );
    const live = new Map<string, Uint8Array>();
    for (let i = 0; i < 300; i++) {
      const key = word();
      if (prng.chance(0.3)) {
        await node.coordinator.write("demo", key, { ...PUT, kind: "delete" });
        live.delete(hex(key));
      } else {
        await node.coordinator.write("demo", key, { ...PUT, value: key });
        live.set(hex(key), key);
      }
    }
    for (let round = 0; round < 60; round++) {
      const none = new Uint8Array(0);
      const request: ListRequest = {
        prefix: prng.chance(0.5) ? word().slice(0, 2) : none,
        start: prng.chance(0.3) ? word() : none,
        end: prng.chance(0.3) ? word() : none,
        limit: prng.between(1, 20),
        cursor: "",
        delimiter: prng.chance(0.5) ? new Uint8Array([0x2f]) : none,
        isReverse: prng.chance(0.5),
        withValues: prng.chance(0.2),
      };
      const want = expected([...live.values()], request);
      const got: string[] = [];
      let cursor = "";
      do {
        const page = await node.coordinator.list("demo", { ...request, cursor });
        got.push(
          ...page.keys.map(({ key }) => `k${hex(key)}`),
          ...page.prefixes.map((prefix) => `p${hex(prefix)}`),
        );
        cursor = page.cursor;
      } while (cursor !== "");
      expect(got.sort()).toEqual(want.sort());
    }
  },
);

test("export gives every key once, deleted ones included, from one snapshot, and goes on after a key", async () => {
  const keys = Array.from({ length: 700 }, (_, i) => `k${String(i).padStart(4, "0")}`);
  const node = await nodeWith(keys);
  await node.delete("k0003");
  const seen: string[] = [];
  for await (const { key, record } of node.coordinator.export("demo", new Uint8Array(0))) {
    seen.push(utf8Text(key)!);
    if (seen.length === 2) await node.put("k0001x", "too late");
    expect(recordFromJson(record).length).toBe(1);
  }
  expect(seen).toEqual(keys);
  const rest: string[] = [];
  for await (const { key } of node.coordinator.export("demo", utf8("k0697")))
    rest.push(utf8Text(key)!);
  expect(rest).toEqual(["k0698", "k0699"]);
});

test("importing an export into an empty node gives byte-equal records", async () => {
  const node = await nodeWith(["a", "b", "c"]);
  await node.delete("b");
  const other = await OneNode.start();
  for await (const exported of node.coordinator.export("demo", new Uint8Array(0)))
    await other.coordinator.importMerge("demo", exported);
  expect(recordsOf(other)).toEqual(recordsOf(node));
});

/** key -> record, of the bucket demo. */
function recordsOf(node: OneNode): Map<string, unknown> {
  const snapshot = node.opened.store.snapshot();
  const records = new Map<string, unknown>();
  const iterator = snapshot.iterator();
  for (iterator.seekToFirst(); iterator.isValid; iterator.next()) {
    if (iterator.keyBytes[iterator.keyStart + 2]! < 0x10) continue;
    const key = hex(iterator.keyBytes.slice(iterator.keyStart + 2, iterator.keyEnd));
    records.set(
      key,
      decodeRecord(iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd)),
    );
  }
  snapshot.close();
  return new Map([...records].sort());
}

test("a bad exported line is bad-request and writes nothing", async () => {
  const node = await OneNode.start();
  expect(
    await codeOf(node.coordinator.importMerge("demo", { key: utf8("k"), record: { v: 9 } })),
  ).toBe("bad-request");
  expect(await node.values("k")).toEqual([]);
});
