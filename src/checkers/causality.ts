/**
 * Causal order, from what depends on what, without any clock (FAULTS.md 2.7). The graph of a history:
 *
 *   client    an operation -> the next one of its client
 *   reads     a write -> every read that shows its value, or covers its dot
 *   context   a write -> every write whose request's context covers its dot; for `causal order`, by a single dot only where its answer covers that too
 *
 *   causal cycle   something depends on itself: a value was read, or a context held it, before it was written
 *   causal history a read that knows of a write knows of all that the write has replaced: histories have no holes but those that a writer was told of
 *   causal order   a read shows a version that a write has replaced on which the read depends, over any number of steps, although its own context does not
 *                  know of that write: the hidden overwritten dependency. (One that its context knows of is S3.)
 *
 * The last is promised per key, and from session to session only by what reads show and contexts carry; so it follows these edges between operations of
 * one key, and the order of a session instead of that of a client. In lww nothing replaces anything: the greatest timestamp stays, whoever has seen what.
 */
import type { Amnesty } from "./amnesty.ts";
import {
  type History,
  type Operation,
  type Seen,
  type Version,
  type Violation,
  covers,
  isWrite,
  placeOf,
} from "./history.ts";
import { knowsAll, knowsDot } from "./order.ts";
import { name, replacedBy } from "./versions.ts";

const NO_DOTS: ReadonlySet<string> = new Set();

/** Edges, from each operation to those it depends on directly. */
type Causes = ReadonlyMap<Operation, readonly Operation[]>;

export function checkCausality(history: History, amnesty?: Amnesty): Violation[] {
  const byKey = history.byKey();
  const data = new Map([...byKey.values()].flatMap((operations) => [...dataCauses(operations)]));
  const { operations } = history;
  const cycles = findCycle(operations, joined(data, orderOf(operations, clientOf)));
  if (cycles.length > 0) return cycles;
  const carried = kept(data);
  return [...byKey.values()].flatMap((own) => [
    ...checkHoles(own, amnesty),
    ...checkHidden(own, joined(carried, readsOnly(orderOf(own, sessionOf, isAnswered))), amnesty),
  ]);
}

const clientOf = ({ client }: Operation): string => client;
/** What was refused has taught its session nothing, whatever context it carried (seed 80). */
const isAnswered = ({ outcome }: Operation): boolean => outcome === "ok";
const sessionOf = ({ session }: Operation): string => session;

/** What contexts and shown values tell, among the operations of one key. */
function dataCauses(operations: readonly Operation[]): Map<Operation, Operation[]> {
  const writes = operations.filter((own) => isWrite(own) && own.outcome !== "fail");
  return new Map(
    operations.map((operation) => [
      operation,
      writes.filter((write) => write !== operation && dependsOn(operation, write)),
    ]),
  );
}

function dependsOn(operation: Operation, write: Operation): boolean {
  const { given, outcome, seen, versions } = operation;
  if (isWrite(operation))
    return given !== undefined && write.dot !== "" && covers(given, write.dot);
  if (outcome !== "ok") return false;
  if (write.dot !== "" && covers(seen, write.dot)) return true;
  // Its value under another dot is a twin of it, minted before and by somebody else, who knew less (seed 40539).
  const isIt = ({ dot, value }: Version): boolean =>
    value === write.value && (dot === "" || write.dot === "" || dot === write.dot);
  return write.kind === "put" && versions.some(isIt);
}

/** Each operation of a session, or of a client, depends on the one before it that tells anything. */
function orderOf(
  operations: readonly Operation[],
  groupOf: (operation: Operation) => string,
  tells: (operation: Operation) => boolean = () => true,
): Causes {
  const last = new Map<string, Operation>();
  const causes = new Map<Operation, Operation[]>();
  for (const operation of operations) {
    const group = groupOf(operation);
    const before = last.get(group);
    if (group !== "" && before !== undefined && before.endMs <= operation.startMs)
      causes.set(operation, [before]);
    if (tells(operation)) last.set(group, operation);
  }
  return causes;
}

/** A session is promised that its reads are in order (R7). Its writes try to be, but a minter that is cut off goes on without what the session has seen. */
function readsOnly(causes: Causes): Causes {
  return new Map([...causes].filter(([{ kind }]) => kind === "get"));
}

/**
 * Without what contexts tell of single dots that the minter did not find: its write then knows nothing of them, and its answer says so (seed 70706). Of a
 * write without an answer nobody knows.
 */
function kept(data: Causes): Causes {
  const isKept = ({ given, outcome, seen }: Operation, { dot }: Operation): boolean => {
    if (given === undefined || covers({ ...given, dots: NO_DOTS }, dot)) return true;
    return outcome === "ok" && covers(seen, dot);
  };
  return new Map(
    [...data].map(([own, causes]) => [
      own,
      isWrite(own) ? causes.filter((cause) => isKept(own, cause)) : causes,
    ]),
  );
}

function joined(a: Causes, b: Causes): Causes {
  return new Map(
    [...a].map(([operation, causes]) => [operation, [...causes, ...(b.get(operation) ?? [])]]),
  );
}

