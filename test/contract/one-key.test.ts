/** Sections 1 and 2 of the contract: one key, its headers and their query twins, on one node. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { contextOf, contractNode, etagOf, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

describe("one key", () => {
  test("PUT is 204 with ETag, context, acks, conflict mode and effective n; GET and HEAD show it", async () => {
    const put = await call("PUT", "/v1/kv/demo/hello", { body: "world" });
    expect(put.status).toBe(204);
    expect(put.headers.get("X-Acks")).toBe("n=1, ok=1, primary=1, hinted=0, durable=1");
    expect(put.headers.get("X-Effective-N")).toBe("1");
    expect(put.headers.get("X-Conflict-Mode")).toBe("siblings");
    const etag = etagOf(put);
    contextOf(put);

    const get = await call("GET", "/v1/kv/demo/hello");
    expect([get.status, get.text]).toEqual([200, "world"]);
    expect(get.headers.get("X-Replies")).toBe("n=1, ok=1, primary=1");
    expect(get.headers.get("X-Effective-N")).toBe("1");
    expect(get.headers.get("X-Conflict-Mode")).toBe("siblings");
    expect(get.headers.get("X-Siblings")).toBeNull();
    expect(etagOf(get)).toBe(etag);
    expect(Math.abs(Date.now() - Date.parse(get.headers.get("Last-Modified") ?? ""))).toBeLessThan(
      60_000,
    );
    contextOf(get);

    const head = await call("HEAD", "/v1/kv/demo/hello");
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
    for (const name of ["ETag", "X-Causal-Context", "Content-Type", "Content-Length"])
      expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
  });

  test("an absent key is 404 key-not-found for GET and HEAD, with bucket and key in the problem", async () => {
    const get = await call("GET", "/v1/kv/demo/none%20here");
    expectProblem(get, 404, "key-not-found");
    expect(get.json).toMatchObject({ bucket: "demo", key: "none here", retry: "no" });
    expect(get.json.instance).toBe("/v1/kv/demo/none%20here");
    expect(get.headers.get("X-Tombstone")).toBeNull();
    expect((await call("HEAD", "/v1/kv/demo/none")).status).toBe(404);
  });

  test("Prefer: return=representation gives 200 and the body", async () => {
    const headers = { Prefer: "return=representation", "Content-Type": "text/plain" };
    const put = await call("PUT", "/v1/kv/demo/prefer", { headers, body: "shown" });
    expect([put.status, put.text, put.headers.get("Content-Type")]).toEqual([
      200,
      "shown",
      "text/plain",
    ]);
    expect(put.headers.get("X-Acks")).toContain("ok=1");
    expect(contextOf(put)).toBeTruthy();
    expect(etagOf(put)).toBe(etagOf(await call("GET", "/v1/kv/demo/prefer")));
  });

  test("DELETE is 204 always, its token lets a PUT follow, the 404 afterwards shows the tombstone", async () => {
    expect((await call("DELETE", "/v1/kv/demo/never-there")).status).toBe(204);
    await call("PUT", "/v1/kv/demo/gone", { body: "1" });
    const deleted = await call("DELETE", "/v1/kv/demo/gone");
    expect(deleted.status).toBe(204);
    expect(deleted.headers.get("X-Acks")).toContain("ok=1");
    const get = await call("GET", "/v1/kv/demo/gone");
    expectProblem(get, 404, "key-not-found");
    expect(get.headers.get("X-Tombstone")).toBe("true");
    contextOf(get);
    const head = await call("HEAD", "/v1/kv/demo/gone");
    expect([head.status, head.headers.get("X-Tombstone")]).toEqual([404, "true"]);
    expect((await call("DELETE", "/v1/kv/demo/gone")).status).toBe(204);

    const headers = { "X-Causal-Context": contextOf(get) };
    expect((await call("PUT", "/v1/kv/demo/gone", { headers, body: "2" })).status).toBe(204);
    // The second delete is not covered by the first token, so it stays beside the value.
    const after = await call("GET", "/v1/kv/demo/gone");
    expect([200, 300]).toContain(after.status);
  });

  test("a PUT with the token of a DELETE follows it", async () => {
    await call("PUT", "/v1/kv/demo/again", { body: "1" });
    const context = contextOf(await call("DELETE", "/v1/kv/demo/again"));
    await call("PUT", "/v1/kv/demo/again", { headers: { "X-Causal-Context": context }, body: "2" });
    const get = await call("GET", "/v1/kv/demo/again");
    expect([get.status, get.text]).toEqual([200, "2"]);
  });

  test("POST makes a key: 201 and a Location that reads back", async () => {
    const one = await call("POST", "/v1/kv/demo", { body: "made" });
    const two = await call("POST", "/v1/kv/demo", { body: "made" });
    expect([one.status, two.status]).toEqual([201, 201]);
    const location = one.headers.get("Location") ?? "";
    expect(location).toMatch(/^\/v1\/kv\/demo\/.+/);
    expect(two.headers.get("Location")).not.toBe(location);
    expect((await call("GET", location)).text).toBe("made");
    expect(one.headers.get("X-Acks")).toContain("ok=1");
    etagOf(one);
    contextOf(one);
  });

  test("explain shows partition, owners and fallbacks, also of an absent key", async () => {
    await call("PUT", "/v1/kv/demo/explained", { body: "1" });
    const there = await call("GET", "/v1/kv/demo/explained?explain=1");
    expect(there.status).toBe(200);
    expect(there.json).toMatchObject({ key: "explained", fallbacks: [], equal: true });
    expect(there.json.owners).toEqual([
      {
        node: "n1",
        role: "primary",
        state: "up",
        reachable: true,
        dots: [expect.any(String)],
        hlc: expect.any(String),
        stateHash: expect.any(String),
        latencyMs: expect.any(Number),
      },
    ]);
    const absent = await call("GET", "/v1/kv/demo/not-explained?explain=1");
    expect([absent.status, absent.json.key, absent.json.owners[0].dots]).toEqual([
      200,
      "not-explained",
      [],
    ]);
    const ring = await call("GET", "/v1/cluster/ring?key=demo/explained");
    expect(ring.json.partition).toBe(there.json.partition);
  });

  test("row 43: slashes in a key, raw or escaped, are one key and empty segments are kept", async () => {
    await call("PUT", "/v1/kv/demo/a%2Fb", { body: "one" });
    expect((await call("GET", "/v1/kv/demo/a/b")).text).toBe("one");
    await call("PUT", "/v1/kv/demo/a//b", { body: "two" });
    await call("PUT", "/v1/kv/demo/a/b/", { body: "three" });
    expect((await call("GET", "/v1/kv/demo/a/b")).text).toBe("one");
    expect((await call("GET", "/v1/kv/demo/a%2F%2Fb")).text).toBe("two");
    expect((await call("GET", "/v1/kv/demo/a%2Fb%2F")).text).toBe("three");
  });

  test("rows 40, 44: unusual keys are ordinary, distinct and read back byte for byte", async () => {
    const keys = ["%00", "a%20b", "a+b", "%F0%9F%98%80", "caf%C3%A9", "cafe%CC%81", "%252F"].concat(
      ["__proto__", "constructor", "toString", "%3F%23", "kv", "%22quoted%22"],
    );
    for (const key of keys) {
      const put = await call("PUT", `/v1/kv/odd/${key}`, { body: key });
      expect([key, put.status]).toEqual([key, 204]);
    }
    for (const key of keys) expect((await call("GET", `/v1/kv/odd/${key}`)).text).toBe(key);
    const listed = (await call("GET", "/v1/kv/odd")).json.keys.map(({ key }: any) => key);
    expect(new Set(listed)).toEqual(new Set(keys.map(decodeURIComponent)));
  });

  test("kv64 reaches every key: dots, slashes and bytes that are not UTF-8; it is the same key space", async () => {
    const base64url = (text: string) => Buffer.from(text, "latin1").toString("base64url");
    for (const key of [".", "..", "a/../b", "\xff\xfe\x00"]) {
      const path = `/v1/kv64/deep/${base64url(key)}`;
      expect((await call("PUT", path, { body: `of ${key.length}` })).status).toBe(204);
      expect((await call("GET", path)).text).toBe(`of ${key.length}`);
      expect((await call("HEAD", path)).status).toBe(200);
    }
    const { keys } = (await call("GET", "/v1/kv/deep")).json;
    expect(keys.map(({ key, keyB64 }: any) => key ?? keyB64)).toEqual([
      ".",
      "..",
      "a/../b",
      expect.stringMatching(/^[/_]\/?.*/),
    ]);
    await call("PUT", "/v1/kv/deep/plain", { body: "same" });
    const same = `/v1/kv64/deep/${base64url("plain")}`;
    expect((await call("GET", same)).text).toBe("same");
    expect((await call("DELETE", same)).status).toBe(204);
    expect((await call("GET", "/v1/kv/deep/plain")).status).toBe(404);
    expect((await call("GET", `${same}?explain=1`)).status).toBe(200);
    for (const bad of ["***", "a", ""])
      expect([400, 404]).toContain(
        (await call("PUT", `/v1/kv64/deep/${bad}`, { body: "" })).status,
      );
  });

  test("rows 37, 38, 39: empty, long and badly escaped keys are refused", async () => {
    expectProblem(await call("PUT", "/v1/kv/demo/", { body: "x" }), 400, "bad-key");
    expect((await call("PUT", `/v1/kv/demo/${"k".repeat(256)}`, { body: "x" })).status).toBe(204);
    const long = `/v1/kv/demo/${"k".repeat(257)}`;
    for (const method of ["PUT", "GET", "DELETE"])
      expectProblem(await call(method, long), 414, "key-too-long");
    expectProblem(await call("GET", `/v1/kv/demo/${"%C3%A9".repeat(129)}`), 414, "key-too-long");
    for (const escape of ["%zz", "%F0%9F", "%ff", "%"])
      expectProblem(await call("PUT", `/v1/kv/demo/x${escape}`), 400, "bad-key-encoding");
  });

  test("a bucket has 1 to 63 characters of its alphabet; any other name is 400 bad-bucket", async () => {
    for (const good of ["a", "0", "a.b_c-d", "b".repeat(63)])
      expect((await call("PUT", `/v1/kv/${good}/k`, { body: "x" })).status).toBe(204);
    for (const bad of ["A", "-a", ".a", "_a", "b".repeat(64), "a%20b", "%C3%A9", "a%2Fb"]) {
      expectProblem(await call("PUT", `/v1/kv/${bad}/k`, { body: "x" }), 400, "bad-bucket");
      expectProblem(await call("GET", `/v1/kv/${bad}`), 400, "bad-bucket");
    }
  });

  test("rows 45, 46, 47: values of no byte, of all bytes, at the limit and one over", async () => {
    expect((await call("PUT", "/v1/kv/demo/empty", { body: "" })).status).toBe(204);
    const empty = await call("GET", "/v1/kv/demo/empty");
    expect([empty.status, empty.bytes.length]).toEqual([200, 0]);

    const all = Uint8Array.from({ length: 4096 }, (_, index) => (index * 7919) & 255);
    const headers = { "Content-Type": "image/png; a=b" };
    await call("PUT", "/v1/kv/demo/bytes", { headers, body: all });
    const read = await call("GET", "/v1/kv/demo/bytes");
    expect(read.bytes).toEqual(all);
    expect(read.headers.get("Content-Type")).toBe("image/png; a=b");

    await json("PATCH", "/v1/buckets/small", { valueBytesMax: 100 });
    const at = (count: number) => call("PUT", "/v1/kv/small/v", { body: "x".repeat(count) });
    expect((await at(100)).status).toBe(204);
    expectProblem(await at(101), 413, "value-too-large");
    expect((await call("GET", "/v1/kv/small/v")).bytes.length).toBe(100);
    expectProblem(
      await call("POST", "/v1/kv/small", { body: "x".repeat(101) }),
      413,
      "value-too-large",
    );
  });
});
