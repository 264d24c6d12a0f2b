/** The examples of applications, on a whole node in this process. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import worker from "../../examples/edge-worker.ts";
import { cartsApp } from "../../examples/hono-carts.ts";
import { hutchDriver } from "../../examples/unstorage-driver.ts";
import { KvNamespace } from "../../examples/workers-kv.ts";
import { HutchClient } from "../../src/client/index.ts";
import { type LocalNode, NODE_URL, startLocalNode } from "./local-node.ts";

let node: LocalNode;
let client: HutchClient;
beforeAll(async () => {
  node = await startLocalNode();
  client = new HutchClient({ urls: [NODE_URL], fetch: node.send });
});
afterAll(() => node.close());

test("hono-carts: items are added, and the session travels in a cookie", async () => {
  const app = cartsApp(client);
  const added = await app.request("/carts/7/items", { method: "POST", body: "apple" });
  expect([added.status, await added.json()]).toEqual([201, { items: ["apple"] }]);
  const cookie = added.headers.get("set-cookie")!.split(";")[0]!;
  expect(cookie.length).toBeGreaterThan("hutch=new".length);
  const more = { method: "POST", body: "pear", headers: { cookie } };
  expect(await (await app.request("/carts/7/items", more)).json()).toEqual({
    items: ["apple", "pear"],
  });
  expect(await (await app.request("/carts/8")).json()).toEqual({ items: [] });
  const wrong = await app.request("/carts/7", { headers: { cookie: "hutch=garbage" } });
  expect([wrong.status, await wrong.json()]).toEqual([500, { error: "bad-session", retry: "no" }]);
});

test("edge-worker: visits are counted", async () => {
  const environment = { HUTCH_URL: NODE_URL, nodes: { fetch: node.send } };
  const visit = () => worker.fetch(new Request("https://example.org/about"), environment);
  await visit();
  expect(await (await visit()).text()).toBe("/about was visited 2 times\n");
});

test("workers-kv: the calls of a namespace", async () => {
  const kv = new KvNamespace(client, "kv");
  expect(await kv.get("a")).toBeNull();
  await kv.put("a", '{"n":1}', { expirationTtl: 60, metadata: { by: ["me"] } });
  await kv.put("b", Uint8Array.of(1, 2).buffer);
  expect(await kv.getWithMetadata("a", "json")).toEqual({
    value: { n: 1 },
    metadata: { by: ["me"] },
  });
  expect(await kv.get("b", "arrayBuffer")).toEqual(Uint8Array.of(1, 2).buffer);
  const first = await kv.list({ limit: 1 });
  expect(first.keys).toMatchObject([{ name: "a" }]);
  expect(first.keys[0]!.expiration).toBeGreaterThan(Date.now() / 1000);
  const rest = await kv.list({ cursor: first.cursor! });
  expect(rest).toEqual({ keys: [{ name: "b" }], list_complete: true });
  await kv.delete("a");
  expect(await kv.get("a")).toBeNull();
});

test("unstorage-driver: the calls of a driver", async () => {
  const driver = hutchDriver({ client, bucket: "storage" });
  await driver.setItem("users:1", "Ada");
  await driver.setItem("users:2", "Grace", { ttl: 60 });
  await driver.setItem("other", "x");
  expect([await driver.getItem("users:1"), await driver.getItem("none")]).toEqual(["Ada", null]);
  expect([await driver.hasItem("other"), await driver.hasItem("none")]).toEqual([true, false]);
  expect(await driver.getKeys("users:")).toEqual(["users:1", "users:2"]);
  await driver.removeItem("other");
  await driver.clear("users:");
  expect(await driver.getKeys()).toEqual([]);
});
