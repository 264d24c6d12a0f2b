import { beforeAll, describe, expect, test } from "bun:test";
import { gunzipSync, brotliDecompressSync } from "node:zlib";
import { uiAssets } from "../../src/http/ui-routes.ts";
import { buildUi, isUiCurrent } from "../../scripts/build-ui.ts";
import { fixture, problemOf } from "./fixture.ts";

const COMPRESSED_BYTES_MAX = 150 * 1024;

/** What is tested is made from the sources as they are, also where only this file is run. */
beforeAll(async () => {
  if (!isUiCurrent()) await buildUi();
});

describe("the dashboard", () => {
  test("all that a browser loads is below 150 KiB compressed", async () => {
    const assets = [...(await uiAssets()).values()];
    const sum = (of: (asset: (typeof assets)[number]) => number): number =>
      assets.reduce((bytes, asset) => bytes + of(asset), 0);
    expect(assets.length).toBeGreaterThan(2);
    expect(sum(({ gzip }) => gzip.length)).toBeLessThan(COMPRESSED_BYTES_MAX);
    expect(sum(({ brotli }) => brotli.length)).toBeLessThan(COMPRESSED_BYTES_MAX);
  });

  test("Q17: the page may load from, send to and be framed by its own node only", async () => {
    const response = await fixture().send("GET /ui");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    for (const rule of ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
      expect(policy).toContain(rule);
    expect(policy).not.toContain("unsafe");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
    expect(response.headers.get("cache-control")).toBe("no-cache");
    const page = await response.text();
    expect(page).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//);
  });

  test("what the page names is there, and stays in caches for ever", async () => {
    const f = fixture();
    const page = await (await f.send("GET /ui")).text();
    const names = [...page.matchAll(/(?:src|href)="(\/ui\/[^"]+)"/g)].map(([, name]) => name!);
    expect(names).toHaveLength(3);
    for (const name of names) {
      const response = await f.send(`GET ${name}`);
      expect(response.status).toBe(200);
      const isHashed = /-[0-9a-f]{16}\./.test(name);
      expect(response.headers.get("cache-control")).toContain(isHashed ? "immutable" : "no-cache");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("bytes are the same plain, as gzip and as brotli", async () => {
    const f = fixture();
    const plain = await (await f.send("GET /ui")).text();
    const as = async (accept: string): Promise<[string | null, Buffer]> => {
      const response = await f.send("GET /ui", null, { "Accept-Encoding": accept });
      return [response.headers.get("content-encoding"), Buffer.from(await response.arrayBuffer())];
    };
    const [gzip, gzipBytes] = await as("gzip, deflate");
    const [brotli, brotliBytes] = await as("gzip, deflate, br, zstd");
    const [none] = await as("br;q=0, identity");
    expect([gzip, brotli, none]).toEqual(["gzip", "br", null]);
    expect(gunzipSync(gzipBytes).toString()).toBe(plain);
    expect(brotliDecompressSync(brotliBytes).toString()).toBe(plain);
  });

  test("who has it already is told 304", async () => {
    const f = fixture();
    const etag = (await f.send("GET /ui")).headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{16}"$/);
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`])
      expect((await f.send("GET /ui", null, { "If-None-Match": tag })).status).toBe(304);
    expect((await f.send("GET /ui", null, { "If-None-Match": '"x"' })).status).toBe(200);
  });

  test("/ui/ leads to /ui, other names lead nowhere, and nothing can be written", async () => {
    const f = fixture();
    expect((await f.send("GET /ui/")).headers.get("location")).toBe("/ui");
    await problemOf(await f.send("GET /ui/main.js"), 404, "no-such-route");
    await problemOf(await f.send("POST /ui"), 405, "method-not-allowed");
    expect((await f.send("HEAD /ui")).status).toBe(200);
  });
});
