/** Section 3 of the contract: listing, batch, export and import, on one node. */

import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Answer, contextOf, contractNode, etagOf, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

const put = (path: string, body: string, headers: Record<string, string> = {}) =>
  call("PUT", path, { headers, body });
const keysOf = ({ json: page }: Answer): string[] => page.keys.map(({ key }: any) => key);
const list = (query = "", bucket = "list") => call("GET", `/v1/kv/${bucket}${query}`);

/** In byte order: the emoji sorts after the letters, the upper case before the lower. */
const sorted = ["B", "a", "a/1", "a/2", "a/b/3", "b", "c/4", "d", "é", "\u{1f600}"];

beforeAll(async () => {
  await json("PUT", "/v1/buckets/sib", { blindPut: "sibling" });
  for (const key of [...sorted].reverse())
    await put(`/v1/kv/list/${encodeURIComponent(key)}`, `value of ${key}`);
});

describe("listing", () => {
  test("keys come in byte order with etag, size, expiry and siblings; the page says it is complete", async () => {
    const page = await list();
    expect(page.status).toBe(200);
    expect(keysOf(page)).toEqual(sorted);
    expect(page.json).toMatchObject({ prefixes: [], complete: true, partial: false });
    const get = await call("GET", "/v1/kv/list/a");
    expect(page.json.keys[1]).toMatchObject({ key: "a", etag: etagOf(get), size: 10, siblings: 1 });
    expect(page.json.keys[1].expiresAt ?? null).toBeNull();
    expect(page.json.keys[1]).not.toHaveProperty("value");
    expect((await list("", "nothing-here")).json).toMatchObject({ keys: [], complete: true });
  });

  test("prefix, start inclusive, end exclusive, reverse", async () => {
    expect(keysOf(await list("?prefix=a/"))).toEqual(["a/1", "a/2", "a/b/3"]);
    expect(keysOf(await list("?start=a/2&end=d"))).toEqual(["a/2", "a/b/3", "b", "c/4"]);
    expect(keysOf(await list("?start=a/2"))[0]).toBe("a/2");
    expect(keysOf(await list("?end=a"))).toEqual(["B"]);
    expect(keysOf(await list("?reverse=1"))).toEqual([...sorted].reverse());
    expect(keysOf(await list("?prefix=a/&reverse=1"))).toEqual(["a/b/3", "a/2", "a/1"]);
    expect(keysOf(await list("?prefix=a/&start=a/2&end=a/b"))).toEqual(["a/2"]);
    expect(keysOf(await list("?prefix=%C3%A9"))).toEqual(["é"]);
    expect(keysOf(await list("?prefix=zz"))).toEqual([]);
    const back = keysOf(await list("?start=a/2&end=d&reverse=1"));
    expect(back).toEqual(["c/4", "b", "a/b/3", "a/2"]);
  });

  test("limit and cursor walk all keys once, in both directions and with a prefix", async () => {
    for (const query of ["", "&reverse=1", "&prefix=a", "&start=a/2&end=d", "&values=1"]) {
      const whole = keysOf(await list(`?limit=1000${query}`));
      for (const limit of [1, 2, 3]) {
        const walked: string[] = [];
        let cursor = "";
        for (let pages = 0; pages < 20; pages += 1) {
          const page = await list(`?limit=${limit}${query}&cursor=${encodeURIComponent(cursor)}`);
          expect(page.status).toBe(200);
          expect(page.json.keys.length).toBeLessThanOrEqual(limit);
          walked.push(...keysOf(page));
          if (page.json.complete) break;
          cursor = page.json.cursor;
          expect(cursor).toBeTruthy();
        }
        expect([query, limit, walked]).toEqual([query, limit, whole]);
      }
    }
  });

  test("delimiter groups into prefixes, across pages too", async () => {
    const page = await list("?delimiter=/");
    expect([keysOf(page), page.json.prefixes]).toEqual([
      ["B", "a", "b", "d", "é", "\u{1f600}"],
      ["a/", "c/"],
    ]);
    const below = await list("?delimiter=/&prefix=a/");
    expect([keysOf(below), below.json.prefixes]).toEqual([["a/1", "a/2"], ["a/b/"]]);
    const seen: string[] = [];
    let cursor = "";
    for (let pages = 0; pages < 20; pages += 1) {
      const each = await list(`?delimiter=/&limit=1&cursor=${encodeURIComponent(cursor)}`);
      seen.push(...keysOf(each), ...each.json.prefixes);
      if (each.json.complete) break;
      cursor = each.json.cursor;
    }
    expect(seen).toEqual(["B", "a", "a/", "b", "c/", "d", "é", "\u{1f600}"]);
    const reversed = await list("?delimiter=/&reverse=1");
    expect(reversed.json.prefixes).toEqual(["c/", "a/"]);
  });

  test("values=1 adds value or valueB64 with context and content type; siblings as in the envelope", async () => {
    await put("/v1/kv/vals/text", "text", { "Content-Type": "text/plain", "X-TTL": "1h" });
    await call("PUT", "/v1/kv/vals/zbytes", { body: new Uint8Array([0xff, 0]) });
    const { keys } = (await list("?values=1", "vals")).json;
    const get = await call("GET", "/v1/kv/vals/text");
    // `toMatchObject` puts its matchers into what it is given, so the token is taken before.
    const { context } = keys[0];
    expect(keys[0]).toMatchObject({
      value: "text",
      contentType: "text/plain",
      context: expect.any(String),
      etag: etagOf(get),
    });
    expect(Date.parse(keys[0].expiresAt)).toBe(
      Date.parse(get.headers.get("X-Expires-At") ?? "none"),
    );
    expect([keys[1].valueB64, keys[1].value]).toEqual([
      Buffer.from([0xff, 0]).toString("base64url"),
      undefined,
    ]);
    await put("/v1/kv/vals/text", "next", { "X-Causal-Context": context });
    expect((await call("GET", "/v1/kv/vals/text")).text).toBe("next");

    await put("/v1/kv/sib/k", "a");
    await put("/v1/kv/sib/k", "b");
    expect((await list("", "sib")).json.keys[0].siblings).toBe(2);
    const shown = (await list("?values=1", "sib")).json.keys[0];
    const envelope = (await call("GET", "/v1/kv/sib/k")).json;
    expect(shown.siblings).toEqual(envelope.siblings);
  });

  test("Accept: application/x-ndjson streams a line a key", async () => {
    const answer = await call("GET", "/v1/kv/list?values=1", {
      headers: { Accept: "application/x-ndjson" },
    });
    expect(answer.headers.get("Content-Type")).toStartWith("application/x-ndjson");
    const lines = answer.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ key }) => key !== undefined).map(({ key }) => key)).toEqual(sorted);
    expect(lines[0].value).toBe("value of B");
  });

  test("keys that are not UTF-8 are listed as keyB64 and pages go on behind them", async () => {
    const bytes = [[0x61], [0xff, 1], [0xff, 2]];
    const names = bytes.map((each) => Buffer.from(each).toString("base64url"));
    for (const name of names) await call("PUT", `/v1/kv64/listodd/${name}`, { body: "x" });
    const seen: string[] = [];
    let cursor = "";
    for (let pages = 0; pages < 5; pages += 1) {
      const page = (await list(`?limit=1&cursor=${encodeURIComponent(cursor)}`, "listodd")).json;
      seen.push(...page.keys.map(({ key, keyB64 }: any) => key ?? keyB64));
      if (page.complete) break;
      cursor = page.cursor;
    }
    expect(seen).toEqual(["a", names[1] ?? "", names[2] ?? ""]);
  });

  test("deleted keys are not listed", async () => {
    await put("/v1/kv/listdel/a", "1");
    await put("/v1/kv/listdel/b", "1");
    await call("DELETE", "/v1/kv/listdel/a");
    expect(keysOf(await list("", "listdel"))).toEqual(["b"]);
  });

  test("a limit outside 1 to 10,000, a bad flag, a bad cursor are 400", async () => {
    for (const query of ["limit=0", "limit=-1", "limit=10001", "limit=x", "limit=1.5", "reverse=x"])
      expectProblem(await list(`?${query}`), 400, "bad-request");
    expect((await list("?limit=10000")).status).toBe(200);
    for (const cursor of ["garbage", "%25%25", "AAAA"])
      expectProblem(await list(`?cursor=${cursor}`), 400, "bad-cursor");
    const { cursor } = (await list("?limit=2")).json;
    const elsewhere = await list(`?cursor=${encodeURIComponent(cursor)}`, "other");
    expectProblem(elsewhere, 400, "bad-cursor");
  });
});

