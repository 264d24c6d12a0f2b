/** The load generator of the benches against a server that spoils its answers in known ways. */
import { afterEach, describe, expect, test } from "bun:test";
import { Load, type LoadOptions, runLoad, runThrough } from "../../src/load/load-generator.ts";
import { etcdProtocol } from "../../bench/support/etcd-protocol.ts";
import { hutchProtocol } from "../../src/load/protocol.ts";
import { eachKeyOnce, KeySpace, mixed } from "../../src/load/workload.ts";
import { Prng } from "../../src/base/prng.ts";

const VALUE_BYTES = 100;
const KEYS = 200;
const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A store in a Map behind hutch's paths; `answer` may spoil what a read gets. */
function serve(
  answer: (value: Uint8Array, reads: number) => Response = (value) => new Response(value),
) {
  const values = new Map<string, Uint8Array>();
  let reads = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method === "PUT") {
        values.set(pathname, await request.bytes());
        return new Response(null, { status: 204 });
      }
      const value = values.get(pathname);
      return value === undefined ? new Response("", { status: 404 }) : answer(value, ++reads);
    },
  });
  closers.push(() => server.stop(true));
  return { values, target: { hostname: "127.0.0.1", port: server.port! } };
}

const optionsFor = (
  target: LoadOptions["targets"][number],
  kind: "read" | "write",
): LoadOptions => ({
  targets: [target],
  protocol: hutchProtocol("bench", VALUE_BYTES),
  workload: eachKeyOnce(kind, KEYS),
  connections: 4,
});

async function problemsOf(options: LoadOptions): Promise<Record<string, number>> {
  const load = new Load(options);
  await load.start();
  await load.finished();
  await load.stop();
  return Object.fromEntries(load.tally.problems);
}

describe("the load generator", () => {
  test("writes every key once, and reads back what it wrote", async () => {
    const { values, target } = serve();
    const written = await runThrough(optionsFor(target, "write"));
    expect(written.latencies.write.count).toBe(KEYS);
    expect(values.size).toBe(KEYS);
    expect(new Set([...values.values()].map((value) => value.length))).toEqual(new Set([100]));
    const read = await runThrough(optionsFor(target, "read"));
    expect(read.latencies.read.count).toBe(KEYS);
  });

  test("counts every answer that is not 2xx by its status and code", async () => {
    const { target } = serve((value, reads) =>
      reads % 10 === 0
        ? Response.json({ code: "overloaded" }, { status: 503 })
        : new Response(value),
    );
    await runThrough(optionsFor(target, "write"));
    expect(await problemsOf(optionsFor(target, "read"))).toEqual({ "503 overloaded": KEYS / 10 });
    const { target: empty } = serve();
    expect(await problemsOf(optionsFor(empty, "read"))).toEqual({ "404": KEYS });
  });

  test("sees a value of the wrong length, and one wrong byte in the sample", async () => {
    const short = serve((value) => new Response(value.subarray(1)));
    await runThrough(optionsFor(short.target, "write"));
    expect(await problemsOf(optionsFor(short.target, "read"))).toEqual({ "wrong length": KEYS });
    const wrong = serve((value) => new Response(value.with(99, value[99]! ^ 1)));
    await runThrough(optionsFor(wrong.target, "write"));
    expect(await problemsOf(optionsFor(wrong.target, "read"))).toEqual({
      "wrong body": Math.floor(KEYS / 16),
    });
  });

  test("an open loop keeps its rate, and a stall counts against every operation that was due", async () => {
    const stalled = serve((value) => {
      Bun.sleepSync(2);
      return new Response(value);
    });
    await runThrough(optionsFor(stalled.target, "write"));
    const prng = new Prng("test");
    const workload = mixed(prng, { read: 1 }, () => prng.below(KEYS), new KeySpace(KEYS));
    const options = { ...optionsFor(stalled.target, "read"), workload };
    const stretch = { seconds: 0.5, warmupSeconds: 0 };
    const easy = await runLoad({ ...options, ratePerSecond: 100 }, stretch);
    expect(easy.succeeded).toBeWithin(40, 60);
    // Twice what the server can do: the last ones are late by half of the time.
    const late = await runLoad({ ...options, ratePerSecond: 1000 }, stretch);
    expect(late.latency().maxMs).toBeGreaterThan(100);
  });

  test("a connection that is lost is counted and goes to the next target", async () => {
    const [first, second] = [serve(), serve()];
    for (const { target } of [first, second]) await runThrough(optionsFor(target, "write"));
    const prng = new Prng("test");
    const workload = mixed(prng, { read: 1 }, () => prng.below(KEYS), new KeySpace(KEYS));
    const load = new Load({
      ...optionsFor(first.target, "read"),
      targets: [first.target, second.target],
      workload,
    });
    await load.start();
    await Bun.sleep(50);
    closers[0]!();
    await Bun.sleep(100);
    const before = load.tally.succeeded;
    await Bun.sleep(100);
    expect(load.tally.succeeded).toBeGreaterThan(before);
    await load.stop();
    expect([...load.tally.problems.keys()]).toEqual(["connection lost"]);
    expect(load.tally.failed).toBeLessThanOrEqual(4);
  });

  test("what it sends to etcd's gateway is the key and the value in base64", () => {
    const { write, read } = etcdProtocol(VALUE_BYTES);
    const jsonIn = (request: Buffer) =>
      JSON.parse(request.toString().split("\r\n\r\n")[1]!) as Record<string, string>;
    const hutch = hutchProtocol("bench", VALUE_BYTES).write(1234).toString("latin1");
    const { key, value } = jsonIn(write(1234));
    expect(atob(key!)).toBe("user00001234");
    expect(atob(value!)).toBe(hutch.slice(hutch.indexOf("\r\n\r\n") + 4));
    expect(atob(jsonIn(read(7))["key"]!)).toBe("user00000007");
    const length = /Content-Length: (\d+)/.exec(write(1).toString())![1];
    expect(Number(length)).toBe(write(1).toString().split("\r\n\r\n")[1]!.length);
  });
});
