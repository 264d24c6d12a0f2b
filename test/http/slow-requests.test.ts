/** The log of slow requests: the reason, no key, and never a flood. */
import { describe, expect, test } from "bun:test";
import type { LogFields, Logger } from "../../src/ports/logger.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { FakeKv } from "../support/fake-kv.ts";
import { fixture } from "./fixture.ts";

function slowFixture(slowRequestMs = 100) {
  const lines: LogFields[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (event, fields = {}) => {
      if (event === "slow_request") lines.push(fields);
    },
  };
  const made = fixture({ logger, slowRequestMs, keyHash: () => "hash" });
  const { clock, kv } = made;
  const take = (ms: number, wait: number, node = "n2"): void => {
    const read = FakeKv.prototype.read.bind(kv);
    kv.read = (bucket, key, request) => {
      clock.advance(ms);
      if (wait > 0) request.waits?.waited("replicas", wait, node);
      return read(bucket, key, request);
    };
  };
  return { ...made, lines, take };
}

describe("slow requests", () => {
  test("Q21: one line says how long, why, and for whom, and does not tell the key", async () => {
    const { send, lines, take } = slowFixture();
    take(250, 200);
    await send("GET /v1/kv/demo/secret-name");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      operation: "read",
      ms: 250,
      reason: "replicas",
      node: "n2",
      replicasMs: 200,
      bucket: "demo",
      key: "hash",
    });
    expect(JSON.stringify(lines)).not.toContain("secret-name");
  });

  test("what waited for nobody was busy itself", async () => {
    const { send, lines, take } = slowFixture();
    take(100, 0);
    await send("GET /v1/kv/demo/a");
    expect(lines[0]).toMatchObject({ ms: 100, reason: "local" });
  });

  test("quick ones leave no line, and with 0 no request does", async () => {
    const quick = slowFixture();
    quick.take(99, 99);
    await quick.send("GET /v1/kv/demo/a");
    const off = slowFixture(0);
    off.take(60_000, 60_000);
    await off.send("GET /v1/kv/demo/a");
    expect([quick.lines, off.lines]).toEqual([[], []]);
  });

  test("at most five lines a second; the next one tells how many there were besides", async () => {
    const { send, lines, take, clock } = slowFixture();
    take(100, 0);
    for (let i = 0; i < 9; i++) await send("GET /v1/kv/demo/a");
    expect(lines).toHaveLength(5);
    clock.advance(1000);
    await send("GET /v1/kv/demo/a");
    expect(lines).toHaveLength(6);
    expect(lines[5]!["suppressed"]).toBe(4);
  });
});
