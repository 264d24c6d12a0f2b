import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import type { Send } from "../../src/client/client.ts";
import { Client, keyPath } from "../../src/client/client.ts";

const A = "http://a:7001";
const B = "http://b:7001";

/** A client whose requests `answer` sees; their lines are collected. */
function clientOf(answer: (url: string) => Response) {
  const sent: { readonly url: string; readonly init: RequestInit }[] = [];
  const send: Send = async (url, init) => {
    sent.push({ url, init });
    return answer(url);
  };
  let count = 0;
  const newIdempotencyKey = () => `key-${++count}`;
  return { client: new Client({ urls: [A, B], send, newIdempotencyKey }), sent };
}

function reply(
  status: number,
  body: string | null,
  headers: Record<string, string> = {},
): Response {
  return new Response(body, { status, headers: { "X-Node": "n1", ...headers } });
}

function refuse(): never {
  throw new Error("connection refused");
}

describe("Client", () => {
  test("tries the addresses in turn and stays with the one that answered", async () => {
    const { client, sent } = clientOf((url) => (url.startsWith(A) ? refuse() : reply(204, null)));
    await client.put("demo", "k", utf8("v"));
    await client.put("demo", "k", utf8("v"));
    expect(sent.map(({ url }) => url)).toEqual([
      `${A}/v1/kv/demo/k`,
      `${B}/v1/kv/demo/k`,
      `${B}/v1/kv/demo/k`,
    ]);
  });

  test("sends a write again under the same idempotency key, and another write under another", async () => {
    const { client, sent } = clientOf((url) => (url.startsWith(A) ? refuse() : reply(204, null)));
    await client.put("demo", "k", utf8("v"));
    await client.delete("demo", "k");
    const keys = sent.map(({ init }) => new Headers(init.headers).get("Idempotency-Key"));
    expect(keys).toEqual(["key-1", "key-1", "key-2"]);
  });

  test("row 99: names every address where nobody answers", async () => {
    const { client } = clientOf(refuse);
    const reading = client.get("demo", "k");
    await expect(reading).rejects.toMatchObject({ code: "node-unreachable" });
    await expect(reading).rejects.toThrow(/http:\/\/a:7001.*http:\/\/b:7001/);
  });

  test("row 99: says so where something answers that is not a node", async () => {
    const { client } = clientOf(() => new Response("<html>", { status: 200 }));
    await expect(client.get("demo", "k")).rejects.toThrow("not a hutch node");
  });

  test("turns a problem document into an error with its code", async () => {
    const problem = JSON.stringify({ code: "disk-full", detail: "no room" });
    const { client } = clientOf(() => reply(507, problem));
    await expect(client.put("demo", "k", utf8("v"))).rejects.toMatchObject({
      code: "disk-full",
      message: "no room",
    });
  });

  test("an answer of null from somebody in between is an error with its status", async () => {
    const { client } = clientOf(() => reply(502, "null"));
    await expect(client.get("demo", "a")).rejects.toMatchObject({
      code: "internal",
      message: "status 502",
    });
  });

  test("tells a value, siblings, and an absent key", async () => {
    const context = { "X-Causal-Context": "token" };
    const value = clientOf(() => reply(200, "v", context)).client;
    expect(await value.get("demo", "k")).toMatchObject({
      kind: "value",
      value: utf8("v"),
      context: "token",
    });
    const siblings = clientOf(() =>
      reply(300, '{"siblings":[{"dot":"a.1"},{"dot":"b.1"}]}', context),
    ).client;
    expect(await siblings.get("demo", "k")).toMatchObject({ kind: "siblings", context: "token" });
    const absent = clientOf(() => reply(404, '{"code":"key-not-found"}', context)).client;
    expect(await absent.get("demo", "k")).toEqual({ kind: "absent", context: "token" });
    const missing = clientOf(() => reply(404, '{"code":"no-such-route"}')).client;
    await expect(missing.get("demo", "k")).rejects.toMatchObject({ code: "no-such-route" });
  });
});

describe("keyPath()", () => {
  test("keeps slashes, escapes the rest, and goes around segments that URLs resolve", () => {
    expect(keyPath("demo", "a/b c/ü?")).toBe("/v1/kv/demo/a/b%20c/%C3%BC%3F");
    expect(keyPath("demo", "a/../b")).toBe("/v1/kv64/demo/YS8uLi9i");
    expect(keyPath("demo", ".")).toBe("/v1/kv64/demo/Lg");
  });
});
