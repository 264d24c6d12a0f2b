/**
 * While a simulation runs, every global that would let the real world in throws `NONDETERMINISM` and names who called.
 *
 * `new Date(ms)` is arithmetic and stays. A module that has kept `Date.now` or the like in a constant of its own slips
 * through; the test of the source (test/tidy.test.ts) is there for that.
 */

export class NondeterminismError extends Error {
  override readonly name = "NondeterminismError";
  readonly code = "NONDETERMINISM";
}

/** Where each lives, from the global object; what a runtime does not have is skipped. */
const TRAPPED: readonly (readonly [holder: string, name: string])[] = [
  ["", "setTimeout"],
  ["", "setInterval"],
  ["", "setImmediate"],
  ["", "fetch"],
  ["", "Worker"],
  ["Date", "now"],
  ["Math", "random"],
  ["performance", "now"],
  ["crypto", "getRandomValues"],
  ["crypto", "randomUUID"],
  ["AbortSignal", "timeout"],
  ["Bun", "sleep"],
  ["Bun", "sleepSync"],
  ["Bun", "nanoseconds"],
  ["Bun", "randomUUIDv7"],
  ["Bun", "file"],
  ["Bun", "write"],
  ["Bun", "mmap"],
  ["Bun", "serve"],
  ["Bun", "listen"],
  ["Bun", "connect"],
  ["Bun", "udpSocket"],
  ["Bun", "spawn"],
  ["Bun", "spawnSync"],
];

type Holder = Record<string, unknown>;

/** Returns what puts everything back. */
export function installTraps(): () => void {
  const restores = TRAPPED.map(([holder, name]) => trap(holder, name));
  restores.push(trapDate());
  return () => {
    for (const restore of restores.reverse()) restore();
  };
}

function trap(holderName: string, name: string): () => void {
  const world = globalThis as unknown as Holder;
  const holder = (holderName === "" ? world : world[holderName]) as Holder | undefined;
  if (holder === undefined || typeof holder[name] !== "function") return () => undefined;
  const isOwn = Object.hasOwn(holder, name);
  const real = holder[name];
  holder[name] = function trapped(): never {
    throw refusal(holderName === "" ? name : `${holderName}.${name}`);
  };
  return () => {
    if (isOwn) holder[name] = real;
    else delete holder[name];
  };
}

/** `Date()` and `new Date()` read the clock; with arguments, and in every other use, it is the real one. */
function trapDate(): () => void {
  const world = globalThis as unknown as Holder;
  const RealDate = world["Date"] as new (...parts: unknown[]) => object;
  world["Date"] = new Proxy(RealDate, {
    apply: () => {
      throw refusal("Date()");
    },
    construct: (target, parts: unknown[], newTarget) => {
      if (parts.length === 0) throw refusal("new Date()");
      return Reflect.construct(target, parts, newTarget) as object;
    },
  });
  return () => {
    world["Date"] = RealDate;
  };
}

function refusal(what: string): NondeterminismError {
  const error = new NondeterminismError();
  error.message = `Cannot call ${what} inside a simulation: called ${callerOf(error.stack ?? "")}`;
  return error;
}

function callerOf(stack: string): string {
  const frames = stack.split("\n").filter((line) => line.trim().startsWith("at "));
  const caller = frames.find((line) => line.includes("/") && !line.includes("/sim/traps.ts"));
  return caller?.trim() ?? "at an unknown place";
}
