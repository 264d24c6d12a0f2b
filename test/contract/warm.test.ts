/** A key that is read again and again: every answer is as true as the first one, whatever changed in between. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { type Answer, contextOf, contractNode, eventually, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

let keyCount = 0;

/** A key that was read often enough for any kind of shortcut. */
async function warm(bucket: string, body: string, headers: Record<string, string> = {}) {
  const path = `/v1/kv/${bucket}/k${++keyCount}`;
  await call("PUT", path, { headers, body });
  for (let reads = 0; reads < 5; reads += 1) expect((await call("GET", path)).text).toBe(body);
  return path;
}

const shown = ({ headers }: Answer) =>
  ["ETag", "Content-Type", "X-Causal-Context", "Last-Modified", "X-Replies", "X-Meta-Who"]
    .concat(["X-Expires-At", "X-Conflict-Mode", "X-Effective-N", "Content-Length"])
    .map((name) => [name, headers.get(name)]);

test("repeated reads have the same headers and an own request id each", async () => {
  const path = await warm("warm", "body", { "X-Meta-Who": "ann", "X-TTL": "1h" });
  const answers = await Promise.all(Array.from({ length: 10 }, () => call("GET", path)));
  for (const answer of answers) expect(shown(answer)).toEqual(shown(answers[0] as Answer));
  expect(new Set(answers.map(({ headers }) => headers.get("X-Request-Id"))).size).toBe(10);
});

test("HEAD has the length that GET has", async () => {
  const path = await warm("warm", "12345");
  for (let heads = 0; heads < 4; heads += 1) {
    const head = await call("HEAD", path);
    expect([head.status, head.text, head.headers.get("Content-Length")]).toEqual([200, "", "5"]);
  }
});

test("a write, a delete, a batch and an import are seen by the next read", async () => {
  const path = await warm("warm", "one");
  await call("PUT", path, { body: "two" });
  expect((await call("GET", path)).text).toBe("two");
  const key = path.split("/").at(-1);
  const ops = [{ op: "put", bucket: "warm", key, value: "three" }];
  await json("POST", "/v1/batch", { ops });
  expect((await call("GET", path)).text).toBe("three");
  await call("POST", "/v1/import/warm?mode=write", {
    headers: { "Content-Type": "application/x-ndjson" },
    body: JSON.stringify({ key, value: "four" }),
  });
  expect((await call("GET", path)).text).toBe("four");
  const context = contextOf(await call("DELETE", path));
  expectProblem(await call("GET", path), 404, "key-not-found");
  await call("PUT", path, { headers: { "X-Causal-Context": context }, body: "five" });
  expect((await call("GET", path)).text).toBe("five");
});

test("siblings are seen by the next read, and what resolves them", async () => {
  await json("PUT", "/v1/buckets/warmsib", { blindPut: "sibling" });
  const path = await warm("warmsib", "a");
  await call("PUT", path, { body: "b" });
  for (let reads = 0; reads < 4; reads += 1) expect((await call("GET", path)).status).toBe(300);
  const context = contextOf(await call("GET", path));
  await call("PUT", path, { headers: { "X-Causal-Context": context }, body: "ab" });
  expect((await call("GET", path)).text).toBe("ab");
});

test("a key that is read all the time still expires", async () => {
  const path = await warm("warm", "short", { "X-TTL": "1" });
  expect(await eventually(async () => (await call("GET", path)).status === 404)).toBe(true);
});

test("every header and query of the request still counts", async () => {
  const path = await warm("warm", "plain");
  const get = (query: string, headers: Record<string, string> = {}) =>
    call("GET", `${path}${query}`, { headers });
  const etag = (await get("")).headers.get("ETag") ?? "";
  expect((await get("", { "If-None-Match": etag })).status).toBe(304);
  expect((await get("", { "If-Match": '"other"' })).status).toBe(412);
  expect((await get("", { "X-Consistency": "banana" })).status).toBe(400);
  expect((await get("?consistency=banana")).status).toBe(400);
  expect((await get("?timeout=0")).status).toBe(400);
  expect((await get("?session=garbage")).status).toBe(400);
  expect((await get("?session=new")).headers.get("X-Session")).toBeTruthy();
  expect((await get("?explain=1")).json.owners).toHaveLength(1);
  expect((await get("?dot=none")).status).toBe(404);
  const envelope = await get("", { Accept: "application/vnd.hutch.siblings+json" });
  expect(envelope.json.siblings).toHaveLength(1);
  const parts = await get("", { Accept: "multipart/mixed" });
  expect(parts.headers.get("Content-Type")).toStartWith("multipart/mixed");
  expect((await call("PATCH", path)).status).toBe(405);
});

test("a changed bucket property is seen by the next read", async () => {
  const path = await warm("warmprops", "x");
  await json("PATCH", "/v1/buckets/warmprops", { conflicts: "lww" });
  expect((await call("GET", path)).headers.get("X-Conflict-Mode")).toBe("lww");
  await json("PATCH", "/v1/buckets/warmprops", { n: 1 });
  expect((await call("GET", path)).headers.get("X-Effective-N")).toBeNull();
});

test("one key under its many spellings", async () => {
  const path = await warm("warm", "spelled");
  const key = path.split("/").at(-1) ?? "";
  const escaped = `/v1/kv/warm/%6B${key.slice(1)}`;
  expect((await call("GET", escaped)).text).toBe("spelled");
  const base64 = `/v1/kv64/warm/${Buffer.from(key).toString("base64url")}`;
  expect((await call("GET", base64)).text).toBe("spelled");
  await call("PUT", base64, { body: "again" });
  expect((await call("GET", path)).text).toBe("again");
  expect((await call("GET", escaped)).text).toBe("again");
});
