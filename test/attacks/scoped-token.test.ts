/**
 * A token for `users/eu/*` that tries everything the contract has to learn of, or touch, what is outside. What is there bears marks: no answer may show one, whatever
 * its status.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ROUTES } from "../../src/http/routes.ts";
import { base64url, utf8 } from "../../src/base/bytes.ts";
import { type ClosedNode, closedNode, entry, tokenOf } from "./closed-node.ts";

setDefaultTimeout(20_000);

/** In every key, value and metadata outside. */
const KEY_MARK = "hidden";
const VALUE_MARK = "classified";
const JSON_TYPE = { "Content-Type": "application/json" };
const NDJSON_TYPE = { "Content-Type": "application/x-ndjson" };
const OUTSIDE = [
  ["users", `us/${KEY_MARK}`],
  ["users", `a-${KEY_MARK}`],
  ["users", `eu0-${KEY_MARK}`],
  ["users", `eu`],
  ["other", `eu/${KEY_MARK}`],
] as const;

let closed: ClosedNode;

beforeAll(async () => {
  const place = { scopes: [{ bucket: "users", prefix: "eu/" }] };
  closed = await closedNode([
    entry("boss", ["admin"]),
    entry("eu", ["read", "write"], place),
    entry("writer", ["write"]),
  ]);
  const meta = { "X-Meta-note": VALUE_MARK };
  for (const [bucket, key] of OUTSIDE)
    await put("boss", `/v1/kv/${bucket}/${encodeURIComponent(key)}`, VALUE_MARK, meta);
  for (let i = 0; i < 5; i++) await put("eu", `/v1/kv/users/eu%2Fk${i}`, "mine");
  // Asked for often enough to be among the answers that are kept.
  for (let i = 0; i < 5; i++) await closed.send("boss", `GET /v1/kv/users/us%2F${KEY_MARK}`);
});

afterAll(() => closed.close());

async function put(id: string, path: string, body: string, headers = {}): Promise<void> {
  expect((await closed.send(id, `PUT ${path}`, { body, headers })).status).toBe(204);
}

/** Sends as the token for `eu/`; the answer must not show what it is not for. */
async function attempt(line: string, init: RequestInit = {}): Promise<[number, string]> {
  const response = await closed.send("eu", line, init);
  const text = `${JSON.stringify([...response.headers])}\n${await response.text()}`;
  expect([line, text.includes(VALUE_MARK)]).toEqual([line, false]);
  // What was asked for by name is repeated to who asked.
  const isNamed = line.includes(KEY_MARK) || String(init.body).includes(KEY_MARK);
  if (!isNamed) expect([line, text.includes(KEY_MARK)]).toEqual([line, false]);
  return [response.status, text];
}

async function refused(line: string, init: RequestInit = {}): Promise<void> {
  const [status] = await attempt(line, init);
  expect([line, status]).toEqual([line, 403]);
}

