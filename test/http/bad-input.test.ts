/** Rows 15 and 22 to 53 of the list of bad inputs, as far as the REST face decides them. NW: the fake's writes are counted. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { base64url } from "../../src/base/bytes.ts";
import { consistencyFor } from "../../src/quorum/parse-consistency.ts";
import { percentEncode } from "../../src/http/percent.ts";
import { type Fixture, fixture, jsonOf, problemOf } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

/** Sends, expects the problem, and that nothing was written. */
async function refused(
  f: Fixture,
  line: string,
  status: number,
  code: string,
  headers: Record<string, string> = {},
  body: RequestInit["body"] = null,
): Promise<Record<string, unknown>> {
  const before = f.kv.writeCount;
  const problem = await problemOf(await f.send(line, body, headers), status, code);
  expect(f.kv.writeCount).toBe(before);
  return problem;
}

/** The bytes under exactly this key, past the REST face. */
function stored(f: Fixture, key: Uint8Array): Uint8Array {
  const consistency = consistencyFor("ONE", f.kv.bucket("demo"), 1);
  return f.kv.read("demo", key, { consistency, timeoutMs: 1000, session: "" }).siblings[0]!.value;
}

describe("HTTP and headers", () => {
  test("row 14: a known method on a route that has not got it is 405 with Allow", async () => {
    const f = fixture();
    for (const method of ["PATCH", "OPTIONS", "POST"]) {
      const response = await f.send(`${method} /v1/kv/demo/a`);
      expect(response.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
      await problemOf(response, 405, "method-not-allowed");
    }
    expect((await f.send("DELETE /v1/batch")).headers.get("allow")).toBe("POST");
    expect((await f.send("HEAD /v1/batch")).status).toBe(405);
  });

  test("row 15: an unknown route is no-such-route, a missing key is key-not-found", async () => {
    const f = fixture();
    for (const path of [
      "/",
      "/v1",
      "/v1/kv",
      "/v1/kv/",
      "/v2/kv/demo/a",
      "/v1/kvx/demo/a",
      "/uix",
      "/v1/buckets/",
    ]) {
      await refused(f, `GET ${path}`, 404, "no-such-route");
    }
    await refused(f, "GET /v1/kv/demo/a", 404, "key-not-found");
  });

  test("row 22: a foreign host is refused with 421, our names are not", async () => {
    const f = fixture({ hosts: ["kv.example"] });
    for (const host of [
      "evil.example",
      "localhost.evil.example",
      "10.0.0.1",
      "127.0.0.1.evil.example",
    ]) {
      await refused(f, `PUT http://${host}/v1/kv/demo/a`, 421, "wrong-cluster", {}, "x");
    }
    for (const host of [
      "localhost",
      "127.0.0.1:7001",
      "127.9.9.9",
      "[::1]:7001",
      "kv.example:80",
      "a.localhost",
    ]) {
      expect((await f.send(`PUT http://${host}/v1/kv/demo/a`, "x")).status).toBe(204);
    }
  });

  test("row 22: a wildcard bind answers to any address and to no unknown name", async () => {
    const f = fixture({ hosts: ["0.0.0.0"] });
    expect((await f.send("PUT http://10.0.0.1:7001/v1/kv/demo/a", "x")).status).toBe(204);
    await refused(f, "PUT http://evil.example/v1/kv/demo/a", 421, "wrong-cluster", {}, "x");
  });

  test("row 23: Content-Encoding is kept on a value and refused on a JSON route", async () => {
    const f = fixture();
    await f.send("PUT /v1/kv/demo/a", new Uint8Array([31, 139, 8]), { "Content-Encoding": "gzip" });
    const get = await f.send("GET /v1/kv/demo/a");
    expect([get.headers.get("content-encoding"), (await get.bytes()).length]).toEqual(["gzip", 3]);
    const gzip = { ...JSON_TYPE, "Content-Encoding": "gzip" };
    for (const line of ["POST /v1/batch", "PUT /v1/buckets/demo", "POST /v1/import/demo"]) {
      await refused(f, line, 415, "unsupported-encoding", gzip, "{}");
    }
  });

  test("row 24: a wrong Content-Type on a JSON route is 415", async () => {
    const f = fixture();
    for (const type of [
      "text/plain",
      "application/xml",
      "multipart/form-data",
      "application/jsonx",
    ]) {
      for (const line of [
        "POST /v1/batch",
        "PUT /v1/buckets/demo",
        "PATCH /v1/buckets/demo",
        "POST /v1/import/demo",
      ]) {
        await refused(f, line, 415, "unsupported-media-type", { "Content-Type": type }, "{}");
      }
    }
  });

  test("row 25: an impossible Accept is 406", async () => {
    const f = fixture();
    await f.send("PUT /v1/kv/demo/a", "x", { "Content-Type": "text/plain" });
    const png = { Accept: "image/png" };
    await refused(f, "GET /v1/kv/demo/a", 406, "not-acceptable", png);
    await refused(f, "GET /v1/kv/demo/a", 406, "not-acceptable", { Accept: "text/plain;q=0" });
    for (const path of [
      "/v1/kv/demo",
      "/v1/buckets",
      "/v1/cluster",
      "/v1/admin/jobs",
      "/v1/export/demo",
    ]) {
      await refused(f, `GET ${path}`, 406, "not-acceptable", png);
    }
    await refused(
      f,
      "POST /v1/batch",
      406,
      "not-acceptable",
      { ...png, ...JSON_TYPE },
      '{"ops":[]}',
    );
    for (const accept of ["text/*", "*/*;q=0.1", "image/png, text/plain;q=0.5"]) {
      expect((await f.send("GET /v1/kv/demo/a", null, { Accept: accept })).status).toBe(200);
    }
  });

  test("row 26: JSON that is broken, doubled, deep or poisonous is bad-json, and no prototype changes", async () => {
    const f = fixture();
    const deep = (depth: number): string => `{"n":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    for (const body of [
      "",
      "{",
      '{"n":3',
      "{'n':3}",
      '{"n":3}x',
      '{"n":3,"n":3}',
      '{"n":3,"\\u006e":3}',
      deep(32),
      deep(200_000),
      '{"__proto__":{"polluted":1}}',
      '{"\\u005f_proto__":1}',
      '{"constructor":{"prototype":{}}}',
      '{"x":{"prototype":1}}',
      new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]),
      '{"n":"unterminated}',
    ]) {
      await refused(f, "PUT /v1/buckets/demo", 400, "bad-json", JSON_TYPE, body);
    }
    await refused(f, "PUT /v1/buckets/demo", 400, "bad-property", JSON_TYPE, deep(31));
    expect(({} as any).polluted).toBeUndefined();
  });

  test("row 27: an unknown JSON field is named", async () => {
    const f = fixture();
    const problem = await refused(
      f,
      "PUT /v1/buckets/demo",
      400,
      "unknown-field",
      JSON_TYPE,
      '{"m":3}',
    );
    expect(problem["detail"]).toContain('"m"');
    const op = '{"ops":[{"op":"get","bucket":"demo","key":"a","extra":1}]}';
    await refused(f, "POST /v1/batch", 400, "unknown-field", JSON_TYPE, op);
  });

  test("row 28: an unknown consistency is refused on reads, writes and deletes", async () => {
    const f = fixture();
    for (const line of [
      "GET /v1/kv/demo/a",
      "PUT /v1/kv/demo/a",
      "DELETE /v1/kv/demo/a",
      "POST /v1/kv/demo",
    ]) {
      await refused(f, line, 400, "bad-consistency", { "X-Consistency": "banana" });
      await refused(f, `${line}?consistency=banana`, 400, "bad-consistency");
      await refused(f, line, 501, "not-implemented", { "X-Consistency": "strong" });
    }
  });

  test("row 29: a repeated X-Consistency with two values is refused", async () => {
    const f = fixture();
    const headers = new Headers();
    headers.append("X-Consistency", "ONE");
    headers.append("X-Consistency", "ALL");
    const url = "http://localhost/v1/kv/demo/a";
    const response = await f.app.fetch(new Request(url, { method: "PUT", headers, body: "x" }));
    await problemOf(response, 400, "bad-consistency");
    await refused(f, "PUT /v1/kv/demo/a?consistency=ONE&consistency=ALL", 400, "bad-consistency");
    expect(f.kv.writeCount).toBe(0);
  });

  test("row 30: R or W of 0, below, above N, 1e3 or 2.5 is refused", async () => {
    const f = fixture();
    for (const value of ["0", "-1", "4", "1e3", "2.5"]) {
      await refused(
        f,
        "PUT /v1/kv/demo/a",
        400,
        "bad-consistency",
        { "X-Consistency": `w=${value}` },
        "x",
      );
      await refused(f, "GET /v1/kv/demo/a", 400, "bad-consistency", {
        "X-Consistency": `r=${value}`,
      });
    }
  });

  test("row 31: a timeout of 0, below, above 60 s or without unit is refused", async () => {
    const f = fixture();
    for (const timeout of ["0ms", "0s", "-1s", "61s", "60001ms", "250", "1m", "", "NaN", "1e3ms"]) {
      await refused(f, "PUT /v1/kv/demo/a", 400, "bad-timeout", { "X-Timeout": timeout }, "x");
    }
    expect((await f.send("PUT /v1/kv/demo/a", "x", { "X-Timeout": "60s" })).status).toBe(204);
    expect((await f.send("PUT /v1/kv/demo/a", "x", { "X-Timeout": "1ms" })).status).toBe(204);
  });

  test("row 32: If-Match and If-None-Match together are refused, and so are tags without quotes", async () => {
    const f = fixture();
    const both = { "If-Match": "*", "If-None-Match": "*" };
    await refused(f, "PUT /v1/kv/demo/a", 400, "bad-request", both, "x");
    await refused(f, "GET /v1/kv/demo/a", 400, "bad-request", both);
    const tags = (count: number): string => new Array(count).fill('"a,b"').join(", ");
    for (const bad of ["abc", '"a', '"a" "b"', '"a",', tags(65)]) {
      await refused(f, "PUT /v1/kv/demo/a", 400, "bad-request", { "If-Match": bad }, "x");
    }
    await refused(
      f,
      "PUT /v1/kv/demo/a",
      412,
      "precondition-failed",
      { "If-Match": tags(64) },
      "x",
    );
  });

  test("row 33: If-Match that is not current is 412 with the current version and context", async () => {
    const f = fixture();
    await f.send("PUT /v1/kv/demo/a", "1");
    const current = await f.send("GET /v1/kv/demo/a");
    for (const line of ["PUT /v1/kv/demo/a", "DELETE /v1/kv/demo/a"]) {
      const response = await f.send(line, null, { "If-Match": '"old"' });
      expect(response.headers.get("etag")).toBe(current.headers.get("etag"));
      expect(response.headers.get("x-causal-context")).toBe(
        current.headers.get("x-causal-context"),
      );
      await problemOf(response, 412, "precondition-failed");
    }
    await refused(f, "PUT /v1/kv/demo/none", 412, "precondition-failed", { "If-Match": "*" }, "x");
    expect(f.kv.writeCount).toBe(1);
  });

  test("row 34: a context that is no token, of another key or above 8 KiB is refused", async () => {
    const f = fixture();
    const token = (await f.send("PUT /v1/kv/demo/a", "1")).headers.get("x-causal-context")!;
    for (const context of ["not base64!", "AAAA", `${token}=x`, "a".repeat(8193)]) {
      await refused(
        f,
        "PUT /v1/kv/demo/a",
        400,
        "bad-context",
        { "X-Causal-Context": context },
        "x",
      );
    }
    await refused(
      f,
      "PUT /v1/kv/demo/b",
      400,
      "context-mismatch",
      { "X-Causal-Context": token },
      "x",
    );
  });

  test("row 35: an Idempotency-Key reused with another body is 422, with the same body one write", async () => {
    const f = fixture();
    const headers = { "Idempotency-Key": "k1" };
    const first = await f.send("PUT /v1/kv/demo/a", "x", headers);
    const again = await f.send("PUT /v1/kv/demo/a", "x", headers);
    expect(again.headers.get("x-causal-context")).toBe(first.headers.get("x-causal-context"));
    expect(f.kv.writeCount).toBe(1);
    await refused(f, "PUT /v1/kv/demo/a", 422, "idempotency-mismatch", headers, "y");
    for (const bad of ["", "a".repeat(201)]) {
      await refused(f, "PUT /v1/kv/demo/a", 400, "bad-request", { "Idempotency-Key": bad }, "y");
    }
  });

  test("row 36: a TTL of 0, below, no number or above 10 years is refused", async () => {
    const f = fixture();
    for (const ttl of [
      "0",
      "-1",
      "NaN",
      "3651d",
      "315360001",
      "1.5",
      "1e3",
      "5w",
      "",
      "60 s",
      "Infinity",
    ]) {
      await refused(f, "PUT /v1/kv/demo/a", 400, "bad-ttl", { "X-TTL": ttl }, "x");
      await refused(f, `PUT /v1/kv/demo/a?ttl=${encodeURIComponent(ttl)}`, 400, "bad-ttl", {}, "x");
    }
    for (const at of [
      "yesterday",
      "2026-11-21",
      "2020-01-01T00:00:00Z",
      "2046-01-01T00:00:00Z",
      "2027-02-30T00:00:00Z",
    ]) {
      await refused(f, "PUT /v1/kv/demo/a", 400, "bad-ttl", { "X-Expires-At": at }, "x");
    }
    const both = { "X-TTL": "60", "X-Expires-At": "2027-01-01T00:00:00Z" };
    await refused(f, "PUT /v1/kv/demo/a", 400, "bad-ttl", both, "x");
    expect((await f.send("PUT /v1/kv/demo/a", "x", { "X-TTL": "3650d" })).status).toBe(204);
  });

  test("row 57: a foreign Origin changes nothing, our own and configured ones may", async () => {
    const f = fixture({ origins: ["https://admin.example"] });
    for (const origin of ["https://evil.example", "null", "http://localhost:9999"]) {
      for (const line of [
        "PUT /v1/kv/demo/a",
        "DELETE /v1/kv/demo/a",
        "POST /v1/batch",
        "POST /v1/admin/flush",
      ]) {
        await refused(
          f,
          line,
          403,
          "forbidden",
          { Origin: origin },
          line.startsWith("DELETE") ? null : "x",
        );
      }
      expect((await f.send("GET /v1/cluster", null, { Origin: origin })).status).toBe(200);
    }
    for (const origin of ["http://localhost:7001", "https://admin.example"]) {
      expect((await f.send("PUT /v1/kv/demo/a", "x", { Origin: origin })).status).toBe(204);
    }
  });

  test("metadata whose name cannot be a header's is 400, as a twin too", async () => {
    const f = fixture();
    for (const name of ["%20", "%C3%A9", "a%00", "a%0D%0Ab", ""])
      await refused(f, `PUT /v1/kv/demo/a?meta-${name}=1`, 400, "bad-request", {}, "x");
  });

  test("metadata above 4 KiB is 431, a type above 256 characters is 400", async () => {
    const f = fixture();
    const meta = (bytes: number) => ({ "X-Meta-A": "v".repeat(bytes - 1) });
    expect((await f.send("PUT /v1/kv/demo/a", "x", meta(4096))).status).toBe(204);
    await refused(f, "PUT /v1/kv/demo/a", 431, "metadata-too-large", meta(4097), "x");
    const type = (length: number) => ({ "Content-Type": `text/${"p".repeat(length - 5)}` });
    expect((await f.send("PUT /v1/kv/demo/a", "x", type(256))).status).toBe(204);
    await refused(f, "PUT /v1/kv/demo/a", 400, "bad-request", type(257), "x");
    await refused(f, "PUT /v1/kv/demo/a", 400, "bad-request", { "X-Meta-A": "\u00ff" }, "x");
  });

  test("more than 16 query parameters or a broken escape in one is refused", async () => {
    const f = fixture();
    const query = (count: number) => Array.from({ length: count }, (_, i) => `p${i}=1`).join("&");
    expect((await f.send(`PUT /v1/kv/demo/a?${query(16)}`, "x")).status).toBe(204);
    await refused(f, `PUT /v1/kv/demo/a?${query(17)}`, 400, "bad-request", {}, "x");
    await refused(f, "PUT /v1/kv/demo/a?ttl=%zz", 400, "bad-request", {}, "x");
  });
});

describe("keys and values", () => {
  test("row 37: an empty key is bad-key", async () => {
    const f = fixture();
    for (const method of ["GET", "PUT", "DELETE"]) {
      await refused(f, `${method} /v1/kv/demo/`, 400, "bad-key");
      await refused(f, `${method} /v1/kv64/demo/`, 400, "bad-key");
    }
  });

  test("row 38: a key of 256 bytes is taken, of 257 is key-too-long, counted after decoding", async () => {
    const f = fixture();
    for (const key of ["k".repeat(256), "%41".repeat(256), "%C3%A9".repeat(128)]) {
      expect((await f.send(`PUT /v1/kv/demo/${key}`, "x")).status).toBe(204);
    }
    await refused(f, `PUT /v1/kv/demo/${"k".repeat(257)}`, 414, "key-too-long", {}, "x");
    const long = base64url(new Uint8Array(257));
    await refused(f, `PUT /v1/kv64/demo/${long}`, 414, "key-too-long", {}, "x");
  });

  test("row 39: a broken percent-escape or broken UTF-8 is bad-key-encoding", async () => {
    const f = fixture();
    for (const key of [
      "%zz",
      "%",
      "%4",
      "a%",
      "%F0%9F",
      "%ff",
      "%c3",
      "%ed%a0%80",
      "a%2",
      "%%41",
    ]) {
      await refused(f, `PUT /v1/kv/demo/${key}`, 400, "bad-key-encoding", {}, "x");
    }
    for (const key of ["!", "a", "a/b", "%41%41"]) {
      await refused(f, `PUT /v1/kv64/demo/${key}`, 400, "bad-key-encoding", {}, "x");
    }
    expect((await f.send("PUT /v1/kv/demo/%25zz", "x")).status).toBe(204);
  });

  test("row 40: unlike keys stay unlike, byte for byte", async () => {
    const f = fixture();
    const keys = [
      "%00",
      "a%2Fb",
      "a%20b",
      "a+b",
      "a%25b",
      "%F0%9F%98%80",
      "%C3%A9",
      "e%CC%81",
      "A",
      "a",
      "%EF%BB%BFa",
    ];
    for (const key of keys) await f.send(`PUT /v1/kv/demo/${key}`, key);
    for (const key of keys) expect(await (await f.send(`GET /v1/kv/demo/${key}`)).text()).toBe(key);
    expect((await jsonOf(await f.send("GET /v1/kv/demo"))).keys).toHaveLength(keys.length);
  });

  test("row 40: 1,000 keys of random bytes round-trip, in both forms of the path", async () => {
    const f = fixture();
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 256 });
    await fc.assert(
      fc.asyncProperty(bytes, async (key) => {
        expect((await f.send(`PUT /v1/kv64/demo/${base64url(key)}`, key)).status).toBe(204);
        expect(stored(f, key)).toEqual(key);
      }),
      { numRuns: 500 },
    );
    // A text that is only dots between slashes is what a URL cannot carry.
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, async (key) => {
        const encoded = new TextEncoder().encode(key);
        if (encoded.length > 256 || key.split("/").some((part) => part === "." || part === ".."))
          return;
        const path = `/v1/kv/demo/${percentEncode(encoded)}`;
        expect((await f.send(`PUT ${path}`, key)).status).toBe(204);
        expect(stored(f, encoded)).toEqual(encoded);
      }),
      { numRuns: 500 },
    );
  });

  test("row 41: . and .. cannot arrive by path and are reached by base64url", async () => {
    const f = fixture();
    await refused(f, "PUT /v1/kv/demo/..", 404, "no-such-route", {}, "x");
    await refused(f, "PUT /v1/kv/demo/%2e%2e", 404, "no-such-route", {}, "x");
    for (const key of [".", ".."]) {
      const path = `/v1/kv64/demo/${base64url(new TextEncoder().encode(key))}`;
      expect((await f.send(`PUT ${path}`, key)).status).toBe(204);
      expect(await (await f.send(`GET ${path}`)).text()).toBe(key);
    }
  });

  test("row 42: a/../b is the key b on arrival", async () => {
    const f = fixture();
    await f.send("PUT /v1/kv/demo/a/../b", "x");
    expect(await (await f.send("GET /v1/kv/demo/b")).text()).toBe("x");
  });

  test("row 43: a slash is a slash, raw or encoded; empty segments are kept", async () => {
    const f = fixture();
    await f.send("PUT /v1/kv/demo/a/b", "1");
    expect(await (await f.send("GET /v1/kv/demo/a%2Fb")).text()).toBe("1");
    await f.send("PUT /v1/kv/demo//a//", "2");
    expect(await (await f.send("GET /v1/kv/demo/%2Fa%2F%2F")).text()).toBe("2");
    await refused(f, "GET /v1/kv/demo/a", 404, "key-not-found");
  });

  test("row 44: names of the language are ordinary keys", async () => {
    const f = fixture();
    for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      await refused(f, `GET /v1/kv/demo/${key}`, 404, "key-not-found");
      await f.send(`PUT /v1/kv/demo/${key}`, key, { [`X-Meta-${key}`]: "m" });
      const get = await f.send(`GET /v1/kv/demo/${key}`, null, {
        Accept: "application/vnd.hutch.siblings+json",
      });
      const [sibling] = JSON.parse(await get.text()).siblings;
      expect(Object.getOwnPropertyNames(sibling.meta)).toEqual([key.toLowerCase()]);
    }
    await f.send("PUT /v1/kv/constructor/a", "x");
    expect((await f.send("GET /v1/kv/constructor/a")).status).toBe(200);
  });

  test("row 45: a value of no bytes is stored and is not a missing one", async () => {
    const f = fixture();
    expect((await f.send("PUT /v1/kv/demo/a")).status).toBe(204);
    const get = await f.send("GET /v1/kv/demo/a");
    expect([get.status, await get.text()]).toEqual([200, ""]);
    expect((await f.send("HEAD /v1/kv/demo/a")).headers.get("content-length")).toBe("0");
  });

  test("row 46: a value at the limit is taken, one byte more is 413", async () => {
    const f = fixture();
    await f.kv.setBucket("demo", "put", { valueBytesMax: 1000 });
    expect((await f.send("PUT /v1/kv/demo/a", new Uint8Array(1000))).status).toBe(204);
    await refused(f, "PUT /v1/kv/demo/a", 413, "value-too-large", {}, new Uint8Array(1001));
    await refused(f, "POST /v1/kv/demo", 413, "value-too-large", {}, new Uint8Array(1001));
  });

  test("row 47: all 256 byte values come back as they were", async () => {
    const f = fixture();
    const value = Uint8Array.from({ length: 65_536 }, (_, i) => i);
    await f.send("PUT /v1/kv/demo/a", value, { "Content-Type": "image/x-odd;a=b" });
    const get = await f.send("GET /v1/kv/demo/a");
    expect(await get.bytes()).toEqual(value);
    expect(get.headers.get("content-type")).toBe("image/x-odd;a=b");
  });

  test("row 48: a missing key has no context, a deleted one has the tombstone's", async () => {
    const f = fixture();
    const never = await f.send("GET /v1/kv/demo/a");
    expect(never.headers.get("x-causal-context")).toBeNull();
    expect(never.headers.get("x-tombstone")).toBeNull();
    await f.send("PUT /v1/kv/demo/a", "x");
    await f.send("DELETE /v1/kv/demo/a");
    const deleted = await f.send("GET /v1/kv/demo/a");
    const context = deleted.headers.get("x-causal-context")!;
    expect(await problemOf(deleted, 404, "key-not-found")).toMatchObject({ context });
    expect((await f.send("PUT /v1/kv/demo/a", "y", { "X-Causal-Context": context })).status).toBe(
      204,
    );
  });

  test("row 49: a delete without context deletes what is there", async () => {
    const f = fixture();
    await f.kv.setBucket("demo", "put", { blindPut: "sibling" });
    await f.send("PUT /v1/kv/demo/a", "1");
    await f.send("PUT /v1/kv/demo/a", "2");
    expect((await f.send("DELETE /v1/kv/demo/a")).status).toBe(204);
    await refused(f, "GET /v1/kv/demo/a", 404, "key-not-found");
  });

  test("row 50: 100 writers without context leave at most 50 siblings, and one context covers all", async () => {
    const f = fixture();
    await f.kv.setBucket("demo", "put", { blindPut: "sibling" });
    const writes = Array.from({ length: 100 }, (_, i) => f.send("PUT /v1/kv/demo/a", `v${i}`));
    const statuses = (await Promise.all(writes)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 204)).toHaveLength(50);
    expect(statuses.filter((status) => status === 409)).toHaveLength(50);
    const refusal = await f.send("PUT /v1/kv/demo/a", "x");
    const context = refusal.headers.get("x-causal-context")!;
    await problemOf(refusal, 409, "too-many-siblings");
    const get = await f.send("GET /v1/kv/demo/a");
    expect([get.status, get.headers.get("x-siblings")]).toEqual([300, "50"]);
    await f.send("PUT /v1/kv/demo/a", "one", { "X-Causal-Context": context });
    expect(await (await f.send("GET /v1/kv/demo/a")).text()).toBe("one");
  });

  test("row 53: a batch over 1,000 operations or 16 MiB is 413, a malformed operation refuses all", async () => {
    const f = fixture();
    const put = { op: "put", bucket: "demo", key: "a", value: "x" };
    const batch = (ops: unknown[]): string => JSON.stringify({ ops });
    const send = (ops: unknown[]) => f.send("POST /v1/batch", batch(ops), JSON_TYPE);
    expect((await jsonOf(await send(new Array(1000).fill(put)))).results).toHaveLength(1000);
    await refused(
      f,
      "POST /v1/batch",
      413,
      "value-too-large",
      JSON_TYPE,
      batch(new Array(1001).fill(put)),
    );
    const huge = new Uint8Array(16 * 1024 * 1024 + 1).fill(0x20);
    await refused(f, "POST /v1/batch", 413, "value-too-large", JSON_TYPE, huge);
    for (const [bad, code] of [
      [{ op: "fly", bucket: "demo", key: "a" }, "bad-request"],
      [{ op: "put", bucket: "demo", key: "a" }, "bad-request"],
      [{ op: "put", bucket: "demo", key: "a", value: "x", valueB64: "eA" }, "bad-request"],
      [{ op: "put", bucket: "demo", key: "a", valueB64: "!" }, "bad-request"],
      [{ op: "put", bucket: "Demo", key: "a", value: "x" }, "bad-bucket"],
      [{ op: "put", bucket: "demo", key: "", value: "x" }, "bad-key"],
      [{ op: "put", bucket: "demo", key: "a", value: "x", ttl: 0 }, "bad-ttl"],
      [{ op: "put", bucket: "demo", key: "a", value: "x", ifMatch: "x" }, "bad-request"],
      [{ op: "get", bucket: "demo", key: "a", value: "x" }, "bad-request"],
      [null, "bad-request"],
    ] as const) {
      await refused(f, "POST /v1/batch", 400, code, JSON_TYPE, batch([put, bad]));
    }
  });

  test("bucket names outside the rule are bad-bucket on every route that has one", async () => {
    const f = fixture();
    for (const bucket of ["Demo", "-a", "a".repeat(64), "a%20b", "%zz", "a%2Fb", "é"]) {
      for (const line of [
        `GET /v1/kv/${bucket}/a`,
        `GET /v1/kv/${bucket}`,
        `GET /v1/buckets/${bucket}`,
        `GET /v1/export/${bucket}`,
      ]) {
        await refused(f, line, 400, "bad-bucket");
      }
    }
    expect((await f.send("PUT /v1/kv/%64emo/a", "x")).status).toBe(204);
    expect((await f.send("GET /v1/kv/demo/a")).status).toBe(200);
    expect((await f.send(`PUT /v1/kv/${"a".repeat(63)}/a`, "x")).status).toBe(204);
  });
});
