/** The client as others get it: one file of plain JavaScript. */
import { expect, test } from "bun:test";
import { importsOf, readSource } from "../support/source-text.ts";

const ENTRY = new URL("../../src/client/index.ts", import.meta.url).pathname;
const GZIP_BYTES_MAX = 12 * 1024;

async function built(minify: boolean): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [ENTRY], target: "browser", minify });
  expect(outputs).toHaveLength(1);
  return outputs[0]!.text();
}

test(`is smaller than ${GZIP_BYTES_MAX} bytes compressed`, async () => {
  const bytes = Bun.gzipSync(new TextEncoder().encode(await built(true)), { level: 9 }).length;
  expect(bytes).toBeLessThan(GZIP_BYTES_MAX);
  expect(bytes).toBeGreaterThan(GZIP_BYTES_MAX / 4);
});

test("imports nothing and names no runtime", async () => {
  const code = await built(false);
  expect(importsOf(readSource("client.ts", code))).toEqual([]);
  const names = /\b(Bun|process|require|Buffer|Deno|__dirname)\b\s*[.(]|"node:|"bun:/g;
  // Younger than Node 20.
  const young = /\.bytes\(\)|withResolvers|toBase64\(|\.fromBase64\(|fromAsync/g;
  expect([...code.matchAll(names), ...code.matchAll(young)].map(([found]) => found)).toEqual([]);
});