describe("row 55: a token for users/eu/*", () => {
  test("reads no key outside, under no spelling, with no option", async () => {
    const us = `us%2F${KEY_MARK}`;
    for (const spelling of [
      `kv/users/${us}`,
      `kv/users/us/${KEY_MARK}`,
      `kv/%75sers/${us}`,
      `kv/users/%75s%2f${KEY_MARK}`,
      `kv64/users/${base64url(utf8(`us/${KEY_MARK}`))}`,
      `kv/users//eu/${KEY_MARK}`,
      `kv/users/eu0-${KEY_MARK}`,
      `kv/other/eu%2F${KEY_MARK}`,
      "kv/users/eu",
    ])
      for (const query of ["", "?explain=1", "?resolve=lww", "?dot=x", "?consistency=ALL"]) {
        const isEncoded = spelling.startsWith("kv64");
        const line = `GET /v1/${spelling}${query}`;
        if (!isEncoded) await refused(line);
        else expect((await closed.send("eu", line)).status).toBe(403);
        expect((await closed.send("eu", line.replace("GET", "HEAD"))).status).toBe(403);
      }
    // Dots in a key are dots.
    expect((await attempt(`GET /v1/kv/users/eu%2F..%2Fus%2F${KEY_MARK}`))[0]).toBe(404);
    await refused(`GET /v1/cluster/ring?key=users/us/${KEY_MARK}`);
    await refused("GET /v1/buckets/other");
    expect((await attempt("GET /v1/buckets"))[1]).not.toContain('"other"');
  });

  test("gets nothing by requests that parsers read in two ways", async () => {
    const path = `/v1/kv/users/us/${KEY_MARK}`;
    const [eu, boss] = ["eu", "boss"].map((id) => `Authorization: Bearer ${tokenOf(id)}\r\n`);
    const host = "Host: localhost\r\n";
    for (const [request, want] of [
      [`GET /v1/kv/users/eu/../us/${KEY_MARK} HTTP/1.1\r\n${host}${eu}`, 403],
      [`GET /v1/kv/users/eu/%2e%2e/us/${KEY_MARK} HTTP/1.1\r\n${host}${eu}`, 403],
      [`GET /v1/kv/users\\..\\us/${KEY_MARK} HTTP/1.1\r\n${host}${eu}`, 403],
      [`GET http://localhost${path} HTTP/1.1\r\n${host}${eu}`, 403],
      [`GET /ui/..${path} HTTP/1.1\r\n${host}`, 401],
      [`GET ${path} HTTP/1.1\r\nHost: localhost/v1/kv/users/eu/k1?\r\n${eu}`, 400],
      [`GET ${path} HTTP/1.1\r\nHost: localhost/healthz?\r\n`, 400],
      [`GET ${path} HTTP/1.1\r\nHost: localhost#\r\n`, 400],
      [`GET ${path} HTTP/1.1\r\nHost: healthz/@localhost\r\n`, 400],
      [`GET ${path} HTTP/1.1\r\nHost: attacker.example\r\n${boss}`, 421],
      // Two tokens are none.
      [`GET ${path} HTTP/1.1\r\n${host}${eu}${boss}`, 401],
      [`GET ${path}?authorization=Bearer%20${tokenOf("boss")} HTTP/1.1\r\n${host}`, 401],
    ] as const) {
      const answer = await closed.raw(`${request}Connection: close\r\n\r\n`);
      expect([request, answer.slice(9, 12)]).toEqual([request, String(want)]);
      expect(answer).not.toContain(VALUE_MARK);
    }
  });

  test("lists nothing outside: bounds, cursors of others, groups, lines", async () => {
    for (const query of ["", "?prefix=", "?prefix=eu", "?start=eu/&end=eu0", "?prefix=us/"])
      await refused(`GET /v1/kv/users${query}`);
    for (const query of ["?prefix=eu/&prefix=", "?prefix=&prefix=eu/", "?prefix=eu/&%70refix="])
      expect((await attempt(`GET /v1/kv/users${query}`))[0]).toBe(400);
    const inside = "GET /v1/kv/users?prefix=eu/&values=1";
    for (const query of [
      "&start=a",
      "&start=us/",
      "&end=zz&reverse=1",
      "&delimiter=e",
      "&start=eu",
    ])
      expect((await attempt(inside + query))[0]).toBe(200);
    // Cursors of an administrator stand before, in and behind the place.
    for (const [start, limit] of [
      ["a", 1],
      ["eu/", 2],
      ["f", 1],
    ] as const) {
      const page = await closed.send("boss", `GET /v1/kv/users?start=${start}&limit=${limit}`);
      const { cursor } = (await page.json()) as { cursor: string };
      for (const headers of [{}, { Accept: "application/x-ndjson" }])
        await attempt(`${inside}&cursor=${encodeURIComponent(cursor)}`, { headers });
    }
    // Nor do its own cursors name the key behind the last one.
    let cursor = "";
    do {
      const [, text] = await attempt(`${inside}&limit=1&cursor=${encodeURIComponent(cursor)}`);
      cursor = /"cursor":"([^"]*)"/.exec(text)![1]!;
      expect(Buffer.from(cursor, "base64url").toString("latin1")).not.toContain(KEY_MARK);
    } while (cursor !== "");
    await refused("GET /v1/export/users");
    await refused("GET /v1/export/users?after=eu/");
  });

  test("writes nothing outside: batches, imports, keys of the server's making, deletions", async () => {
    const batch = (...ops: readonly object[]) =>
      ({ body: JSON.stringify({ ops }), headers: JSON_TYPE }) as const;
    const us = { bucket: "users", key: `us/${KEY_MARK}` };
    const mine = { op: "put", bucket: "users", key: "eu/new", value: "x" };
    for (const op of [
      { op: "get", ...us },
      { op: "put", ...us, value: "x" },
      { op: "delete", ...us },
      { op: "delete", ...us, ifMatch: '"x"' },
      { op: "put", bucket: "users", keyB64: base64url(utf8("us/x")), value: "x" },
      { op: "get", bucket: "other", key: "eu/k" },
    ])
      await refused("POST /v1/batch", batch(mine, op));
    const twice = `{"ops":[{"op":"get","bucket":"users","key":"eu/k1","key":"us/${KEY_MARK}"}]}`;
    expect((await attempt("POST /v1/batch", { body: twice, headers: JSON_TYPE }))[0]).toBe(400);
    expect((await attempt("GET /v1/kv/users/eu%2Fnew"))[0]).toBe(404);

    const [line] = (await (await closed.send("boss", "GET /v1/export/other")).text()).split("\n");
    const { record } = JSON.parse(line!) as { record: object };
    const stolen = JSON.stringify({ key: "us/new", record });
    const merged = await attempt("POST /v1/import/users", { body: stolen, headers: NDJSON_TYPE });
    expect(merged[1]).toContain('"imported":0');
    await refused("POST /v1/import/other", { body: stolen, headers: NDJSON_TYPE });
    await refused("POST /v1/kv/users", { body: "x" });
    await refused("POST /v1/kv/users", { body: "x", headers: { "Idempotency-Key": "eu/x" } });
    await refused("DELETE /v1/kv/users/eu");
    const after = await closed.send("boss", "GET /v1/kv/users/us%2Fnew");
    expect(after.status).toBe(404);
    expect(await (await closed.send("boss", "GET /v1/kv/users/eu")).text()).toBe(VALUE_MARK);
  });

  test("shows nothing outside on any route, and a token for writing nothing of others", async () => {
    for (const { method, path } of ROUTES) {
      const concrete = path
        .replace("{bucket}", "users")
        .replace("{key}", "eu%2Fk1")
        .replace(/\{\w+\}/, "x1");
      if (method === "DELETE") continue;
      await attempt(`${method} ${concrete}`, method === "GET" ? {} : { body: "{}" });
    }
    const line = `PUT /v1/kv/users/us%2F${KEY_MARK}`;
    const headers = { Prefer: "return=representation", "Idempotency-Key": "k" };
    await closed.send("boss", line, { body: VALUE_MARK, headers });
    for (const condition of [{}, { "If-None-Match": "*" }, { "If-Match": '"x"' }]) {
      const init = { body: "guess", headers: { ...headers, ...condition } };
      const answer = await closed.send("writer", line, init);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(await answer.text()).not.toContain(VALUE_MARK);
    }
    const repeated = await closed.send("writer", line, { body: VALUE_MARK, headers });
    expect([repeated.status, await repeated.text()]).toEqual([204, ""]);
  });

  test("Q21: and neither log, audit nor metrics have learnt a key, a value or a token of all that", async () => {
    const metrics = await (await closed.send("boss", "GET /metrics")).text();
    await closed.node.end("SIGTERM");
    const written = [metrics, await closed.node.log(), readFileSync(closed.audit, "utf8")];
    expect(written[2]).toContain("access_refused");
    for (const text of written)
      for (const secret of [KEY_MARK, VALUE_MARK, tokenOf("eu"), tokenOf("boss"), "eu%2F", "eu/k"])
        expect([secret, text.includes(secret)]).toEqual([secret, false]);
  });
});
