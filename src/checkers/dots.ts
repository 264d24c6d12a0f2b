/**
 * Dots and clocks: S5 and S6.
 *
 *   S5  a dot never stands for two values: in reads, in answers, in every message between nodes
 *   S6  the clock of a node never goes back: of two writes that it has minted one after the other, the second has the greater counter. A new incarnation may
 *       begin a little lower: its power went before the disk knew how far the clock had gone, and no key stamps a write below what it holds (R21)
 */
import type { Record } from "../causality/record.ts";
import { dotText } from "../causality/actor.ts";
import {
  type History,
  type Operation,
  type Violation,
  isWrite,
  ownDot,
  parseDot,
  placeOf,
} from "./history.ts";

const DELETED = "(deleted)";

/** What each dot stands for, from all who have said so. */
export class DotBook {
  readonly violations: Violation[] = [];
  private readonly meanings = new Map<string, string>();
  /** Values with a time to live. */
  readonly expiring = new Set<string>();

  get count(): number {
    return this.meanings.size;
  }

  meaningOf(dot: string): string | undefined {
    return this.meanings.get(dot);
  }

  /** All dots that stand for it. */
  dotsOf(meaning: string): readonly string[] {
    return [...this.meanings].filter(([, own]) => own === meaning).map(([dot]) => dot);
  }

  /** @param key for people; the same dot on two keys is a violation as well */
  note(dot: string, meaning: string, key: string): void {
    const known = this.meanings.get(dot);
    if (known === undefined) this.meanings.set(dot, meaning);
    else if (known !== meaning)
      this.violations.push({
        invariant: "S5",
        message: `dot ${dot} stands for "${known}" and for "${meaning}"`,
        key,
      });
  }

  /** For `SimClusterOptions.tap`. */
  noteRecord(record: Record, kind: string): void {
    for (const { actor, values } of record)
      for (const { counter, payload } of values) {
        const meaning = payload.isTombstone ? DELETED : new TextDecoder().decode(payload.value);
        this.note(dotText(actor, counter), meaning, kind);
      }
  }

  /** A value that expires is a deletion to those who read it later. */
  private mayHaveExpired(dot: string): boolean {
    return this.expiring.has(this.meanings.get(dot) ?? "");
  }

  noteOperation(operation: Operation): void {
    const key = placeOf(operation);
    for (const { dot, value } of operation.versions)
      if (value !== undefined || !this.mayHaveExpired(dot)) this.note(dot, value ?? DELETED, key);
    if (operation.dot === "") return;
    this.note(operation.dot, operation.kind === "put" ? operation.value : DELETED, key);
  }
}

/**
 * Names the dots of answered writes. The context of an answer covers the write's own dot and others; which of them it is, the messages between nodes
 * tell: the one that stands for the written value; of a deletion, or where no message has told of the value, the newest that stands for nothing else.
 */
export function nameDots(history: History, book: DotBook): void {
  for (const write of history.operations) {
    if (!isWrite(write) || write.outcome !== "ok") continue;
    const meaning = write.kind === "put" ? write.value : DELETED;
    const isOwn = (dot: string): boolean => book.meaningOf(dot) === meaning;
    const mayBeOwn = (dot: string): boolean => isOwn(dot) || book.meaningOf(dot) === undefined;
    const told = write.kind === "put" ? ownDot(write.seen, write.given, isOwn) : "";
    write.dot = told || ownDot(write.seen, write.given, mayBeOwn) || write.dot;
  }
}

export function checkDots(history: History, book: DotBook = new DotBook()): Violation[] {
  for (const { ttlMs, value } of history.operations) if (ttlMs > 0) book.expiring.add(value);
  for (const operation of history.operations)
    if (operation.outcome === "ok") book.noteOperation(operation);
  return book.violations;
}

/**
 * S6 by what clients were told: real time orders writes whose intervals do not overlap.
 *
 * @param scope whose clock must not go back: a node's, or, where disks are lost and put back and with them how far the clock had gone, an actor's
 */
export function checkClocks(history: History): Violation[] {
  const byActor = new Map<string, Operation[]>();
  for (const write of history.operations) {
    if (!isWrite(write) || write.outcome !== "ok") continue;
    // The answer of a retry is that of the first attempt: its dot is from then.
    if (write.attempts.length > 1) continue;
    const { actor } = parseDot(write.dot);
    if (!byActor.has(actor)) byActor.set(actor, []);
    byActor.get(actor)!.push(write);
  }
  return [...byActor.values()].flatMap(checkClockOfNode);
}

function checkClockOfNode(writes: readonly Operation[]): Violation[] {
  const byStart = writes.toSorted((a, b) => a.startMs - b.startMs);
  const byEnd = writes.toSorted((a, b) => a.endMs - b.endMs);
  const violations: Violation[] = [];
  let ended = 0;
  let greatest: Operation | undefined;
  for (const write of byStart) {
    while (ended < byEnd.length && byEnd[ended]!.endMs < write.startMs) {
      const other = byEnd[ended++]!;
      if (greatest === undefined || counterOf(other) > counterOf(greatest)) greatest = other;
    }
    if (greatest !== undefined && counterOf(greatest) >= counterOf(write))
      violations.push({
        invariant: "S6",
        message: `the clock went back: ${write.dot} of #${write.id} came after ${greatest.dot} of #${greatest.id}`,
        key: placeOf(write),
      });
  }
  return violations;
}

const counterOf = ({ dot }: Operation): number => parseDot(dot).counter;
