/** Load from outside: wrk for HTTP, redis-benchmark for Redis; on core 1 where the server is pinned to core 0. */
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pinned } from "./servers.ts";
import type { Server } from "./servers.ts";

export interface LoadResult {
  /** Answers a second. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

export interface HttpLoad {
  readonly method: "GET" | "PUT";
  readonly keyCount: number;
  readonly connections: number;
  readonly seconds: number;
  readonly valueBytes: number;
  readonly isPinned: boolean;
}

async function output(command: readonly string[], isPinned: boolean): Promise<string> {
  const child = Bun.spawn(isPinned ? pinned(1, command) : [...command], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`"${command[0]}" failed: ${text}`);
  return text;
}

/** Random keys `key-0` to `key-N`, by a wrk script. */
export async function wrk(server: Server, load: HttpLoad): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-wrk-"));
  const script = join(directory, "load.lua");
  writeFileSync(
    script,
    `local body = string.rep("x", ${load.valueBytes})
math.randomseed(os.time())
request = function()
  return wrk.format("${load.method}", "/v1/kv/bench/key-" .. math.random(0, ${load.keyCount - 1}), nil, ${load.method === "PUT" ? "body" : "nil"})
end
done = function(summary, latency)
  local errors = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors))
end
`,
  );
  try {
    const text = await output(
      ["wrk", "-t1", `-c${load.connections}`, `-d${load.seconds}s`, "-s", script, server.url],
      load.isPinned,
    );
    const [, rate, p50, p99, errors] = /RESULT (\S+) (\S+) (\S+) (\d+)/.exec(text) ?? [];
    if (rate === undefined) throw new Error(`wrk said: ${text}`);
    return { rate: Number(rate), p50Ms: Number(p50), p99Ms: Number(p99), errors: Number(errors) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Requests a second of one command, unpipelined. */
export async function redisBenchmark(
  server: Server,
  test: "get" | "set",
  connections: number,
  requests: number,
  isPinned: boolean,
): Promise<number> {
  const text = await output(
    [
      "redis-benchmark",
      "-p",
      String(server.port),
      "-t",
      test,
      "-c",
      String(connections),
      "-n",
      String(requests),
      "-d",
      "100",
      "-r",
      "10000",
      "--csv",
    ],
    isPinned,
  );
  const line = text.split("\n").find((row) => row.toLowerCase().startsWith(`"${test}"`));
  const rate = Number(line?.split(",")[1]?.replaceAll('"', ""));
  if (!(rate > 0)) throw new Error(`redis-benchmark said: ${text}`);
  return rate;
}

/** Puts every key once, so that reads hit. */
export async function fill(server: Server, keyCount: number, valueBytes: number): Promise<void> {
  const body = "x".repeat(valueBytes);
  const lanes = Array.from({ length: 64 }, async (_, lane) => {
    for (let i = lane; i < keyCount; i += 64) {
      const answer = await fetch(`${server.url}/v1/kv/bench/key-${i}`, { method: "PUT", body });
      if (answer.status !== 204) throw new Error(`PUT was answered with ${answer.status}`);
    }
  });
  await Promise.all(lanes);
}
