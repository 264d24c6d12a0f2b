import { describe, expect, test } from "bun:test";
import { HutchClient, type HutchClientOptions, RequestError } from "../../src/client/index.ts";
import { type Answer, FakeWorld, cut, never, problem, refuse, reply } from "./fake-world.ts";

const A = "http://a:7001";
const B = "http://b:7001";

function clientOf(answer: Answer, options: Partial<HutchClientOptions> = {}) {
  const world = new FakeWorld(answer);
  world.randomNext = 0;
  const client = new HutchClient({
    urls: [A, B],
    routing: "any",
    ...options,
    platform: world.platform,
  });
  world.randomNext = 0.5;
  return { world, client, bucket: client.bucket<string>("demo") };
}

const errorOf = async (work: Promise<unknown>): Promise<RequestError> => {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(RequestError);
  return thrown as RequestError;
};

describe("retries", () => {
  test("a node that is not there costs nothing but the attempt: the next one is asked at once", async () => {
    const { world, bucket } = clientOf(({ url }) =>
      url.startsWith(A) ? refuse() : reply(200, '"v"'),
    );
    expect(await world.run(bucket.get("k"))).toBe("v");
    expect(world.sent.map(({ url }) => url)).toEqual([`${A}/v1/kv/demo/k`, `${B}/v1/kv/demo/k`]);
    expect(world.nowMs).toBe(0);
  });

  test("a node that failed is left alone for a moment, then asked again", async () => {
    const { world, bucket } = clientOf(({ url }) =>
      url.startsWith(A) ? refuse() : reply(200, '"v"'),
    );
    await world.run(bucket.get("k"));
    for (let i = 0; i < 4; i++) await world.run(bucket.get("k"));
    expect(world.sent.slice(1).every(({ url }) => url.startsWith(B))).toBe(true);
    world.nowMs += 1000;
    await world.run(bucket.get("k"));
    await world.run(bucket.get("k"));
    expect(world.sent.slice(6).some(({ url }) => url.startsWith(A))).toBe(true);
  });

  test("all attempts of a write carry one idempotency key, another write another one", async () => {
    const { world, bucket } = clientOf((_, count) => (count < 3 ? cut() : reply(204, null)));
    await world.run(bucket.put("k", "v"));
    await world.run(bucket.delete("k"));
    expect(world.sent.map(({ headers }) => headers.get("Idempotency-Key"))).toEqual([
      "key-1",
      "key-1",
      "key-1",
      "key-2",
    ]);
    expect(world.sent.slice(0, 3).map(({ body }) => body)).toEqual(['"v"', '"v"', '"v"']);
  });

  test("a client that sends once gives no idempotency key", async () => {
    const { world, bucket } = clientOf(() => cut(), { retries: 0 });
    const error = await errorOf(world.run(bucket.put("k", "v")));
    expect(error).toMatchObject({ code: "node-unreachable", retry: "safe-with-idempotency-key" });
    expect(world.sent).toHaveLength(1);
    expect(world.sent[0]!.headers.has("Idempotency-Key")).toBe(false);
  });

  test("what cannot work is not repeated, and comes with all that the node said", async () => {
    const { world, bucket } = clientOf(() => problem(400, "bad-ttl", "no"));
    const error = await errorOf(world.run(bucket.put("k", "v", { ttl: "1y" })));
    expect(error).toMatchObject({
      name: "RequestError",
      code: "bad-ttl",
      status: 400,
      detail: "bad-ttl happened",
      requestId: "r-1",
      retry: "no",
    });
    expect(world.sent).toHaveLength(1);
  });

  test("a problem that is safe to repeat is, on another node, after full jitter", async () => {
    const busy = () => problem(503, "overloaded", "safe", { "Retry-After": "1" });
    for (const [random, pauseMs] of [
      [0, 0],
      [0.5, 25],
      [0.999, 49.95],
    ] as const) {
      const { world, bucket } = clientOf((_, count) => (count === 1 ? busy() : reply(200, '"v"')));
      world.randomNext = random;
      expect(await world.run(bucket.get("k"))).toBe("v");
      expect(world.nowMs).toBeCloseTo(pauseMs, 3);
      expect(new Set(world.sent.map(({ url }) => url)).size).toBe(2);
    }
  });

  test("the caps of the pauses double; where no other node is left Retry-After is the least", async () => {
    const { world, bucket } = clientOf(() => problem(503, "overloaded", "safe"), {
      urls: [A],
      retries: 4,
    });
    world.randomNext = 0.999999;
    expect((await errorOf(world.run(bucket.get("k")))).code).toBe("overloaded");
    const pauses = world.sent.map(({ atMs }, i) =>
      Math.round(atMs - (world.sent[i - 1]?.atMs ?? 0)),
    );
    expect(pauses).toEqual([0, 50, 100, 200, 400]);

    const limited = clientOf(
      (_, count) =>
        count === 1
          ? problem(429, "rate-limited", "safe", { "Retry-After": "2" })
          : reply(200, '"v"'),
      { urls: [A] },
    );
    await limited.world.run(limited.bucket.get("k"));
    expect(limited.world.nowMs).toBe(2000);
  });

  test("a wait that the deadline does not have is not begun", async () => {
    const busy = () => problem(503, "overloaded", "safe", { "Retry-After": "60" });
    const { world, bucket } = clientOf(busy, { urls: [A] });
    expect((await errorOf(world.run(bucket.get("k")))).code).toBe("overloaded");
    expect([world.sent.length, world.nowMs]).toEqual([1, 0]);
  });

  test("an unknown outcome stays one, whatever a later attempt is told", async () => {
    const { world, bucket } = clientOf((_, count) =>
      count === 1 ? cut() : problem(412, "precondition-failed", "no"),
    );
    const error = await errorOf(world.run(bucket.put("k", "v", { ifMatch: '"1"' })));
    expect(error).toMatchObject({
      code: "write-indeterminate",
      retry: "safe-with-idempotency-key",
    });
    expect(error.cause).toMatchObject({ code: "precondition-failed" });
  });

  test("a connection that never was leaves nothing unknown", async () => {
    const { world, bucket } = clientOf((_, count) =>
      count === 1 ? refuse() : problem(412, "precondition-failed", "no"),
    );
    const error = await errorOf(world.run(bucket.put("k", "v", { ifMatch: '"1"' })));
    expect(error.code).toBe("precondition-failed");
  });

  test("row 99: all addresses are named where nobody answers, and what is no node is told", async () => {
    const { world, bucket } = clientOf(refuse);
    const error = await errorOf(world.run(bucket.get("k")));
    expect(error).toMatchObject({ code: "node-unreachable", status: 0, retry: "safe" });
    expect(error.message).toContain(A);
    expect(error.message).toContain(B);
    const other = clientOf(() => new Response("<html>", { status: 200 }));
    expect((await errorOf(other.world.run(other.bucket.get("k")))).message).toContain(
      "not a hutch node",
    );
  });

  test("a proxy that has lost its node is answered by trying again; HEAD has no document", async () => {
    const gone = () => new Response("<html>Bad gateway", { status: 502 });
    const { world, bucket } = clientOf((_, count) => (count === 1 ? gone() : reply(200, '"v"')));
    expect(await world.run(bucket.get("k"))).toBe("v");
    const head = clientOf((_, count) => reply(count === 1 ? 503 : 404, null));
    expect(await head.world.run(head.bucket.has("k"))).toBe(false);
    expect(head.world.sent).toHaveLength(2);
  });

  test("where everything fails, repetitions stay a small part of the load, and come back with time", async () => {
    const { world, bucket } = clientOf(() => problem(503, "overloaded", "safe"));
    world.randomNext = 0;
    const calls = 200;
    for (let i = 0; i < calls; i++) await errorOf(bucket.get("k"));
    // Ten of the first second, and a fifth of the calls.
    expect(world.sent.length).toBeGreaterThan(calls + 40);
    expect(world.sent.length).toBeLessThanOrEqual(calls + 10 + calls / 5);
    world.nowMs += 60_000;
    const before = world.sent.length;
    for (let i = 0; i < 10; i++) await errorOf(bucket.get("k"));
    expect(world.sent.length - before).toBeLessThanOrEqual(10 + 10 + 2);
    expect(world.sent.length - before).toBeGreaterThanOrEqual(10 + 10);
  });

  test("a dead node costs no answer, however many calls were on their way to it", async () => {
    const { world, bucket } = clientOf(async ({ url }) => {
      await Bun.sleep(1);
      return url.startsWith(A) ? cut() : reply(200, '"v"');
    });
    const values = await Promise.all(Array.from({ length: 200 }, () => bucket.get("k")));
    expect(new Set(values)).toEqual(new Set(["v"]));
    expect(world.sent.length).toBe(300);
  });

  test("a list asks again for a page with a gap, then ends with an error; a single page says that it has one", async () => {
    const page = (isPartial: boolean) =>
      reply(200, JSON.stringify({ keys: [{ key: "a", siblings: 1 }], partial: isPartial }));
    const { world, bucket } = clientOf((_, count) => page(count === 1));
    const listed = async (): Promise<string[]> => Array.fromAsync(bucket.keys());
    expect(await world.run(listed())).toEqual(["a"]);
    expect(world.sent).toHaveLength(2);
    const broken = clientOf(() => page(true));
    const keys = broken.bucket.keys();
    expect((await errorOf(broken.world.run(keys.next()))).code).toBe("unavailable");
    expect((await broken.world.run(broken.bucket.list())).isPartial).toBe(true);
  });

  test("a value that its codec cannot read is not asked for again", async () => {
    const { world, bucket } = clientOf(() => reply(200, "world"));
    await expect(world.run(bucket.get("k"))).rejects.toMatchObject({ code: "bad-value" });
    expect(world.sent).toHaveLength(1);
  });

  test("the token goes with every attempt, asked for each time", async () => {
    let count = 0;
    const { world, bucket } = clientOf((_, sent) => (sent === 1 ? cut() : reply(200, '"v"')), {
      token: () => `t${++count}`,
    });
    await world.run(bucket.get("k"));
    expect(world.sent.map(({ headers }) => headers.get("Authorization"))).toEqual([
      "Bearer t1",
      "Bearer t2",
    ]);
  });
});