test("rows 28, 31: a level, timeout or session that cannot be refuses a listing and an export", async () => {
  const ndjson = { Accept: "application/x-ndjson" };
  for (const path of ["/v1/kv/batch", "/v1/export/batch"])
    for (const headers of [{}, ndjson]) {
      for (const [option, code] of [
        ["consistency", "bad-consistency"],
        ["timeout", "bad-timeout"],
        ["session", "bad-session"],
      ]) {
        expectProblem(await call("GET", `${path}?${option}=banana`, { headers }), 400, `${code}`);
        const header = { ...headers, [`X-${option}`]: "banana" };
        expectProblem(await call("GET", path, { headers: header }), 400, `${code}`);
      }
      expectProblem(await call("GET", `${path}?consistency=STRONG`), 501, "not-implemented");
      const allowed = `${path}?consistency=ALL&timeout=2s&session=new`;
      expect((await call("GET", allowed, { headers })).status).toBe(200);
    }
});

describe("batch", () => {
  const batch = (ops: unknown, headers: Record<string, string> = {}) =>
    json("POST", "/v1/batch", { ops }, headers);

  test("puts, gets and deletes answer one by one, in order, in the same order per key", async () => {
    const answer = await batch([
      { op: "put", bucket: "batch", key: "a", value: "1" },
      { op: "get", bucket: "batch", key: "a" },
      { op: "put", bucket: "batch", key: "a", valueB64: Buffer.from([0xff]).toString("base64url") },
      { op: "get", bucket: "batch", key: "a" },
      { op: "delete", bucket: "batch", key: "a" },
      { op: "get", bucket: "batch", key: "a" },
      { op: "put", bucket: "batch", key: "b", value: "2", ttl: 3600 },
    ]);
    expect(answer.status).toBe(200);
    const { results } = answer.json;
    expect(results.map(({ status }: any) => status)).toEqual([204, 200, 204, 200, 204, 404, 204]);
    expect(results[0].context).toEqual(expect.any(String));
    expect(results[1].value).toBe("1");
    expect(results[3].valueB64).toBe("_w");
    expect(results[5].problem).toMatchObject({ status: 404, code: "key-not-found" });
    const expires = (await call("GET", "/v1/kv/batch/b")).headers.get("X-Expires-At") ?? "";
    expect(Math.abs(Date.parse(expires) - Date.now() - 3_600_000)).toBeLessThan(20_000);
  });

  test("keyB64 and valueB64 are base64url or standard base64, with padding or without", async () => {
    const value = Buffer.from([0xfb, 0xff, 0xfe, 0xff]);
    const texts = ["-__-_w", "-__-_w==", "+//+/w", "+//+/w=="];
    const keys = ["_w", "_w==", "/w", "/w=="];
    for (const [index, valueB64] of texts.entries()) {
      const put = { op: "put", bucket: "base64", keyB64: keys[index], valueB64 };
      expect((await batch([put])).json.results[0].status).toBe(204);
      const got = await call("GET", "/v1/kv64/base64/_w");
      expect(Buffer.from(got.bytes)).toEqual(value);
      const line = JSON.stringify({ keyB64: keys[index], valueB64 });
      const into = `/v1/import/base64${index}?mode=write`;
      const imported = await call("POST", into, { body: line });
      expect(imported.json).toMatchObject({ imported: 1, failed: 0 });
      const read = await call("GET", `/v1/kv64/base64${index}/_w`);
      expect(Buffer.from(read.bytes)).toEqual(value);
    }
  });

  test("context and ifMatch hold; an operation that fails at run time fails alone", async () => {
    const context = contextOf(await put("/v1/kv/sib/batch", "a"));
    const etag = etagOf(await put("/v1/kv/batch/tagged", "1"));
    const { results } = (
      await batch([
        { op: "put", bucket: "sib", key: "batch", value: "b", context },
        { op: "put", bucket: "batch", key: "tagged", value: "no", ifMatch: '"other"' },
        { op: "put", bucket: "batch", key: "tagged", value: "2", ifMatch: etag },
        { op: "put", bucket: "batch", key: "after", value: "3" },
      ])
    ).json;
    expect(results.map(({ status }: any) => status)).toEqual([204, 412, 204, 204]);
    expect(results[1].problem.code).toBe("precondition-failed");
    expect((await call("GET", "/v1/kv/sib/batch")).text).toBe("b");
    expect((await call("GET", "/v1/kv/batch/tagged")).text).toBe("2");
  });

  test("row 35: Idempotency-Key holds per operation: a retry is a replay, another body is 422 alone", async () => {
    const headers = { "Idempotency-Key": "batch-1" };
    const operations = (value: string) => [
      { op: "put", bucket: "sib", key: "retried", value: "a" },
      { op: "put", bucket: "sib", key: "retried", value },
      { op: "delete", bucket: "batch", key: "retried" },
    ];
    const first = await batch(operations("b"), headers);
    expect(first.json.results.map(({ status }: any) => status)).toEqual([204, 204, 204]);
    await put("/v1/kv/batch/retried", "since");
    expect((await batch(operations("b"), headers)).json).toEqual(first.json);
    expect((await call("GET", "/v1/kv/sib/retried")).headers.get("X-Siblings")).toBe("2");
    expect((await call("GET", "/v1/kv/batch/retried")).text).toBe("since");
    const other = (await batch(operations("c"), headers)).json.results;
    expect(other.map(({ status }: any) => status)).toEqual([204, 422, 204]);
    expect(other[1].problem.code).toBe("idempotency-mismatch");
    const long = { "Idempotency-Key": "k".repeat(201) };
    const fresh = [{ op: "put", bucket: "batch", key: "not-taken", value: "x" }];
    expectProblem(await batch(fresh, long), 400, "bad-request");
    expect((await call("GET", "/v1/kv/batch/not-taken")).status).toBe(404);
  });

  test("row 53: a malformed operation refuses the whole with 400, nothing written", async () => {
    const good = { op: "put", bucket: "batch", key: "whole", value: "x" };
    const foreign = contextOf(await put("/v1/kv/batch/foreign", "x"));
    const malformed = [
      { op: "fly", bucket: "batch", key: "k" },
      { op: "put", bucket: "batch", key: "k" },
      { op: "put", bucket: "batch", key: "k", value: "x", valueB64: "eA==" },
      { op: "put", bucket: "batch", key: "k", valueB64: "***" },
      { op: "put", bucket: "batch", key: "k", value: 7 },
      { op: "put", bucket: "BATCH", key: "k", value: "x" },
      { op: "put", bucket: "batch", key: "", value: "x" },
      { op: "put", bucket: "batch", value: "x" },
      { op: "put", bucket: "batch", key: "k", value: "x", ttl: 0 },
      { op: "put", bucket: "batch", key: "k", value: "x", ttl: -5 },
      { op: "put", bucket: "batch", key: "k", value: "x", ifMatch: "unquoted" },
      { op: "put", bucket: "batch", key: "k", value: "x", colour: "red" },
      { op: "get", bucket: "batch", key: "k", value: "x" },
      { op: "get", bucket: "batch", key: "k", ifMatch: "*" },
      { op: "put", bucket: "batch", key: "k", value: "x", context: "garbage" },
      { op: "delete", bucket: "batch", key: "k", context: foreign },
      { op: "put", bucket: "batch", key: "k".repeat(300), value: "x" },
      "put",
      null,
    ];
    for (const operation of malformed) {
      const answer = await batch([good, operation]);
      expect([operation, answer.status]).toEqual([operation, 400]);
    }
    expectProblem(
      await batch([good, { op: "put", bucket: "batch", key: "k", value: "x", colour: "red" }]),
      400,
      "unknown-field",
    );
    for (const ttl of [0, -5, 1.5, 10 * 366 * 86_400, "soon"])
      expectProblem(
        await batch([good, { op: "put", bucket: "batch", key: "k", value: "x", ttl }]),
        400,
        "bad-ttl",
      );
    const inOne = async (members: object) =>
      batch([good, { op: "put", bucket: "batch", key: "k", value: "x", ...members }]);
    expectProblem(await inOne({ context: "garbage" }), 400, "bad-context");
    expectProblem(await inOne({ context: foreign }), 400, "context-mismatch");
    expectProblem(await inOne({ key: "k".repeat(300) }), 400, "bad-key");
    expectProblem(await batch([good], { "X-Timeout": "banana" }), 400, "bad-timeout");
    expectProblem(await batch([good], { "X-Session": "banana" }), 400, "bad-session");
    for (const body of [{}, { ops: {} }, { ops: [good], extra: 1 }, [], "ops"])
      expect((await json("POST", "/v1/batch", body)).status).toBe(400);
    expect((await call("GET", "/v1/kv/batch/whole")).status).toBe(404);
  });

  test("a level that cannot be refuses the whole batch, nothing written", async () => {
    const ops = [{ op: "put", bucket: "batch", key: "level", value: "x" }];
    expectProblem(await batch(ops, { "X-Consistency": "banana" }), 400, "bad-consistency");
    expectProblem(await batch(ops, { "X-Consistency": "STRONG" }), 501, "not-implemented");
    expect((await call("GET", "/v1/kv/batch/level")).status).toBe(404);
    expect((await batch(ops, { "X-Consistency": "ALL" })).json.results[0].status).toBe(204);
  });

  test("row 53: 1,000 operations are taken, 1,001 are 413", async () => {
    const ops = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        op: "put",
        bucket: "batch1000",
        key: `k${index}`,
        value: "x",
      }));
    expect((await batch(ops(1001))).status).toBe(413);
    expect((await list("?limit=1", "batch1000")).json.keys).toEqual([]);
    const answer = await batch(ops(1000));
    expect(answer.json.results).toHaveLength(1000);
    expect((await list("", "batch1000")).json.keys).toHaveLength(1000);
    const large = Array.from({ length: 17 }, (_, index) => ({
      op: "put",
      bucket: "batch",
      key: `large${index}`,
      value: "x".repeat(1_000_000),
    }));
    expect((await batch(large)).status).toBe(413);
    expect((await call("GET", "/v1/kv/batch/large0")).status).toBe(404);
  });

  test("rows 23, 24, 26, 27: other types, encodings, bad JSON are refused, nothing written", async () => {
    const body = JSON.stringify({ ops: [{ op: "put", bucket: "b", key: "json", value: "x" }] });
    const send = (headers: Record<string, string>, text = body) =>
      call("POST", "/v1/batch", { headers, body: text });
    expectProblem(await send({ "Content-Type": "text/plain" }), 415, "unsupported-media-type");
    expectProblem(
      await send({ "Content-Type": "application/json", "Content-Encoding": "gzip" }),
      415,
      "unsupported-encoding",
    );
    const type = { "Content-Type": "application/json" };
    const deep = `{"ops":${"[".repeat(40)}${"]".repeat(40)}}`;
    const twice = body.replace('"value":"x"', '"value":"x","value":"y"');
    const proto = body.replace('"value":"x"', '"value":"x","__proto__":{"a":1}');
    for (const bad of ["", "{", "nonsense", '{"ops":[}', twice, deep, proto, `${body}x`])
      expectProblem(await send(type, bad), 400, "bad-json");
    expect((await call("GET", "/v1/kv/b/json")).status).toBe(404);
    expect(
      (await send({ "Content-Type": "application/json; charset=utf-8" })).json.results[0].status,
    ).toBe(204);
  });
});

