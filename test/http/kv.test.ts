import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { fixture, jsonOf, problemOf } from "./fixture.ts";

const SIBLINGS = "application/vnd.hutch.siblings+json";

/** Two values of `demo/k` that do not know of each other, `a` the older one. */
async function withSiblings() {
  const f = fixture();
  await f.kv.setBucket("demo", "put", { blindPut: "sibling" });
  await f.send("PUT /v1/kv/demo/k", "a", { "Content-Type": "text/plain" });
  f.clock.advance(1000);
  await f.send("PUT /v1/kv/demo/k", "b");
  return f;
}

describe("one key", () => {
  test("PUT then GET gives the bytes, the type and what REST.md promises in headers", async () => {
    const { send } = fixture();
    const put = await send("PUT /v1/kv/demo/hello", "world", { "Content-Type": "text/plain" });
    expect(put.status).toBe(204);
    expect(put.headers.get("x-acks")).toBe("n=3, ok=2, primary=2, hinted=0, durable=2");
    expect(put.headers.get("x-causal-context")).not.toBeNull();
    const get = await send("GET /v1/kv/demo/hello");
    expect(get.status).toBe(200);
    expect(await get.text()).toBe("world");
    expect(get.headers.get("content-type")).toBe("text/plain");
    expect(get.headers.get("etag")).toMatch(/^".+"$/);
    expect(get.headers.get("etag")).toBe(put.headers.get("etag"));
    expect(get.headers.get("last-modified")).toBe("Sat, 21 Nov 2026 12:00:00 GMT");
    expect(get.headers.get("x-replies")).toBe("n=3, ok=2, primary=2");
    expect(get.headers.get("x-conflict-mode")).toBe("siblings");
    expect(get.headers.get("x-siblings")).toBeNull();
    expect(get.headers.get("x-effective-n")).toBeNull();
    expect(get.headers.get("x-node")).toBe("n1");
    expect(get.headers.get("x-request-id")).not.toBe(put.headers.get("x-request-id"));
  });

  test("HEAD has the headers of GET, the length too, and no body", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/hello", "world");
    const head = await send("HEAD /v1/kv/demo/hello");
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe("5");
    expect(head.headers.get("etag")).not.toBeNull();
    expect(await head.text()).toBe("");
    expect((await send("HEAD /v1/kv/demo/none")).status).toBe(404);
  });

  test("an answer of a smaller cluster names its effective N", async () => {
    const { send, kv } = fixture();
    kv.nodeCount = 1;
    const put = await send("PUT /v1/kv/demo/a", "1");
    expect(put.headers.get("x-effective-n")).toBe("1");
    expect((await send("GET /v1/kv/demo/a")).headers.get("x-effective-n")).toBe("1");
    await problemOf(
      await send("GET /v1/kv/demo/a", undefined, { "X-Consistency": "r=2" }),
      400,
      "bad-consistency",
    );
  });

  test("the type that curl sends by default counts as not given", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "x", { "Content-Type": "application/x-www-form-urlencoded" });
    const get = await send("GET /v1/kv/demo/a", undefined, { Accept: "image/png" });
    expect(get.headers.get("content-type")).toBe("application/octet-stream");
  });

  test("a value of a type is given to browsers so that it cannot run in the node's name", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "<script>", { "Content-Type": "text/html" });
    const get = await send("GET /v1/kv/demo/a");
    expect(get.headers.get("content-security-policy")).toBe("sandbox");
    expect(get.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("DELETE is 204 whether or not the key is there, and its context lets a PUT follow", async () => {
    const { send } = fixture();
    expect((await send("DELETE /v1/kv/demo/none")).status).toBe(204);
    await send("PUT /v1/kv/demo/a", "1");
    const deleted = await send("DELETE /v1/kv/demo/a");
    expect(deleted.status).toBe(204);
    const context = deleted.headers.get("x-causal-context")!;
    expect((await send("PUT /v1/kv/demo/a", "2", { "X-Causal-Context": context })).status).toBe(
      204,
    );
    expect(await (await send("GET /v1/kv/demo/a")).text()).toBe("2");
  });

  test("metadata, encoding and expiry are stored and given back", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "x", {
      "X-Meta-Owner": "ann",
      "X-Meta-Cafe": "caf\u00c3\u00a9",
      "Content-Encoding": "gzip",
      "X-TTL": "60s",
    });
    const get = await send("GET /v1/kv/demo/a");
    expect(get.headers.get("x-meta-owner")).toBe("ann");
    expect(get.headers.get("x-meta-cafe")).toBe("caf\u00c3\u00a9");
    expect(get.headers.get("content-encoding")).toBe("gzip");
    expect(get.headers.get("x-expires-at")).toBe("2026-11-21T12:01:00.000Z");
  });

  test("X-Expires-At sets an instant, keep keeps the old one", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "1", { "X-Expires-At": "2026-11-21T14:00:00+01:00" });
    const at = (await send("GET /v1/kv/demo/a")).headers.get("x-expires-at");
    expect(at).toBe("2026-11-21T13:00:00.000Z");
    await send("PUT /v1/kv/demo/a", "2", { "X-TTL": "keep" });
    expect((await send("GET /v1/kv/demo/a")).headers.get("x-expires-at")).toBe(at);
    await send("PUT /v1/kv/demo/a", "3");
    expect((await send("GET /v1/kv/demo/a")).headers.get("x-expires-at")).toBeNull();
  });

  test("an expired key is a 404 that says tombstone", async () => {
    const { send, clock } = fixture();
    await send("PUT /v1/kv/demo/a?ttl=60", "x");
    clock.advance(61_000);
    const get = await send("GET /v1/kv/demo/a");
    expect(get.headers.get("x-tombstone")).toBe("true");
    await problemOf(get, 404, "key-not-found");
  });

  test("every option has its twin in the query, and the header wins", async () => {
    const { send, kv } = fixture();
    await send(
      "PUT /v1/kv/demo/a?consistency=ALL&ttl=2h&timeout=250ms&session=new&meta-Owner=a+b&content-type=text/plain&idempotency-key=i1",
      "x",
    );
    expect(kv.lastWrite).toMatchObject({
      consistency: { level: "ALL" },
      expiry: { kind: "after", ttlMs: 7_200_000 },
      timeoutMs: 250,
      session: "new",
      meta: [["owner", "a b"]],
      contentType: "text/plain",
      idempotencyKey: "i1",
    });
    await send("GET /v1/kv/demo/a?consistency=banana&timeout=x", undefined, {
      "X-Consistency": "ONE",
      "X-Timeout": "2s",
    });
    expect(kv.lastRead).toMatchObject({ consistency: { level: "ONE" }, timeoutMs: 2000 });
    const token = (await send("GET /v1/kv/demo/a")).headers.get("x-causal-context")!;
    await send(`PUT /v1/kv/demo/a?context=${token}`, "y");
    expect(kv.lastWrite?.context).toBe(token);
  });

  test("a session token is handed through and given back", async () => {
    const { send } = fixture();
    const first = await send("PUT /v1/kv/demo/a", "1", { "X-Session": "new" });
    const token = first.headers.get("x-session")!;
    const second = await send("GET /v1/kv/demo/a", undefined, { "X-Session": token });
    expect(second.headers.get("x-session")).not.toBe(token);
    await problemOf(
      await send("GET /v1/kv/demo/a", undefined, { "X-Session": "garbage" }),
      400,
      "bad-session",
    );
    expect((await send("GET /v1/kv/demo/a")).headers.get("x-session")).toBeNull();
  });

  test("Prefer: return=representation answers a PUT with what a GET would show", async () => {
    const { send } = await withSiblings();
    const prefer = { Prefer: "return=representation" };
    const several = await send("PUT /v1/kv/demo/k", "c", prefer);
    expect(several.status).toBe(300);
    expect((await jsonOf(several)).siblings).toHaveLength(3);
    const one = await send("PUT /v1/kv/demo/other", "c", prefer);
    expect(one.status).toBe(200);
    expect(one.headers.get("x-acks")).not.toBeNull();
    expect(await one.text()).toBe("c");
  });

  test("explain shows who holds what, also for an absent key", async () => {
    const { send } = fixture();
    const body = await jsonOf(await send("GET /v1/kv/demo/none?explain=1"));
    expect(body).toMatchObject({ key: "none", partition: 7, equal: true });
    expect(body.owners[0]).toMatchObject({ node: "n1", role: "primary", reachable: true });
    expect(body.fallbacks[0].role).toBe("fallback");
  });

  test("R19: If-None-Match of the current version is 304, of another one 200", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "1");
    const etag = (await send("GET /v1/kv/demo/a")).headers.get("etag")!;
    const same = await send("GET /v1/kv/demo/a", undefined, { "If-None-Match": `"x", W/${etag}` });
    expect(same.status).toBe(304);
    expect(same.headers.get("etag")).toBe(etag);
    expect(same.headers.get("x-causal-context")).not.toBeNull();
    expect(await same.text()).toBe("");
    expect((await send("GET /v1/kv/demo/a", undefined, { "If-None-Match": "*" })).status).toBe(304);
    expect((await send("GET /v1/kv/demo/a", undefined, { "If-None-Match": '"x"' })).status).toBe(
      200,
    );
    expect((await send("GET /v1/kv/demo/z", undefined, { "If-None-Match": "*" })).status).toBe(404);
    await problemOf(
      await send("GET /v1/kv/demo/a", undefined, { "If-Match": '"x"' }),
      412,
      "precondition-failed",
    );
  });

  test("R18: a conditional write says that its condition was advisory", async () => {
    const { send } = fixture();
    const first = await send("PUT /v1/kv/demo/a", "1", { "If-None-Match": "*" });
    expect(first.status).toBe(204);
    expect(first.headers.get("x-condition")).toBe("advisory");
    expect((await send("PUT /v1/kv/demo/b", "1")).headers.get("x-condition")).toBeNull();
  });

  test("a thrown promise becomes its problem, with Retry-After where trying again helps", async () => {
    const { send, kv } = fixture();
    kv.failure = new HutchError("unavailable", "Cannot read: no owner is up", { retry: "safe" });
    const unavailable = await send("GET /v1/kv/demo/a");
    expect(unavailable.headers.get("retry-after")).toBe("1");
    expect(await problemOf(unavailable, 503, "unavailable")).toMatchObject({
      retry: "safe",
      bucket: "demo",
      key: "a",
      instance: "/v1/kv/demo/a",
    });
    kv.failure = new HutchError("write-indeterminate", "1 of 2 acknowledgements", {
      data: { acks: [{ node: "n1", role: "primary", result: "ok" }] },
    });
    const problem = await problemOf(
      await send("PUT /v1/kv/demo/a", "x"),
      504,
      "write-indeterminate",
    );
    expect(problem).toMatchObject({ retry: "safe-with-idempotency-key", acks: [{ node: "n1" }] });
  });

  test("Q20: an error that nobody expected is told to the log and not to the client", async () => {
    const logged: unknown[] = [];
    const log = (_event: string, fields?: unknown): void => void logged.push(fields);
    const quiet = (): void => undefined;
    const { send, kv } = fixture({
      logger: { debug: quiet, info: quiet, warn: quiet, error: log },
    });
    for (const failure of [
      new TypeError("secret /data/dir"),
      new HutchError("data-corrupt", "secret: table 7", { data: { file: "secret" } }),
      new HutchError("disk-stuck", "secret"),
    ]) {
      kv.failure = failure;
      const response = await send("GET /v1/kv/demo/a");
      const code =
        failure instanceof HutchError && failure.code === "data-corrupt"
          ? "data-corrupt"
          : "internal";
      const problem = await problemOf(response, 500, code);
      expect(JSON.stringify(problem)).not.toContain("secret");
      expect(logged.at(-1)).toMatchObject({ requestId: problem["requestId"] });
    }
  });
});

