/**
 * Writes that may have been minted twice, and what their answers then tell.
 *
 * A node that waits too long for one minter asks the next one, and a retry that does not find its first attempt is minted again. The answer covers both
 * dots, and the checkers take all but one of them for what the write has replaced. In virtual time every message between nodes says which dot stands
 * for which value; here only reads do. So a dot that nobody else's write accounts for, in the answer of a write that may have been minted twice,
 * is taken for the write's own, and is no part of what it has replaced.
 *
 * What is lost: a hole in somebody's causal history whose only trace is the dot of a write that was never answered and never read.
 */
import type { DotBook } from "../../src/checkers/dots.ts";
import {
  type History,
  type Operation,
  type Seen,
  isWrite,
  parseDot,
} from "../../src/checkers/history.ts";

/** A node waits at least this long for a minter: the shortest timeout of a client. */
const SECOND_MINTER_MS = 50;

/** @param book after `nameDots` */
export function forgetSecondMints(history: History, book: DotBook): void {
  for (const operations of history.byKey().values()) {
    const owners = ownersOf(operations, book);
    for (const write of operations)
      if (isWrite(write) && write.outcome === "ok" && mayBeMintedTwice(write))
        write.seen = withoutOwn(write, owners);
  }
}

function mayBeMintedTwice({ attempts }: Operation): boolean {
  return (
    attempts.length > 1 ||
    attempts.some(({ startMs, endMs }) => endMs - startMs >= SECOND_MINTER_MS)
  );
}

/** A dot that is known to stand for something. */
interface Known {
  readonly actor: string;
  readonly counter: number;
  /** The value, or the number of the deletion. */
  readonly owner: string;
}

/** By dot. */
type Owners = ReadonlyMap<string, Known>;

function ownersOf(operations: readonly Operation[], book: DotBook): Owners {
  const owners = new Map<string, Known>();
  const note = (dot: string, owner: string): void =>
    void owners.set(dot, { ...parseDot(dot), owner });
  for (const { versions } of operations)
    for (const { dot } of versions) note(dot, book.meaningOf(dot) ?? "");
  for (const write of operations)
    if (write.dot !== "" && isWrite(write)) note(write.dot, nameOf(write));
  return owners;
}

const nameOf = ({ id, kind, value }: Operation): string => (kind === "put" ? value : `#${id}`);

function withoutOwn(write: Operation, owners: Owners): Seen {
  const { seen, given } = write;
  const others = [...owners.values()].filter(({ owner }) => owner !== nameOf(write));
  const vector = new Map<string, number>();
  for (const [actor, counter] of seen.vector) {
    const known = others.filter((own) => own.actor === actor && own.counter <= counter);
    const asked = Math.min(counter, given?.vector.get(actor) ?? 0);
    const kept = Math.max(asked, ...known.map((own) => own.counter));
    if (kept > 0) vector.set(actor, kept);
  }
  const dots = new Set([...seen.dots].filter((dot) => isKept(dot, write, owners)));
  const { actor, counter } = parseDot(write.dot);
  // Its one own dot it covers as before.
  if ((seen.vector.get(actor) ?? 0) >= counter)
    vector.set(actor, Math.max(counter, vector.get(actor) ?? 0));
  return { ...seen, vector, dots };
}

function isKept(dot: string, write: Operation, owners: Owners): boolean {
  if (dot === write.dot || write.given?.dots.has(dot) === true) return true;
  const known = owners.get(dot);
  return known !== undefined && known.owner !== nameOf(write);
}
