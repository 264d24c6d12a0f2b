/**
 * Programmer errors: facts that hold unless the code is wrong. A failed one stops the node.
 */

/** A broken invariant of the program itself; never caused by input, peers or disks. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws `AssertionError` unless `condition` holds. State the positive fact. */
export function assert(condition: boolean, fact: string): asserts condition {
  if (!condition) throw new AssertionError(`Invariant broken: ${fact}`);
}

/** Marks the end of a switch over a union; the type checker proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`Invariant broken: unexpected value ${JSON.stringify(value)}`);
}