describe("export and import", () => {
  const ndjson = { "Content-Type": "application/x-ndjson" };
  const send = (path: string, body: string) => call("POST", path, { headers: ndjson, body });

  beforeAll(async () => {
    await json("PUT", "/v1/buckets/from", { blindPut: "sibling" });
    await put("/v1/kv/from/one", "1", { "Content-Type": "text/plain", "X-Meta-Who": "ann" });
    await put("/v1/kv/from/two", "a");
    await put("/v1/kv/from/two", "b");
    await put("/v1/kv/from/ttl", "x", { "X-TTL": "1h" });
    await put("/v1/kv/from/gone", "x");
    await call("DELETE", "/v1/kv/from/gone");
    await call("PUT", `/v1/kv64/from/${Buffer.from([0xff, 1]).toString("base64url")}`, {
      body: new Uint8Array([0, 0xff]),
    });
  });

  test("an export imported into another bucket is the same there, with siblings, types, meta, expiry", async () => {
    const exported = await call("GET", "/v1/export/from");
    expect(exported.headers.get("Content-Type")).toStartWith("application/x-ndjson");
    for (const line of exported.text.trimEnd().split("\n")) JSON.parse(line);
    const answer = await send("/v1/import/into", exported.text);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ failed: 0, errors: [] });
    expect(answer.json.imported).toBe(exported.text.trimEnd().split("\n").length);
    const one = await call("GET", "/v1/kv/into/one");
    expect([one.text, one.headers.get("Content-Type"), one.headers.get("X-Meta-Who")]).toEqual([
      "1",
      "text/plain",
      "ann",
    ]);
    expect((await call("GET", "/v1/kv/into/two")).headers.get("X-Siblings")).toBe("2");
    const source = await call("GET", "/v1/kv/from/ttl");
    expect((await call("GET", "/v1/kv/into/ttl")).headers.get("X-Expires-At")).toBe(
      source.headers.get("X-Expires-At"),
    );
    expect((await call("GET", "/v1/kv/into/gone")).status).toBe(404);
    const odd = `/v1/kv64/into/${Buffer.from([0xff, 1]).toString("base64url")}`;
    expect((await call("GET", odd)).bytes).toEqual(new Uint8Array([0, 0xff]));

    const again = await send("/v1/import/into?mode=merge", exported.text);
    expect(again.json.failed).toBe(0);
    expect((await call("GET", "/v1/kv/into/two")).headers.get("X-Siblings")).toBe("2");
    expect(etagOf(await call("GET", "/v1/kv/into/one"))).toBe(etagOf(one));
  });

  test("importing twice into the same bucket changes nothing and does not bring back what was replaced", async () => {
    const before = await call("GET", "/v1/export/from");
    expect((await send("/v1/import/from", before.text)).json.failed).toBe(0);
    expect((await call("GET", "/v1/export/from")).text).toBe(before.text);
    const context = contextOf(await call("GET", "/v1/kv/from/one"));
    await put("/v1/kv/from/one", "newer", { "X-Causal-Context": context });
    await send("/v1/import/from", before.text);
    const get = await call("GET", "/v1/kv/from/one");
    expect([get.status, get.text]).toEqual([200, "newer"]);
  });

  test("a merge into a lww bucket says how many concurrent values it dropped, once", async () => {
    await json("PUT", "/v1/buckets/two", { blindPut: "sibling" });
    await json("PUT", "/v1/buckets/newest", { conflicts: "lww" });
    for (const body of ["a", "b", "c"]) await put("/v1/kv/two/many", body);
    await put("/v1/kv/two/single", "x");
    const body = (await call("GET", "/v1/export/two")).text;
    const droppedBy = async (bucket: string) => {
      const answer = await call("POST", `/v1/import/${bucket}`, { body });
      expect(answer.json).toEqual({ imported: 2, failed: 0, errors: [] });
      return answer.headers.get("X-Conflict-Dropped");
    };
    expect(await droppedBy("newest")).toBe("2");
    expect(await droppedBy("newest")).toBeNull();
    expect(await droppedBy("two")).toBeNull();
    expect((await call("GET", "/v1/kv/newest/many")).text).toBe("c");
  });

  test("?mode=write takes plain lines; bad ones are reported by number and do not stop the good", async () => {
    const lines = [
      JSON.stringify({ key: "w1", value: "1", contentType: "text/plain", meta: { who: "ann" } }),
      "",
      `${JSON.stringify({ key: "w2", valueB64: "_w", ttl: 3600 })}\r`,
      "{nonsense",
      JSON.stringify({ value: "no key" }),
      JSON.stringify({ key: "w3", value: "x", colour: "red" }),
      JSON.stringify({ keyB64: Buffer.from([0xfe]).toString("base64url"), value: "odd" }),
      JSON.stringify({ key: "k".repeat(300), value: "x" }),
      JSON.stringify({ key: "w4", value: "x", ttl: 0 }),
      JSON.stringify({ key: "w5", value: "last" }),
    ];
    const answer = await send("/v1/import/plain?mode=write", lines.join("\n"));
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ imported: 4, failed: 5 });
    expect(answer.json.errors.map(({ line }: any) => line)).toEqual([4, 5, 6, 8, 9]);
    for (const error of answer.json.errors)
      expect(error).toEqual({
        line: expect.any(Number),
        code: expect.any(String),
        detail: expect.any(String),
      });
    expect(answer.json.errors.map(({ code }: any) => code)).toEqual([
      "bad-json",
      expect.any(String),
      "unknown-field",
      "key-too-long",
      expect.any(String),
    ]);
    const one = await call("GET", "/v1/kv/plain/w1");
    expect([one.text, one.headers.get("Content-Type"), one.headers.get("X-Meta-Who")]).toEqual([
      "1",
      "text/plain",
      "ann",
    ]);
    const two = await call("GET", "/v1/kv/plain/w2");
    expect([[...two.bytes], !!two.headers.get("X-Expires-At")]).toEqual([[255], true]);
    expect((await call("GET", "/v1/kv/plain/w5")).text).toBe("last");
  });

  test("row 28: a level that cannot be refuses an import in both modes, nothing written", async () => {
    for (const mode of ["merge", "write"]) {
      const path = `/v1/import/refused?mode=${mode}&consistency=banana`;
      const refused = await call("POST", path, { body: '{"key":"k","value":"v"}' });
      expectProblem(refused, 400, "bad-consistency");
    }
    expect((await call("GET", "/v1/kv/refused/k")).status).toBe(404);
  });

  test("an unknown mode is 400, an empty import counts nothing", async () => {
    expect((await send("/v1/import/plain?mode=banana", "")).status).toBe(400);
    const nothing = await send("/v1/import/plain", "\n\r\n");
    expect(nothing.json).toMatchObject({ imported: 0, failed: 0, errors: [] });
    const forged = await send("/v1/import/plain", '{"key":"x","record":{"v":1}}\n');
    expect(forged.json).toMatchObject({ imported: 0, failed: 1 });
    expect((await call("GET", "/v1/export/no-keys-here")).text.trim()).toBe("");
  });

  test("watch is reserved: 501", async () => {
    expectProblem(await call("GET", "/v1/watch/from?prefix=a"), 501, "not-implemented");
  });
});
