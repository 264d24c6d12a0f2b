/** What the contract promises across a kill: values, tokens, properties and idempotency keys. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { NodeProcess, withDirectory } from "../e2e/node-process.ts";

setDefaultTimeout(20_000);

test("after kill -9 and a restart values, contexts, sessions, properties and idempotency keys hold", async () => {
  await withDirectory(async (directory) => {
    const dataDir = join(directory, "n1");
    let node = await NodeProcess.start(dataDir);
    const send = (method: string, path: string, headers: Record<string, string>, body?: string) =>
      fetch(node.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    try {
      const properties = { "Content-Type": "application/json" };
      await send("PUT", "/v1/buckets/kept", properties, '{"siblingsMax":7}');
      const first = await send("PUT", "/v1/kv/kept/k", { "Idempotency-Key": "once" }, "1");
      const second = await send("PUT", "/v1/kv/kept/k?session=new", {}, "2");
      const made = await send("POST", "/v1/kv/kept", { "Idempotency-Key": "made" }, "m");
      await node.end("SIGKILL");
      node = await NodeProcess.start(dataDir);

      const retried = await send("PUT", "/v1/kv/kept/k", { "Idempotency-Key": "once" }, "1");
      expect([retried.status, retried.headers.get("ETag")]).toEqual([
        204,
        first.headers.get("ETag"),
      ]);
      const again = await send("POST", "/v1/kv/kept", { "Idempotency-Key": "made" }, "m");
      expect(again.headers.get("Location")).toBe(made.headers.get("Location"));
      const other = await send("PUT", "/v1/kv/kept/k", { "Idempotency-Key": "once" }, "other");
      expect(other.status).toBe(422);

      const session = { "X-Session": second.headers.get("X-Session") ?? "" };
      const read = await send("GET", "/v1/kv/kept/k", session);
      expect([read.status, await read.text(), read.headers.get("ETag")]).toEqual([
        200,
        "2",
        second.headers.get("ETag"),
      ]);
      const context = { "X-Causal-Context": second.headers.get("X-Causal-Context") ?? "" };
      expect((await send("PUT", "/v1/kv/kept/k", context, "3")).status).toBe(204);
      expect(await (await send("GET", "/v1/kv/kept/k", {})).text()).toBe("3");
      const bucket = (await (await send("GET", "/v1/buckets/kept", {})).json()) as {
        siblingsMax: number;
      };
      expect(bucket.siblingsMax).toBe(7);
    } finally {
      await node.end("SIGKILL");
    }
  });
});
