/** Random small histories of a register, and who judges them by trying every order: the dumb twin of `linearizable.ts`. */
import type { Prng } from "../../src/base/prng.ts";
import type { RegisterCall, RegisterValue } from "../../src/checkers/register.ts";

const VALUES = ["a", "b", "c"];
const TIME_MAX = 12;

/** Few values and little time, so that about half of all histories have no order; some calls touch, and some never end. */
export function randomRegister(prng: Prng, callsMax: number): RegisterCall[] {
  return Array.from({ length: prng.between(1, callsMax) }, (_, id) => {
    const startMs = prng.below(TIME_MAX);
    const endMs = startMs + prng.below(6);
    const drawn = prng.float();
    const outcome = drawn < 0.1 ? "fail" : drawn < 0.3 ? "info" : "ok";
    return { id, startMs, endMs, outcome, ...randomKind(prng) } as const;
  });
}

type Kind = RegisterCall extends infer Call
  ? Call extends RegisterCall
    ? Omit<Call, "id" | "startMs" | "endMs" | "outcome">
    : never
  : never;

function randomKind(prng: Prng): Kind {
  const arg = prng.pick(VALUES);
  const maybe = VALUES[prng.below(VALUES.length + 1)];
  const drawn = prng.float();
  if (drawn < 0.4) return { kind: "read", result: maybe };
  if (drawn < 0.65) return { kind: "write", arg };
  if (drawn < 0.75) return { kind: "delete" };
  return { kind: "swap", expected: maybe, arg, hasSwapped: prng.chance(0.7) };
}

/** Swaps and reads of versions that nobody else makes: what `version-chain.ts` judges. */
export function randomChain(prng: Prng, callsMax: number): RegisterCall[] {
  const names = ["v0", "v1", "v2", "v3", "v4", "v5"];
  return Array.from({ length: prng.between(1, callsMax) }, (_, id) => {
    const startMs = 2 * id + prng.below(4);
    const endMs = startMs + prng.below(6);
    const outcome = prng.chance(0.2) ? "info" : "ok";
    const call = { id, startMs, endMs, outcome } as const;
    // Mostly the version right before: else nearly no history would have an order.
    const near = prng.chance(0.8) ? names[id - 1] : names[prng.below(names.length + 1)];
    if (prng.chance(0.4)) return { ...call, kind: "read", result: near };
    return { ...call, kind: "swap", expected: near, arg: names[id]!, hasSwapped: true };
  });
}

/** Every order of every choice of the calls that may have happened. */
export function hasOrder(calls: readonly RegisterCall[]): boolean {
  const sure = calls.filter(({ outcome }) => outcome === "ok");
  const perhaps = calls.filter(({ outcome, kind }) => outcome === "info" && kind !== "read");
  for (let choice = 0; choice < 1 << perhaps.length; choice++) {
    const chosen = perhaps.filter((_, i) => (choice & (1 << i)) !== 0);
    for (const order of permutations([...sure, ...chosen])) if (isLegal(order)) return true;
  }
  return false;
}

function* permutations<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length === 0) yield [];
  for (const [i, item] of items.entries())
    for (const rest of permutations(items.toSpliced(i, 1))) yield [item, ...rest];
}

/** Does real time agree with the order, and does every call get what it was told? */
export function isLegal(order: readonly RegisterCall[]): boolean {
  const isTimely = order.every((call, i) =>
    order.slice(i + 1).every((later) => later.outcome === "info" || later.endMs >= call.startMs),
  );
  let value: RegisterValue;
  for (const call of order) {
    if (call.kind === "read" && call.result !== value) return false;
    if (call.kind === "swap") {
      const isExpected = call.expected === value;
      if (call.outcome === "ok" && call.hasSwapped !== isExpected) return false;
      if (isExpected) value = call.arg;
    }
    if (call.kind === "write") value = call.arg;
    if (call.kind === "delete") value = undefined;
  }
  return isTimely;
}
