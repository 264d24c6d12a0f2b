/** What somebody tries who has no token, or the wrong one, against the REST face alone. */
import { createHash } from "node:crypto";
import { expect, spyOn, test } from "bun:test";
import { Access } from "../../src/http/access.ts";
import { parseTokenFile, type TokenEntry } from "../../src/http/token-file.ts";
import { TokenTable } from "../../src/http/token-table.ts";
import { fixture, problemOf } from "../http/fixture.ts";
import { ManualClock } from "../support/fake-kv.ts";
import { bearer, entry } from "./closed-node.ts";

const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();

function guarded(entries: readonly TokenEntry[]) {
  const clock = new ManualClock();
  return fixture({ clock, access: new Access({ table: new TokenTable(entries), digest, clock }) });
}

test("rows 11, 54: who may not come in hears nothing of what is wrong with his query", async () => {
  const { send } = guarded([entry("writer", ["write"]), entry("reader", ["read"])]);
  const line = "GET /v1/kv/demo?limit=many";
  await problemOf(await send(line), 401, "unauthenticated");
  await problemOf(await send(line, null, bearer("writer")), 403, "forbidden");
  await problemOf(await send(line, null, bearer("reader")), 400, "bad-request");
  const rebound = await send("GET http://attacker.example/v1/kv/demo?limit=many");
  await problemOf(rebound, 421, "wrong-cluster");
});

test("row 54: a table with the digest of an empty text lets nobody in by it", async () => {
  const sha256 = createHash("sha256").update("").digest("hex");
  const { send } = guarded([{ id: "slip", sha256, roles: ["admin"] }]);
  for (const each of [{}, { Authorization: "" }, { Authorization: "Bearer " }, bearer("a b")])
    await problemOf(await send("GET /v1/cluster", null, each), 401, "unauthenticated");
  const file = JSON.stringify({ tokens: [{ id: "slip", sha256, roles: ["read"] }] });
  expect(() => parseTokenFile(file)).toThrow("no text");
});

test("Q8: what strangers may ask for is made once, whatever they ask for it with", async () => {
  const { send } = guarded([]);
  const page = await (await send("GET /ui")).text();
  const script = /src="([^"]+)"/.exec(page)![1]!;
  const askForBoth = async (): Promise<void> => {
    const identity = { "Accept-Encoding": "identity" };
    expect((await send("GET /v1/openapi.json")).status).toBe(200);
    expect((await send(`GET ${script}`, null, identity)).status).toBe(200);
  };
  await askForBoth();
  const Unpacker = globalThis.DecompressionStream;
  const stringify = spyOn(JSON, "stringify");
  let unpacked = 0;
  globalThis.DecompressionStream = class extends Unpacker {
    constructor(...args: ConstructorParameters<typeof Unpacker>) {
      super(...args);
      unpacked++;
    }
  };
  try {
    for (let i = 0; i < 3; i++) await askForBoth();
    expect([stringify.mock.calls.length, unpacked]).toEqual([0, 0]);
  } finally {
    stringify.mockRestore();
    globalThis.DecompressionStream = Unpacker;
  }
});

test("Q18: a value is no script, style, picture or frame of a page of another origin", async () => {
  const { send } = fixture();
  for (const type of ["text/javascript", "text/css", "image/svg+xml", "text/html"]) {
    await send("PUT /v1/kv/demo/a", "x", { "Content-Type": type });
    const { headers } = await send("GET /v1/kv/demo/a");
    expect(headers.get("content-type")).toBe(type);
    expect(headers.get("content-security-policy")).toBe("sandbox");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  }
});

test("Q18, row 11: a node on an IPv6 address answers to it in brackets, and to no other", async () => {
  for (const host of ["fd00:0::0:5", "[fd00::5]", "FD00::5"]) {
    const { send } = fixture({ hosts: [host] });
    expect((await send("GET http://[fd00::5]:7001/healthz")).status).toBe(200);
    const other = await send("GET http://[fd00::6]:7001/healthz");
    await problemOf(other, 421, "wrong-cluster");
  }
});
