/** FAULTS.md 2.2: what a simulated node must not touch throws and says who touched it; outside the loop nothing is left of that. */
import { describe, expect, test } from "bun:test";
import childProcess from "node:child_process";
import nodeCrypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import timers from "node:timers";
import { zstdCompression } from "../../src/bun/compression.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { installTraps, trappedNames } from "../../src/sim/traps.ts";
import { TRAPPED } from "../../src/sim/trapped-globals.ts";
import { SimWorld } from "../../src/sim/world.ts";

/** What `call`, made by a node inside a simulation, throws. */
function thrownBy(call: () => unknown): unknown {
  const world = new SimWorld(1);
  world.node("a").clock.after(1, () => void call());
  try {
    world.run(10);
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

const temporal = (globalThis as unknown as { Temporal: { Now: { instant(): unknown } } }).Temporal;

/** By hand, as a module would write them. */
const OFFENCES: readonly (readonly [name: string, call: () => unknown])[] = [
  ["setTimeout", () => setTimeout(() => undefined, 1)],
  ["setInterval", () => setInterval(() => undefined, 1)],
  ["setImmediate", () => setImmediate(() => undefined)],
  ["setTimeout", () => globalThis.setTimeout(() => undefined, 1)],
  ["node:timers.setTimeout", () => timers.setTimeout(() => undefined, 1)],
  ["process.nextTick", () => process.nextTick(() => undefined)],
  ["AbortSignal.timeout", () => AbortSignal.timeout(1)],
  ["Atomics.wait", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)],
  ["Bun.sleep", () => Bun.sleep(1)],
  ["Bun.sleepSync", () => Bun.sleepSync(1)],
  ["Bun.zstdCompress", () => Bun.zstdCompress("x")],
  ["WebAssembly.compile", () => WebAssembly.compile(new Uint8Array(8))],
  ["fetch", () => fetch("http://127.0.0.1:1/")],
  ["Worker", () => new Worker("x.ts")],
  ["WebSocket", () => new WebSocket("ws://127.0.0.1:1/")],
  ["BroadcastChannel", () => new BroadcastChannel("x")],
  ["MessageChannel", () => new MessageChannel()],
  ["WeakRef", () => new WeakRef({})],
  ["FinalizationRegistry", () => new FinalizationRegistry(() => undefined)],
  ["Date.now", () => Date.now()],
  ["new Date()", () => new Date()],
  ["Date()", () => Date()],
  ["performance.now", () => performance.now()],
  ["performance.mark", () => performance.mark("x")],
  ["Temporal.Now.instant", () => temporal.Now.instant()],
  ["Bun.nanoseconds", () => Bun.nanoseconds()],
  ["process.hrtime", () => process.hrtime()],
  ["process.hrtime.bigint", () => process.hrtime.bigint()],
  ["process.uptime", () => process.uptime()],
  ["process.cpuUsage", () => process.cpuUsage()],
  ["process.memoryUsage", () => process.memoryUsage()],
  ["process.memoryUsage.rss", () => process.memoryUsage.rss()],
  ["process.exit", () => process.exit(0)],
  ["Math.random", () => Math.random()],
  ["crypto.getRandomValues", () => crypto.getRandomValues(new Uint8Array(1))],
  ["crypto.randomUUID", () => crypto.randomUUID()],
  ["crypto.subtle.digest", () => crypto.subtle.digest("SHA-256", new Uint8Array(1))],
  ["crypto.subtle.sign", () => crypto.subtle.sign("HMAC", {} as CryptoKey, new Uint8Array(1))],
  ["node:crypto.randomBytes", () => nodeCrypto.randomBytes(1)],
  ["Bun.randomUUIDv7", () => Bun.randomUUIDv7()],
  ["Bun.password.hash", () => Bun.password.hash("x")],
  ["Bun.file", () => Bun.file("x")],
  ["Bun.write", () => Bun.write("/nowhere/x", "x")],
  ["Bun.mmap", () => Bun.mmap("/nowhere/x")],
  ["Bun.serve", () => Bun.serve({ port: 0, fetch: () => new Response() })],
  ["Bun.listen", () => Bun.listen({ hostname: "x", port: 0, socket: { data: () => undefined } })],
  ["Bun.udpSocket", () => Bun.udpSocket({})],
  ["Bun.connect", () => Bun.connect({ hostname: "x", port: 1, socket: { data: () => undefined } })],
  ["Bun.spawn", () => Bun.spawn(["true"])],
  ["Bun.$", () => Bun.$`true`],
  ["Bun.Glob.prototype.scanSync", () => new Bun.Glob("*").scanSync("/")],
  ["node:fs.readFileSync", () => fs.readFileSync("/etc/hostname")],
  ["node:fs.openSync", () => fs.openSync("/etc/hostname", "r")],
  ["node:fs.writeFile", () => fs.writeFile("/nowhere/x", "", () => undefined)],
  ["node:fs.fdatasync", () => fs.fdatasync(0, () => undefined)],
  ["node:fs.renameSync", () => fs.renameSync("/nowhere/x", "/nowhere/y")],
  ["node:fs.promises.readFile", () => fs.promises.readFile("/etc/hostname")],
  ["node:os.freemem", () => os.freemem()],
  ["node:child_process.spawnSync", () => childProcess.spawnSync("true")],
  ["String.prototype.localeCompare", () => "a".localeCompare("b")],
  ["String.prototype.toLocaleUpperCase", () => "i".toLocaleUpperCase()],
  ["Number.prototype.toLocaleString", () => (1234.5).toLocaleString()],
  ["Array.prototype.toLocaleString", () => [1].toLocaleString()],
  ["Date.prototype.toLocaleDateString", () => new Date(0).toLocaleDateString()],
  ["Date.prototype.getHours", () => new Date(0).getHours()],
  ["Date.prototype.getTimezoneOffset", () => new Date(0).getTimezoneOffset()],
  ["Intl.Collator", () => new Intl.Collator()],
  ["Intl.DateTimeFormat", () => Intl.DateTimeFormat()],
  ["Intl.NumberFormat", () => new Intl.NumberFormat("de")],
];

describe("traps", () => {
  test.each(OFFENCES)(
    "%s inside a simulation throws NONDETERMINISM and names its caller",
    (name, call) => {
      const thrown = thrownBy(call);
      expect(thrown).toMatchObject({ code: "NONDETERMINISM" });
      expect(String(thrown)).toContain(`Cannot call ${name} inside a simulation: called at `);
      expect(String(thrown)).toMatch(/\/test\/sim\/traps\.test\.ts:\d+/);
    },
  );

  test("nothing of the table is missing in this runtime", () => {
    const names = new Set(trappedNames());
    const wanted = TRAPPED.flatMap(([place, members]) =>
      members === "all" ? [] : members.map((name) => `${place}.${name}`),
    );
    const written = wanted.map((name) => name.replace(".__proto__", "").replace(/^global\./, ""));
    expect(written.filter((name) => !names.has(name))).toEqual([]);
    for (const [name] of OFFENCES.filter(([name]) => !name.includes("Date()")))
      expect(names).toContain(name);
    expect(names.size).toBeGreaterThan(350);
  });

  test("each of them refuses while traps are installed, and none afterwards", () => {
    const refusals = new Set<string>();
    const before = functionsOf(trappedNames());
    const restore = installTraps();
    // Nothing of `expect` runs in here: it has a right to files and clocks.
    const inside = functionsOf(trappedNames());
    for (const [name, call] of inside) if (isRefused(call)) refusals.add(name);
    restore();
    expect([...inside.keys()].filter((name) => !refusals.has(name))).toEqual([]);
    expect(refusals.size).toBe(before.size);
    for (const [name, call] of functionsOf(trappedNames()))
      expect(call === before.get(name), name).toBe(true);
  });

  test("everything is put back also after a run that threw, and after traps within traps", () => {
    const before = functionsOf(trappedNames());
    const RealDate = Date;
    expect(thrownBy(() => Math.random())).toBeDefined();
    const outer = installTraps();
    const inner = installTraps();
    inner();
    const isStillTrapped = isRefused(Math.random);
    outer();
    expect(isStillTrapped).toBe(true);
    for (const [name, call] of functionsOf(trappedNames()))
      expect(call === before.get(name), name).toBe(true);
    expect(Date).toBe(RealDate);
    expect(Date.now()).toBeGreaterThan(0);
    expect(Object.hasOwn(crypto, "randomUUID")).toBe(false);
    expect(fs.existsSync(import.meta.path)).toBe(true);
  });

  test("what is deterministic stays: dates made of numbers, clones, kernels, compression", () => {
    const bytes = new Uint8Array(5000).fill(7);
    const plain = { hash: crc32(bytes), frame: zstdCompression.compress(bytes) };
    let inside: unknown;
    const thrown = thrownBy(() => {
      inside = {
        date: [new Date(0).toISOString(), new Date(0) instanceof Date, Date.UTC(1970, 0, 2)],
        clone: structuredClone({ a: [1] }),
        hash: crc32(bytes),
        frame: zstdCompression.compress(bytes),
        upper: "i".toUpperCase(),
      };
    });
    expect(thrown).toBeUndefined();
    expect(inside).toEqual({
      date: ["1970-01-01T00:00:00.000Z", true, 86_400_000],
      clone: { a: [1] },
      ...plain,
      upper: "I",
    });
  });

  test("the cost of entering the loop is below half a millisecond", () => {
    const rounds = 200;
    const start = performance.now();
    for (let i = 0; i < rounds; i++) installTraps()();
    expect((performance.now() - start) / rounds).toBeLessThan(0.5);
  });
});

type Call = (...parts: unknown[]) => unknown;

/** What stands at each of those places now. */
function functionsOf(names: readonly string[]): Map<string, Call> {
  return new Map(names.map((name) => [name, functionAt(name)]));
}

function functionAt(name: string): Call {
  // Methods of these two live on a prototype, where they are found from the object as well.
  let value: unknown = globalThis;
  for (const [i, part] of name.split(".").entries())
    value =
      i === 0 && part.startsWith("node:")
        ? getBuiltin(part)
        : (value as Record<string, unknown>)[part];
  return value as Call;
}

const getBuiltin = process.getBuiltinModule.bind(process) as (name: string) => unknown;

function isRefused(call: Call): boolean {
  try {
    call();
    return false;
  } catch (thrown) {
    return (thrown as { code?: unknown }).code === "NONDETERMINISM";
  }
}