describe("siblings", () => {
  test("are 300 with a JSON envelope by default, newest first", async () => {
    const { send } = await withSiblings();
    const get = await send("GET /v1/kv/demo/k");
    expect(get.status).toBe(300);
    expect(get.headers.get("x-siblings")).toBe("2");
    expect(get.headers.get("content-type")).toBe("application/json");
    const body = await jsonOf(get);
    expect(body.context).toBe(get.headers.get("x-causal-context"));
    expect(body.siblings).toMatchObject([
      { dot: "f.2", value: "b", meta: {} },
      { dot: "f.1", value: "a", contentType: "text/plain" },
    ]);
    expect(Object.keys(body.siblings[1])).toEqual(["dot", "hlc", "contentType", "meta", "value"]);
  });

  test("a PUT with the context of the read resolves them", async () => {
    const { send } = await withSiblings();
    const context = (await send("GET /v1/kv/demo/k")).headers.get("x-causal-context")!;
    await send("PUT /v1/kv/demo/k", "both", { "X-Causal-Context": context });
    const get = await send("GET /v1/kv/demo/k");
    expect([get.status, await get.text()]).toEqual([200, "both"]);
  });

  test("the vendor type gives the envelope with 200, also for one value", async () => {
    const { send } = await withSiblings();
    const accept = { Accept: SIBLINGS };
    const several = await send("GET /v1/kv/demo/k", undefined, accept);
    expect([several.status, several.headers.get("content-type")]).toEqual([200, SIBLINGS]);
    expect((await jsonOf(several)).siblings).toHaveLength(2);
    await send("PUT /v1/kv/demo/one", new Uint8Array([255, 0]));
    const one = await jsonOf(await send("GET /v1/kv/demo/one", undefined, accept));
    expect(one.siblings).toMatchObject([{ dot: "f.1", valueB64: "_wA" }]);
    await problemOf(await send("GET /v1/kv/demo/none", undefined, accept), 404, "key-not-found");
  });

  test("multipart has each value byte for byte, and 300", async () => {
    const { send } = await withSiblings();
    const get = await send("GET /v1/kv/demo/k", undefined, { Accept: "multipart/mixed" });
    expect(get.status).toBe(300);
    const boundary = /^multipart\/mixed; boundary=(\S+)$/.exec(
      get.headers.get("content-type")!,
    )![1]!;
    const parts = (await get.text()).split(`--${boundary}`);
    expect(parts).toHaveLength(4);
    expect(parts[1]).toEndWith("\r\n\r\nb\r\n");
    expect(parts[2]).toContain("Content-Type: text/plain\r\n");
    expect(parts[2]).toContain("X-Dot: f.1\r\n");
    expect(parts[3]).toBe("--\r\n");
  });

  test("resolve=lww gives the newest, raw, and still counts them", async () => {
    const { send } = await withSiblings();
    const get = await send("GET /v1/kv/demo/k?resolve=lww");
    expect([get.status, await get.text(), get.headers.get("x-siblings")]).toEqual([200, "b", "2"]);
    await problemOf(await send("GET /v1/kv/demo/k?resolve=coin"), 400, "bad-request");
  });

  test("dot= gives one of them, raw", async () => {
    const { send } = await withSiblings();
    const get = await send("GET /v1/kv/demo/k?dot=f.1");
    expect([get.status, await get.text()]).toEqual([200, "a"]);
    expect(get.headers.get("content-type")).toBe("text/plain");
    await problemOf(await send("GET /v1/kv/demo/k?dot=f.9"), 404, "key-not-found");
  });

  test("R17: a deletion beside a value is shown, unless tombstones=drop", async () => {
    const { send } = await withSiblings();
    const old = (await send("PUT /v1/kv/demo/m", "1")).headers.get("x-causal-context")!;
    await send("PUT /v1/kv/demo/m", "2", { "X-Causal-Context": old });
    await send("DELETE /v1/kv/demo/m", undefined, { "X-Causal-Context": old });
    const get = await send("GET /v1/kv/demo/m");
    expect([get.status, get.headers.get("x-siblings")]).toEqual([300, "2"]);
    expect((await jsonOf(get)).siblings.map((s: any) => s.deleted ?? s.value)).toEqual([true, "2"]);
    const dropped = await send("GET /v1/kv/demo/m?tombstones=drop");
    expect([dropped.status, await dropped.text()]).toEqual([200, "2"]);
  });

  test("R17: all deleted is 404 with the context", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "1");
    await send("DELETE /v1/kv/demo/a");
    const get = await send("GET /v1/kv/demo/a");
    expect(get.headers.get("x-tombstone")).toBe("true");
    expect(get.headers.get("x-causal-context")).not.toBeNull();
    await problemOf(get, 404, "key-not-found");
  });

  test("a lww bucket says how many concurrent values it dropped", async () => {
    const { send, kv } = fixture();
    await kv.setBucket("demo", "put", { conflicts: "lww" });
    const first = await send("PUT /v1/kv/demo/a", "1");
    const context = first.headers.get("x-causal-context")!;
    await send("PUT /v1/kv/demo/a", "2");
    const third = await send("PUT /v1/kv/demo/a", "3", { "X-Causal-Context": context });
    expect(third.headers.get("x-conflict-mode")).toBe("lww");
    expect(third.headers.get("x-conflict-dropped")).toBe("1");
  });
});

