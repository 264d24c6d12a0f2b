/** Handles on buckets of a whole node in this process. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { z } from "zod";
import {
  CONTEXTS_MAX,
  HutchClient,
  type HutchClientOptions,
  SiblingsError,
  ValueError,
  bytes,
  json,
  text,
} from "../../src/client/index.ts";
import { type LocalNode, NODE_URL, makeSiblingBucket, startLocalNode } from "./local-node.ts";

let node: LocalNode;
beforeAll(async () => {
  node = await startLocalNode();
  await makeSiblingBucket(node.send, "sets");
});
afterAll(() => node.close());

const clientOf = (options: Partial<HutchClientOptions> = {}): HutchClient =>
  new HutchClient({ urls: [NODE_URL], fetch: (url, init) => node.send(url, init), ...options });

const thrownBy = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

describe("one key", () => {
  test("put, get, has, delete", async () => {
    const carts = clientOf().bucket<{ items: string[] }>("cart");
    expect(await carts.get("7")).toBeUndefined();
    expect(await carts.has("7")).toBe(false);
    const written = await carts.put("7", { items: ["apple"] });
    expect(written).toMatchObject({ key: "7", siblingCount: 1 });
    expect(written.acks).toContain("n=1, ok=1");
    expect(await carts.get("7")).toEqual({ items: ["apple"] });
    expect(await carts.has("7")).toBe(true);
    await carts.delete("7");
    expect(await carts.get("7")).toBeUndefined();
    await carts.delete("7");
  });

  test("keys of any text, also those that a URL resolves", async () => {
    const bucket = clientOf().bucket("keys", { codec: text() });
    for (const key of ["a/b", "../..", ".", "ü é?#%", "a b+c", "__proto__"]) {
      await bucket.put(key, key);
      expect(await bucket.get(key)).toBe(key);
    }
  });

  test("an entry has the etag, the metadata, the type and the end", async () => {
    const bucket = clientOf().bucket("demo", { codec: text("text/html") });
    const metadata = { owner: "Zoë", "empty-not": "x" };
    const { etag } = await bucket.put("page", "<p>", { ttl: 60, metadata });
    const entry = await bucket.getEntry("page");
    expect(entry).toMatchObject({ kind: "value", key: "page", value: "<p>", etag });
    if (entry.kind !== "value") throw new Error(entry.kind);
    expect({ ...entry.metadata }).toEqual(metadata);
    expect(entry.contentType).toBe("text/html");
    expect(entry.expiresAt).toMatch(/^20\d\d-/);
    await bucket.delete("page");
    const absent = await bucket.getEntry("page");
    expect(absent).toMatchObject({ kind: "absent", value: undefined });
    expect(absent.context).not.toBe("");
  });

  test("add() makes a key", async () => {
    const bucket = clientOf().bucket<number>("log");
    const { key } = await bucket.add(1);
    expect(await bucket.get(key)).toBe(1);
  });
});

describe("codecs", () => {
  test("bytes are bytes", async () => {
    const bucket = clientOf().bucket("raw", { codec: bytes("image/png") });
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await bucket.put("all", value);
    expect(await bucket.get("all")).toEqual(value);
    await expect(clientOf().bucket("raw", { codec: text() }).get("all")).rejects.toThrow(
      "not UTF-8",
    );
  });

  test("a schema of zod gives types and checks, on the way in and out", async () => {
    const Cart = z.object({ items: z.array(z.string()), note: z.string().default("none") });
    const carts = clientOf().bucket("checked", { codec: json(Cart) });
    await carts.put("7", { items: ["apple"] });
    const cart: { items: string[]; note: string } | undefined = await carts.get("7");
    expect(cart).toEqual({ items: ["apple"], note: "none" });
    const wrong = await thrownBy(carts.put("8", { items: [1] } as never));
    expect(wrong).toBeInstanceOf(ValueError);
    expect((wrong as ValueError).issues[0]!.path).toBe("items.0");
    expect(await carts.has("8")).toBe(false);
    await clientOf().bucket("checked").put("9", { other: true });
    await expect(carts.get("9")).rejects.toThrow(
      "Cannot read the value: it is not what the schema wants: items: ",
    );
  });

  test("JSON that is none, and values that JSON has not, are told", async () => {
    await clientOf().bucket("mixed", { codec: text() }).put("k", "world");
    await expect(clientOf().bucket("mixed").get("k")).rejects.toThrow('it begins with "world"');
    await expect(clientOf().bucket("mixed").put("k", undefined)).rejects.toThrow("no undefined");
  });
});

describe("contexts", () => {
  test("a put after a get replaces exactly what was read", async () => {
    const [mine, other] = [clientOf().bucket<string>("sets"), clientOf().bucket<string>("sets")];
    await mine.put("k", "first");
    await mine.get("k");
    await other.put("k", "meanwhile");
    await mine.put("k", "second");
    const both = await other.getEntry("k");
    if (both.kind !== "siblings") throw new Error(both.kind);
    expect(both.siblings.map(({ value }) => value).sort()).toEqual(["meanwhile", "second"]);
    await other.put("k", "merged");
    expect(await mine.get("k")).toBe("merged");
  });

  test("a chain of writes stays one, and a write of what was not read follows nothing", async () => {
    const bucket = clientOf().bucket<number>("sets");
    await bucket.put("chain", 1);
    await bucket.get("chain");
    for (const value of [2, 3]) await bucket.put("chain", value);
    expect(await bucket.get("chain")).toBe(3);
    await clientOf().bucket<number>("sets").put("chain", 4);
    expect((await bucket.getEntry("chain")).kind).toBe("siblings");
  });

  test("a context that is given wins, also the empty one", async () => {
    const bucket = clientOf().bucket<string>("sets");
    await bucket.put("given", "old");
    const { context } = await bucket.getEntry("given");
    await bucket.put("given", "new");
    await bucket.put("given", "other", { context });
    expect((await bucket.getEntry("given")).kind).toBe("siblings");
    await bucket.put("given", "third", { context: "" });
    const entry = await bucket.getEntry("given");
    expect(entry.kind === "siblings" && entry.siblings.length).toBe(3);
  });

  test(`at most ${CONTEXTS_MAX} contexts are remembered, the last ones`, async () => {
    const { ContextMemory } = await import("../../src/client/context-memory.ts");
    const memory = new ContextMemory();
    memory.set("a", "1");
    for (let i = 1; i < CONTEXTS_MAX; i++) memory.set(`k${i}`, "c");
    memory.set("a", "2");
    memory.set("b", "1");
    expect([memory.size, memory.get("a"), memory.get("k1")]).toEqual([CONTEXTS_MAX, "2", ""]);
    memory.set("b", "");
    expect(memory.size).toBe(CONTEXTS_MAX - 1);
  });
});

describe("siblings", () => {
  async function conflict(key: string): Promise<void> {
    await clientOf().bucket<string[]>("sets").put(key, ["apple"]);
    await clientOf().bucket<string[]>("sets").put(key, ["pear"]);
  }
  const union = (siblings: readonly { readonly value: string[] | undefined }[]): string[] =>
    siblings.flatMap(({ value }) => value ?? []).sort();

  test("without resolve they are an error that has them", async () => {
    await conflict("raw");
    const thrown = await thrownBy(clientOf().bucket<string[]>("sets").get("raw"));
    if (!(thrown instanceof SiblingsError)) throw thrown;
    expect(thrown).toMatchObject({ code: "siblings", key: "raw" });
    expect(thrown.siblings.map(({ value }) => value)).toEqual([["pear"], ["apple"]]);
    expect(thrown.siblings[0]).toMatchObject({ isDeleted: false, contentType: "application/json" });
    await clientOf().bucket<string[]>("sets").put("raw", ["both"], { context: thrown.context });
    expect(await clientOf().bucket<string[]>("sets").get("raw")).toEqual(["both"]);
  });

  test("resolve makes one value of them, which is written for everybody", async () => {
    await conflict("merged");
    const bucket = clientOf().bucket<string[]>("sets", { resolve: union });
    expect(await bucket.get("merged")).toEqual(["apple", "pear"]);
    expect(await clientOf().bucket<string[]>("sets").get("merged")).toEqual(["apple", "pear"]);
    await bucket.put("merged", ["plum"]);
    expect(await bucket.get("merged")).toEqual(["plum"]);
  });

  test("resolve without writing back leaves them, and a put after it replaces them", async () => {
    await conflict("seen");
    const bucket = clientOf().bucket<string[]>("sets");
    expect(await bucket.get("seen", { resolve: union, writeBack: false })).toEqual([
      "apple",
      "pear",
    ]);
    expect((await clientOf().bucket("sets").getEntry("seen")).kind).toBe("siblings");
    await bucket.put("seen", ["plum"]);
    expect(await bucket.get("seen")).toEqual(["plum"]);
  });

  test("a deletion beside a value is shown as one, and undefined deletes", async () => {
    const bucket = clientOf().bucket<string>("sets");
    await bucket.put("gone", "old");
    const { context } = await bucket.getEntry("gone");
    await bucket.put("gone", "new");
    await bucket.delete("gone", { context });
    const seen: boolean[] = [];
    const resolve = (siblings: readonly { readonly isDeleted: boolean }[]): undefined => {
      seen.push(...siblings.map(({ isDeleted }) => isDeleted));
      return undefined;
    };
    expect(await bucket.get("gone", { resolve })).toBeUndefined();
    expect(seen.sort()).toEqual([false, true]);
    expect((await clientOf().bucket("sets").getEntry("gone")).kind).toBe("absent");
  });
});

describe("update()", () => {
  test("many at once lose nothing", async () => {
    const bucket = clientOf().bucket<number>("counters");
    await Promise.all(
      Array.from({ length: 8 }, () =>
        clientOf()
          .bucket<number>("counters")
          .update("hits", (count = 0) => count + 1),
      ),
    );
    expect(await bucket.get("hits")).toBe(8);
  });

  test("what is returned as undefined is not written", async () => {
    const bucket = clientOf().bucket<number>("counters");
    await bucket.put("still", 1);
    const before = node.lines.length;
    expect(await bucket.update("still", () => undefined)).toEqual({ value: 1, written: undefined });
    expect(node.lines.slice(before)).toEqual(["GET /v1/kv/counters/still"]);
  });

  test("siblings are resolved first, or thrown", async () => {
    const bucket = clientOf().bucket<number>("sets");
    await bucket.put("sum", 1);
    await clientOf().bucket<number>("sets").put("sum", 2);
    await expect(bucket.update("sum", (n = 0) => n + 1)).rejects.toBeInstanceOf(SiblingsError);
    const resolve = (siblings: readonly { readonly value: number | undefined }[]): number =>
      Math.max(...siblings.map(({ value = 0 }) => value));
    const updated = await bucket.update("sum", (n = 0) => n + 1, { resolve });
    expect(updated.value).toBe(3);
  });
});

describe("many keys", () => {
  test("keys and entries come in byte order over page borders", async () => {
    const bucket = clientOf().bucket<number>("listed");
    const results = await bucket.batch(
      Array.from({ length: 25 }, (_, i) => ({ op: "put" as const, key: `k${i + 10}`, value: i })),
    );
    expect(results.every(({ kind }) => kind === "written")).toBe(true);
    const keys: string[] = [];
    for await (const key of bucket.keys({ prefix: "k", limit: 10 })) keys.push(key);
    expect(keys).toEqual(Array.from({ length: 25 }, (_, i) => `k${i + 10}`));
    const values: unknown[] = [];
    for await (const { entry } of bucket.entries({ start: "k30", isReverse: true, limit: 2 }))
      values.push(entry.kind === "value" && entry.value);
    expect(values).toEqual([24, 23, 22, 21, 20]);
    const page = await bucket.list({ limit: 2, prefix: "k" });
    expect(page).toMatchObject({ isPartial: false, keys: [{ key: "k10" }, { key: "k11" }] });
    expect(page.cursor).not.toBe("");
  });

  test("groups, keys that are not UTF-8, and siblings in a list", async () => {
    const bucket = clientOf().bucket<number>("odd");
    await bucket.put("a/1", 1);
    await bucket.put("b", 2);
    await node.send(`${NODE_URL}/v1/kv64/odd/_w`, { method: "PUT", body: "3" });
    const page = await bucket.list({ delimiter: "/" });
    expect(page.prefixes).toEqual(["a/"]);
    expect(page.keys.map(({ key, keyBytes }) => [key, keyBytes])).toEqual([
      ["b", undefined],
      ["_w", Uint8Array.of(0xff)],
    ]);
    const sets = clientOf().bucket<number>("sets");
    await sets.put("list/1", 1);
    await clientOf().bucket<number>("sets").put("list/1", 2);
    for await (const { entry, siblingCount } of sets.entries({ prefix: "list/" })) {
      expect(siblingCount).toBe(2);
      expect(entry.kind === "siblings" && entry.siblings.map(({ value }) => value)).toEqual([2, 1]);
    }
  });

  test("a batch fails operation by operation", async () => {
    const bucket = clientOf().bucket<string>("batch");
    await bucket.put("a", "1");
    const results = await bucket.batch([
      { op: "get", key: "a" },
      { op: "get", key: "none" },
      { op: "put", key: "b", value: "2", ttl: 60 },
      { op: "put", key: "a", value: "3", ifMatch: '"0000"' },
      { op: "delete", key: "a" },
    ]);
    expect(results.map(({ kind }) => kind)).toEqual([
      "value",
      "absent",
      "written",
      "failed",
      "written",
    ]);
    expect(results[0]).toMatchObject({ key: "a", value: "1" });
    expect(results[3]).toMatchObject({ error: { code: "precondition-failed", status: 412 } });
    const raw = clientOf().bucket("batch", { codec: bytes() });
    await raw.batch([{ op: "put", key: "raw", value: Uint8Array.of(255, 0) }]);
    expect(await raw.get("raw")).toEqual(Uint8Array.of(255, 0));
  });
});

describe("json()", () => {
  test("gives any other answer of a node", async () => {
    expect(await clientOf().json("/v1/cluster")).toMatchObject({ nodes: { up: 1 } });
    await expect(clientOf().json("/v1/nothing")).rejects.toMatchObject({ code: "no-such-route" });
  });
});
