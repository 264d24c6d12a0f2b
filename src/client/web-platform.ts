/**
 * The world as browsers, Workers, Deno, Node and Bun all have it. The only file of the client that names it.
 */

import type { Platform } from "./platform.ts";

const KEY_BYTES = 16;

export const webPlatform: Platform = {
  // Called without a receiver: some runtimes refuse `fetch` as a method of another object.
  send: (url, request) => fetch(url, request),
  nowMs: () => performance.now(),
  random: () => Math.random(),
  alarm: (ms, ring) => {
    const timer = setTimeout(ring, ms);
    return () => clearTimeout(timer);
  },
  newIdempotencyKey,
};

/** `randomUUID` is not there on pages without TLS. */
function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  let text = "";
  for (const byte of bytes) text += (byte + 256).toString(16).slice(1);
  return text;
}
