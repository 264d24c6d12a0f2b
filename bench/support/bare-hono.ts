/**
 * What any program on this runtime would cost: a Hono handler that returns the same bytes and headers from memory, and one that takes a PUT,
 * appends the body to a log and answers when a group fdatasync has covered it. No keys, no versions, no store.
 *
 *   bun bench/support/bare-hono.ts PORT LOG HEADERS BODY
 */
import { closeSync, fdatasync, openSync, writeSync } from "node:fs";
import { Hono } from "hono";

const [port, log, headersText, body] = process.argv.slice(2) as [string, string, string, string];
const headers = JSON.parse(headersText) as Record<string, string>;
const bytes = new TextEncoder().encode(body);
const file = openSync(log, "a");

let pending: Uint8Array[] = [];
let waiting: (() => void)[] = [];
let isSyncing = false;

function commit(): void {
  isSyncing = true;
  const group = waiting;
  writeSync(file, Buffer.concat(pending));
  pending = [];
  waiting = [];
  fdatasync(file, (error) => {
    if (error) throw error;
    for (const resolve of group) resolve();
    if (waiting.length > 0) commit();
    else isSyncing = false;
  });
}

const app = new Hono();
app.get("/v1/kv/:bucket/:key", () => new Response(bytes, { headers }));
app.put("/v1/kv/:bucket/:key", async (context) => {
  pending.push(new Uint8Array(await context.req.arrayBuffer()));
  await new Promise<void>((resolve) => {
    waiting.push(resolve);
    if (!isSyncing) commit();
  });
  return new Response(null, { status: 204, headers });
});

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  development: false,
  reusePort: false,
  fetch: app.fetch,
});
process.on("SIGTERM", () => {
  closeSync(file);
  process.exit(0);
});
