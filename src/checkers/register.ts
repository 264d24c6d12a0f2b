/**
 * A key seen as a register: one value or none, that calls read, write, delete, and swap (write if it still is what the caller believes).
 * What `linearizable.ts` and `version-chain.ts` judge.
 *
 * A call that has surely failed did not happen. One of unknown outcome happened at some time after its start, or never: its end is `Infinity`.
 */
import { type History, type Operation, type Outcome, type Violation, isWrite } from "./history.ts";

/** `undefined` for none. */
export type RegisterValue = string | undefined;

interface Call {
  readonly id: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly outcome: Outcome;
}

export interface ReadCall extends Call {
  readonly kind: "read";
  readonly result: RegisterValue;
}

export interface WriteCall extends Call {
  readonly kind: "write";
  readonly arg: string;
}

export interface DeleteCall extends Call {
  readonly kind: "delete";
}

export interface SwapCall extends Call {
  readonly kind: "swap";
  readonly expected: RegisterValue;
  readonly arg: string;
  /** False where it was told that the register holds something else. */
  readonly hasSwapped: boolean;
}

export type RegisterCall = ReadCall | WriteCall | DeleteCall | SwapCall;

/** The calls that bear witness: without those that did not happen, and reads that nobody saw the end of. */
export function witnesses(calls: readonly RegisterCall[]): RegisterCall[] {
  return calls
    .filter(({ kind, outcome }) => outcome === "ok" || (outcome === "info" && kind !== "read"))
    .map((call) => (call.outcome === "info" ? { ...call, endMs: Infinity } : call));
}

/** Keys of a history as registers, by place, and reads that showed more than a register can hold. */
export function registersOf(history: History): {
  readonly registers: ReadonlyMap<string, readonly RegisterCall[]>;
  readonly violations: readonly Violation[];
} {
  const registers = new Map<string, RegisterCall[]>();
  const violations: Violation[] = [];
  for (const [key, operations] of history.byKey()) {
    registers.set(key, operations.flatMap(callsOf));
    for (const { id, versions } of operations)
      if (versions.length > 1)
        violations.push({
          invariant: "linearizable",
          message: `#${id} shows ${versions.length} values of a register`,
          key,
        });
  }
  return { registers, violations };
}

/**
 * `If-None-Match: *` is a swap that expects nothing, and its 412 a swap that was told no. A put with a context counts as a plain write: what
 * contexts replace is judged by `versions.ts`.
 */
function callsOf(operation: Operation): RegisterCall[] {
  const { id, kind, startMs, endMs, outcome, value, versions } = operation;
  const call = { id, startMs, endMs, outcome };
  if (kind === "delete") return [{ ...call, kind }];
  if (!isWrite(operation))
    return versions.length > 1 ? [] : [{ ...call, kind: "read", result: versions[0]?.value }];
  if (!operation.isConditional) return [{ ...call, kind: "write", arg: value }];
  const swap = { kind: "swap", expected: undefined, arg: value } as const;
  if (isRefused(operation)) return [{ ...call, ...swap, outcome: "ok", hasSwapped: false }];
  return [{ ...call, ...swap, hasSwapped: true }];
}

const PRECONDITION_FAILED = 412;

/** A retry could have been refused because of its own first attempt, and proves nothing. */
function isRefused({ outcome, attempts }: Operation): boolean {
  return outcome === "fail" && attempts.length === 1 && attempts[0]!.status === PRECONDITION_FAILED;
}

/** One line for people: `12.0-20.0 #3 read nothing`. */
export function describeCall(call: RegisterCall): string {
  const end = call.endMs === Infinity ? "" : call.endMs.toFixed(1);
  return `${call.startMs.toFixed(1)}-${end} #${call.id} ${describeKind(call)}`;
}

function describeKind(call: RegisterCall): string {
  const suffix = call.outcome === "info" ? ", unknown" : "";
  switch (call.kind) {
    case "read":
      return `read ${describeValue(call.result)}`;
    case "write":
      return `write ${describeValue(call.arg)}${suffix}`;
    case "delete":
      return `delete${suffix}`;
    case "swap":
      return `swap ${describeValue(call.expected)} for ${describeValue(call.arg)}${suffix || (call.hasSwapped ? "" : ", refused")}`;
  }
}

function describeValue(value: RegisterValue): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