describe("deadlines and signals", () => {
  test("a node that hangs leaves time for another", async () => {
    const { world, bucket } = clientOf(
      ({ url }) => (url.startsWith(A) ? never() : reply(200, '"v"')),
      {
        timeoutMs: 1000,
      },
    );
    expect(await world.run(bucket.get("k"))).toBe("v");
    expect(world.nowMs).toBe(500);
  });

  test("the deadline holds for all attempts, and says what is known of a write", async () => {
    const { world, bucket } = clientOf(() => never(), { timeoutMs: 1000 });
    expect(await errorOf(world.run(bucket.get("k")))).toMatchObject({
      code: "read-timeout",
      retry: "safe",
    });
    expect(world.nowMs).toBeLessThanOrEqual(1000);
    const startMs = world.nowMs;
    expect(await errorOf(world.run(bucket.put("k", "v", { timeoutMs: 300 })))).toMatchObject({
      code: "write-indeterminate",
      retry: "safe-with-idempotency-key",
    });
    expect(world.nowMs - startMs).toBeLessThanOrEqual(300);
  });

  test("a chosen deadline is told to the node, a little shorter; the default is not", async () => {
    const { world, bucket } = clientOf(() => reply(200, '"v"'));
    await world.run(bucket.get("k"));
    await world.run(bucket.get("k", { timeoutMs: 8000 }));
    await world.run(bucket.get("k", { timeoutMs: 400 }));
    const told = world.sent.map(({ headers }) => headers.get("X-Timeout"));
    expect(told).toEqual([null, "3900ms", "180ms"]);
  });

  test("a call leaves no timer behind", async () => {
    const { world, bucket } = clientOf((_, count) => (count === 1 ? cut() : reply(200, '"v"')));
    await world.run(bucket.get("k"));
    expect(world.pendingAlarms).toBe(0);
  });

  test("an aborted signal ends a request, a pause, and a call that has not begun, with its own reason", async () => {
    const reason = new Error("the page is gone");
    const during = clientOf(() => never());
    const first = new AbortController();
    const request = during.bucket.get("k", { signal: first.signal });
    first.abort(reason);
    await expect(request).rejects.toBe(reason);
    expect(during.world.pendingAlarms).toBe(0);

    const pausing = clientOf(() => problem(503, "overloaded", "safe"), { urls: [A] });
    const second = new AbortController();
    const pause = pausing.bucket.get("k", { signal: second.signal });
    while (pausing.world.pendingAlarms === 0 || pausing.world.sent.length === 0) await Bun.sleep(0);
    await Bun.sleep(1);
    second.abort(reason);
    await expect(pause).rejects.toBe(reason);
    expect(pausing.world.pendingAlarms).toBe(0);
    await expect(pausing.bucket.get("k", { signal: second.signal })).rejects.toBe(reason);
    expect(pausing.world.sent).toHaveLength(1);
  });
});

describe("options", () => {
  test("what can never work is refused at once", () => {
    for (const options of [
      { urls: [] },
      { urls: ["localhost:7001"] },
      { urls: [A], timeoutMs: -1 },
      { urls: [A], retries: 1.5 },
    ])
      expect(() => new HutchClient(options)).toThrow("Cannot make a client");
  });
});
