/**
 * While a simulation runs, everything that would let the real world in (trapped-globals.ts) throws `NONDETERMINISM` and names who called.
 *
 *   const restore = installTraps();   // at each entry of the loop: some microseconds
 *   Math.random();                    // throws: Cannot call Math.random inside a simulation: called at draw (src/base/x.ts:12:3)
 *   restore();
 *
 * A trap stands in front of the real function and lets everything but calls through, so `instanceof` and the like go on working. `new Date(ms)` is arithmetic and
 * stays.
 *
 * Invariant: after `restore` each place holds what it held before, also where traps were installed twice.
 */
import { ALL, type Members, TRAPPED } from "./trapped-globals.ts";

export class NondeterminismError extends Error {
  override readonly name = "NondeterminismError";
  readonly code = "NONDETERMINISM";
}

type Holder = Record<string, unknown>;
type AnyFunction = (...parts: unknown[]) => unknown;

/** One function that is trapped, in the place that really holds it. */
interface Site {
  readonly holder: Holder;
  readonly name: string;
  readonly trap: unknown;
}

const world = globalThis as unknown as Holder;
/** Found once: what the runtime has does not change. */
const SITES: readonly Site[] = [...TRAPPED.flatMap(sitesAt), dateSite()];

/** Names of everything that is trapped, for tests. */
export const trappedNames = (): readonly string[] =>
  TRAPPED.flatMap(([place, members]) =>
    sitesAt([place, members]).map(({ name }) => nameOf(place, name)),
  );

/** Returns what puts everything back. */
export function installTraps(): () => void {
  const before = SITES.map(({ holder, name }) => holder[name]);
  for (const { holder, name, trap } of SITES) holder[name] = trap;
  return () => {
    for (let i = 0; i < SITES.length; i++) {
      const { holder, name } = SITES[i]!;
      holder[name] = before[i];
    }
  };
}

function sitesAt([place, members]: readonly [string, Members]): Site[] {
  const holder = holderAt(place);
  if (holder === undefined) return [];
  const names = members === ALL ? Object.getOwnPropertyNames(holder) : members;
  return names
    .filter((name) => isTrappable(holder, name))
    .map((name) => siteOf(place, holder, name));
}

function siteOf(place: string, holder: Holder, name: string): Site {
  const refuse = (): never => {
    throw refusal(nameOf(place, name));
  };
  const trap = new Proxy(holder[name] as AnyFunction, { apply: refuse, construct: refuse });
  return { holder, name, trap };
}

/** Accessors, and what is locked, stay as they are. */
function isTrappable(holder: Holder, name: string): boolean {
  const property = Object.getOwnPropertyDescriptor(holder, name);
  return (
    typeof property?.value === "function" && property.writable === true && name !== "constructor"
  );
}

/** The object at `place`, if this runtime has it. */
function holderAt(place: string): Holder | undefined {
  let holder: unknown = world;
  const path = place === "global" ? [] : place.split(".");
  for (const [i, part] of path.entries()) {
    holder = i === 0 && part.startsWith("node:") ? builtin(part) : (holder as Holder)[part];
    if (holder === undefined || holder === null) return undefined;
  }
  return holder as Holder;
}

function builtin(module: string): unknown {
  const { getBuiltinModule } = world["process"] as { getBuiltinModule(name: string): unknown };
  return getBuiltinModule(module);
}

/** As one would write the call. */
const nameOf = (place: string, name: string): string =>
  place === "global" ? name : `${place.replace(".__proto__", "")}.${name}`;

/** `Date()` and `new Date()` read the clock; with arguments, and in every other use, it is the real one. */
function dateSite(): Site {
  const RealDate = world["Date"] as new (...parts: unknown[]) => object;
  const trap = new Proxy(RealDate, {
    apply: () => {
      throw refusal("Date()");
    },
    construct: (target, parts: unknown[], newTarget) => {
      if (parts.length === 0) throw refusal("new Date()");
      return Reflect.construct(target, parts, newTarget) as object;
    },
  });
  return { holder: world, name: "Date", trap };
}

function refusal(what: string): NondeterminismError {
  const error = new NondeterminismError();
  error.message = `Cannot call ${what} inside a simulation: called ${callerOf(error.stack ?? "")}`;
  return error;
}

/** File and line of the code that made the call. */
function callerOf(stack: string): string {
  const frames = stack.split("\n").filter((line) => line.trim().startsWith("at "));
  const caller = frames.find((line) => line.includes("/") && !line.includes("/sim/traps.ts"));
  return caller?.trim() ?? "at an unknown place";
}
