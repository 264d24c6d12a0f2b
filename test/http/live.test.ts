import { describe, expect, test } from "bun:test";
import type { LiveSample } from "../../src/http/live-api.ts";
import { LISTENERS_MAX } from "../../src/http/live-feed.ts";
import { EventParser } from "../../src/ui/live/event-parser.ts";
import { type Fixture, fixture, problemOf } from "./fixture.ts";

const LIVE = "GET /v1/admin/live";

async function listen(f: Fixture): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await f.send(LIVE);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("cache-control")).toBe("no-store");
  return response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<LiveSample> {
  const { value } = await reader.read();
  const [event] = new EventParser().push(new TextDecoder().decode(value));
  expect(event?.event).toBe("sample");
  return JSON.parse(event!.data) as LiveSample;
}

/** Lets what was started end: the fake node answers at once. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

async function pass(f: Fixture, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    f.clock.advance(1000);
    await turns();
  }
}

describe("GET /v1/admin/live", () => {
  test("tells once a second what the node has answered since", async () => {
    const f = fixture();
    const reader = await listen(f);
    await pass(f, 0);
    f.clock.advance(0);
    const first = await next(reader);
    expect(first).toMatchObject({ node: "n1", rates: { reads: 0, writes: 0 }, change: null });
    expect(first.nodes).toHaveLength(1);
    for (let i = 0; i < 10; i++) await f.send("PUT /v1/kv/demo/a", "x");
    for (let i = 0; i < 20; i++) await f.send("GET /v1/kv/demo/a");
    await f.send("GET /v1/kv/demo/none?consistency=MANY");
    await pass(f, 1000);
    const { rates, latency, hotKeys } = await next(reader);
    expect(rates).toMatchObject({ reads: 20, writes: 10, deletes: 0, refused: 1, failed: 0 });
    expect(latency.read.count).toBe(20);
    expect(hotKeys.keys[0]).toMatchObject({ bucket: "demo", path: "a" });
    await reader.cancel();
  });

  test("the sampler rests when nobody listens", async () => {
    const f = fixture();
    let asked = 0;
    const nodes = f.admin.nodes.bind(f.admin);
    f.admin.nodes = () => (asked++, nodes());
    await pass(f, 5000);
    expect(asked).toBe(0);
    const readers = [await listen(f), await listen(f), await listen(f)];
    await pass(f, 3000);
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThanOrEqual(4); // one for all three
    for (const reader of readers) await reader.cancel();
    const before = asked;
    await pass(f, 5000);
    expect(asked).toBe(before);
  });

  test("one listener too many is overloaded, and who goes makes room", async () => {
    const f = fixture();
    const readers = await Promise.all(Array.from({ length: LISTENERS_MAX }, () => listen(f)));
    await problemOf(await f.send(LIVE), 503, "overloaded");
    await readers[0]!.cancel();
    await (await listen(f)).cancel();
    for (const reader of readers) await reader.cancel();
  });

  test("a listener that takes nothing is let go, the others go on", async () => {
    const f = fixture();
    const idle = await listen(f);
    const busy = await listen(f);
    for (let second = 0; second < 40; second++) {
      await pass(f, 1000);
      await next(busy);
    }
    let frames = 0;
    while (!(await idle.read()).done) frames++;
    expect(frames).toBeLessThan(5);
    await busy.cancel();
  });

  test("a node that drains ends the streams and begins none", async () => {
    const f = fixture();
    const reader = await listen(f);
    await pass(f, 1000);
    f.admin.readiness = () => ({ isReady: false, checks: { lifecycle: "draining" } });
    await pass(f, 1000);
    let last = await reader.read();
    while (!last.done) last = await reader.read();
    await problemOf(await f.send(LIVE), 503, "shutting-down");
  });

  test("a node that cannot tell for a second tells the next one", async () => {
    const f = fixture();
    const nodes = f.admin.nodes.bind(f.admin);
    f.admin.nodes = () => Promise.reject(new Error("the disk is slow"));
    const reader = await listen(f);
    await pass(f, 2000);
    f.admin.nodes = nodes;
    await pass(f, 1000);
    expect((await next(reader)).node).toBe("n1");
    await reader.cancel();
  });

  test("HEAD begins no stream, and another form is not acceptable", async () => {
    const f = fixture();
    expect((await f.send("HEAD /v1/admin/live")).status).toBe(200);
    const json = await f.send(LIVE, null, { Accept: "application/json" });
    await problemOf(json, 406, "not-acceptable");
  });
});