describe("server-made keys", () => {
  test("POST is 201 with a Location that holds the value; keys sort by time", async () => {
    const { send, clock } = fixture();
    const first = (await send("POST /v1/kv/demo", "1")).headers.get("location")!;
    clock.advance(1000);
    const second = await send("POST /v1/kv/demo", "2");
    expect(second.status).toBe(201);
    const location = second.headers.get("location")!;
    expect(location > first).toBe(true);
    expect(await (await send(`GET ${location}`)).text()).toBe("2");
  });

  test("a retry with the same Idempotency-Key is the same key and one write", async () => {
    const { send, kv } = fixture();
    const headers = { "Idempotency-Key": "order 7/a%" };
    const first = await send("POST /v1/kv/demo", "x", headers);
    const again = await send("POST /v1/kv/demo", "x", headers);
    expect(again.status).toBe(201);
    expect(again.headers.get("location")).toBe(first.headers.get("location"));
    expect(kv.writeCount).toBe(1);
    expect(await (await send(`GET ${first.headers.get("location")}`)).text()).toBe("x");
    await problemOf(await send("POST /v1/kv/demo", "y", headers), 422, "idempotency-mismatch");
  });

  test("an Idempotency-Key used anew after its time makes a new key and keeps the old value", async () => {
    const { send, clock } = fixture();
    const headers = { "Idempotency-Key": "1" };
    const old = (await send("POST /v1/kv/demo", "old", headers)).headers.get("location")!;
    clock.advance(11 * 60_000);
    const young = (await send("POST /v1/kv/demo", "new", headers)).headers.get("location")!;
    expect(young).not.toBe(old);
    expect((await send("POST /v1/kv/demo", "new", headers)).headers.get("location")).toBe(young);
    expect(await (await send(`GET ${old}`)).text()).toBe("old");
  });
});
