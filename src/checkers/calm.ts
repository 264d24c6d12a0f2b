/**
 * The cluster after everything has healed, and what every operation was promised about time: L1, L3, L4, L5, S7.
 *
 *   L1  all owners of a key hold equal bytes        L3  all nodes know the same ring        L4  nobody keeps a hint
 *   L5  every operation was answered within its timeout and a bound, unless its node died, stood still or was cut off from time itself
 *   S7  hints for one node stay within their bytes
 */
import { type History, type Violation, placeOf } from "./history.ts";

/** Hints for one node. */
export interface HeldHints {
  readonly node: string;
  readonly count: number;
  readonly bytes: number;
}

/** The answer of `?explain=1`, what of it is judged. */
export interface Explanation {
  readonly partition: number;
  readonly owners: readonly ExplainedReplica[];
  readonly fallbacks: readonly ExplainedReplica[];
  readonly equal: boolean;
}

interface ExplainedReplica {
  readonly node: string;
  readonly reachable: boolean;
  readonly dots: readonly string[];
  readonly stateHash: string;
}

export function checkEqualOwners(
  key: string,
  { equal, owners, fallbacks }: Explanation,
): Violation[] {
  const states = owners.map(
    ({ node, reachable, stateHash }) => `${node}=${reachable ? stateHash : "unreachable"}`,
  );
  const violations: Violation[] = [];
  const isSame = owners.every(
    ({ reachable, stateHash }) => reachable && stateHash === owners[0]!.stateHash,
  );
  if (!isSame || !equal)
    violations.push({ invariant: "L1", message: `owners differ: ${states.join(" ")}`, key });
  for (const { node } of fallbacks)
    violations.push({ invariant: "L4", message: `${node} still keeps a copy as a fallback`, key });
  return violations;
}

/** @param rings the answer of `/v1/cluster/ring` of each node, by name, without the states of partitions */
export function checkOneRing(rings: ReadonlyMap<string, string>): Violation[] {
  const [first] = rings.values();
  return [...rings]
    .filter(([, ring]) => ring !== first)
    .map(([node]) => ({ invariant: "L3", message: `${node} knows another ring`, key: "" }));
}

export function checkNoHints(hints: readonly HeldHints[]): Violation[] {
  return hints
    .filter(({ count }) => count > 0)
    .map(({ node, count }) => ({
      invariant: "L4",
      message: `${count} hints for ${node} were never delivered`,
      key: "",
    }));
}

export function checkHintBytes(
  holder: string,
  hints: readonly HeldHints[],
  bytesMax: number,
): Violation[] {
  return hints
    .filter(({ bytes }) => bytes > bytesMax)
    .map(({ node, bytes }) => ({
      invariant: "S7",
      message: `${holder} says that ${bytes} bytes are kept for ${node}, above ${bytesMax}`,
      key: "",
    }));
}

/** Row 80: with other copies about, nobody is told of damage. @param isExcused were other copies out of reach then? */
export function checkDamage(
  { operations }: History,
  isExcused: (startMs: number, endMs: number) => boolean,
): Violation[] {
  return operations
    .filter(({ attempts }) =>
      attempts.some(({ status, startMs, endMs }) => status === 500 && !isExcused(startMs, endMs)),
    )
    .map((operation) => ({
      invariant: "row 80",
      message: `#${operation.id} ${operation.client} ${operation.kind} ${operation.level} was answered with damage`,
      key: placeOf(operation),
    }));
}

/** How one attempt went, for L5. */
export interface Waited {
  readonly operation: string;
  readonly node: string;
  readonly startMs: number;
  readonly forMs: number;
  readonly timeoutMs: number;
  /** It was paused or died meanwhile. */
  readonly isExcused: boolean;
}

const LATE_MS_MAX = 500;

export function checkAnswered(waits: readonly Waited[]): Violation[] {
  return waits
    .filter(({ forMs, timeoutMs, isExcused }) => !isExcused && forMs > timeoutMs + LATE_MS_MAX)
    .map(({ operation, node, startMs, forMs, timeoutMs }) => ({
      invariant: "L5",
      message: `${operation} at ${startMs.toFixed(1)}: ${node} took ${forMs.toFixed(0)} ms, the timeout was ${timeoutMs} ms`,
      key: "",
    }));
}