/** Takes away whatever depends on nothing that is left; what stays depends on itself, or on something that does. */
function findCycle(operations: readonly Operation[], causes: Causes): Violation[] {
  const { rest } = inOrder(operations, causes);
  if (rest.size === 0) return [];
  const path: Operation[] = [];
  let [step] = rest;
  while (step !== undefined && !path.includes(step)) {
    path.push(step);
    step = causes.get(step)!.find((cause) => rest.has(cause));
  }
  const cycle = path.slice(path.indexOf(step!));
  const message = `each depends on the next, and the last on the first: ${cycle.map(name).join(" <- ")}`;
  return [{ invariant: "causal cycle", message, key: placeOf(cycle[0]!) }];
}

/** Causes before what they cause; `rest` is what has no such order. */
function inOrder(
  operations: readonly Operation[],
  causes: Causes,
): { readonly order: readonly Operation[]; readonly rest: ReadonlySet<Operation> } {
  const waitsFor = new Map(operations.map((own) => [own, causes.get(own)!.length]));
  const effects = new Map<Operation, Operation[]>(operations.map((own) => [own, []]));
  for (const own of operations) for (const cause of causes.get(own)!) effects.get(cause)!.push(own);
  const order = operations.filter((own) => waitsFor.get(own) === 0);
  // Grows while it is walked, by each operation once.
  for (const own of order)
    for (const effect of effects.get(own)!) {
      waitsFor.set(effect, waitsFor.get(effect)! - 1);
      if (waitsFor.get(effect) === 0) order.push(effect);
    }
  const placed = new Set(order);
  return { order, rest: new Set(operations.filter((own) => !placed.has(own))) };
}

function checkHoles(operations: readonly Operation[], amnesty: Amnesty | undefined): Violation[] {
  const carriers = operations.filter((own) => isWrite(own) && own.outcome !== "fail");
  const writes = carriers.filter(({ outcome }) => outcome === "ok");
  const reads = operations.filter(({ kind, outcome }) => kind === "get" && outcome === "ok");
  return writes.flatMap((write) => {
    const replaced = replacedBy(write);
    return reads
      .filter((read) => covers(read.seen, write.dot) && !knowsAll(read, replaced, amnesty))
      .filter((read) => !isToldHole(read, write, replaced, carriers, amnesty))
      .map((read) => ({
        invariant: "causal history",
        message: `${name(read)} knows of ${name(write)}, and not of all that it has replaced`,
        key: placeOf(read),
      }));
  });
}

/**
 * A minter that cannot find a single dot of a context takes over the vector of that context all the same, and the answer says that the dot is not covered
 * (docs/decisions/sealed-contexts.md). Whoever reads what it has minted knows of `write` by that vector, and not of the dot.
 */
function isToldHole(
  read: Operation,
  write: Operation,
  replaced: Seen,
  carriers: readonly Operation[],
  amnesty: Amnesty | undefined,
): boolean {
  if (!knowsAll(read, { ...replaced, dots: NO_DOTS }, amnesty)) return false;
  const missing = [...replaced.dots].filter((dot) => !knowsDot(read, dot, amnesty));
  return missing.every((dot) =>
    carriers.some(({ given, seen, outcome, ...carrier }) => {
      if (given === undefined || !given.dots.has(dot) || !covers(given, write.dot)) return false;
      // Nobody knows the dot of a write without an answer, nor what it was told.
      return outcome === "info" || (covers(read.seen, carrier.dot) && !covers(seen, dot));
    }),
  );
}

function checkHidden(
  operations: readonly Operation[],
  causes: Causes,
  amnesty: Amnesty | undefined,
): Violation[] {
  const pasts = pastsOf(operations, causes);
  const writes = operations.filter((own) => isWrite(own) && own.outcome === "ok");
  const violations: Violation[] = [];
  for (const read of operations) {
    if (read.kind !== "get" || read.outcome !== "ok") continue;
    for (const [i, write] of writes.entries()) {
      if (((pasts.get(read)! >> BigInt(i)) & 1n) === 0n || covers(read.seen, write.dot)) continue;
      // A write that two nodes have minted has replaced its own twin, which is as good (seed 11063).
      const old = read.versions.find(
        ({ dot, value }) => value !== write.value && covers(replacedBy(write), dot),
      );
      if (old === undefined || amnesty?.covers(placeOf(read), write.dot, read.endMs)) continue;
      violations.push({
        invariant: "causal order",
        message: `${name(read)} depends on ${name(write)}, and shows ${old.dot}, which that has replaced`,
        key: placeOf(read),
      });
    }
  }
  return violations;
}

/** Of each operation all answered writes that it depends on over any number of steps, as bits. */
function pastsOf(operations: readonly Operation[], causes: Causes): Map<Operation, bigint> {
  const bits = new Map<Operation, bigint>();
  for (const own of operations)
    if (isWrite(own) && own.outcome === "ok") bits.set(own, 1n << BigInt(bits.size));
  const pasts = new Map<Operation, bigint>();
  for (const own of inOrder(operations, causes).order) {
    const past = causes.get(own)!.reduce((all, cause) => all | pasts.get(cause)!, 0n);
    pasts.set(own, past | (bits.get(own) ?? 0n));
  }
  return pasts;
}
