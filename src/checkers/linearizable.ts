/**
 * Linearizability of a register: is there one order of all calls, each at one instant between its start and its end, in which every call gets what it
 * was told? Wing and Gong's search with Lowe's memo ("Testing for linearizability", 2017): per key, because linearizability is local.
 *
 *   events    starts and ends in the order of time, as a linked list; at equal times starts come first, so that what only touches counts as concurrent
 *   forward   take the first start whose call is possible in the present state, unless this set of calls with this state was met before;
 *             take its two events out of the list and begin again at the front
 *   back      an end whose call is not taken yet is met: nothing more may come before it, so put the last call back and go on behind it
 *   done      every call with an answer is taken: calls of unknown outcome may come at any later time, or never
 *   no        nothing is left to put back
 *
 * The memo key is the bit set of the calls taken, and the state. The search is exponential where many calls overlap, so it has a budget of states and,
 * if wanted, of time. A search that runs out of it has proved nothing: "unknown" is a failure of the run, never a pass.
 */
import type { History, Violation } from "./history.ts";
import {
  type RegisterCall,
  type RegisterValue,
  describeCall,
  registersOf,
  witnesses,
} from "./register.ts";
import { checkVersionChain, isVersionChain } from "./version-chain.ts";

export interface SearchBudget {
  /** Pairs of a set of calls and a state. */
  readonly statesMax?: number;
  /** Asked every thousand states. */
  hasTimeLeft?(): boolean;
}

export type Verdict =
  | { readonly kind: "linearizable"; readonly order: readonly RegisterCall[] }
  /** Calls that cannot be explained together; leave one of them out and the rest can. */
  | { readonly kind: "violation"; readonly core: readonly RegisterCall[] }
  | { readonly kind: "unknown"; readonly states: number };

export const STATES_MAX = 2_000_000;
/** To make a violation short; a longer one is as true. */
const EXPLAIN_STATES_MAX = 200_000;
const STATES_BETWEEN_LOOKS = 1000;

export interface LinearizableOptions extends SearchBudget {
  /** Which keys are used at the linearizable level only; all where it is left out. */
  isRegister?(place: string): boolean;
}

/** Every key of the history is a register that holds nothing at first. */
export function checkLinearizable(
  history: History,
  options: LinearizableOptions = {},
): Violation[] {
  const isMeant = (place: string): boolean => options.isRegister?.(place) ?? true;
  const { registers, violations } = registersOf(history);
  return [
    ...violations.filter(({ key }) => isMeant(key)),
    ...[...registers]
      .filter(([place]) => isMeant(place))
      .flatMap(([place, calls]) => checkRegister(calls, place, options)),
  ];
}

/** The verdict on one register as violations: the fast path where it applies, the search where not. */
export function checkRegister(
  calls: readonly RegisterCall[],
  key: string,
  budget: SearchBudget = {},
): Violation[] {
  if (isVersionChain(calls)) return checkVersionChain(calls, key);
  const verdict = linearize(calls, budget);
  if (verdict.kind === "linearizable") return [];
  const message =
    verdict.kind === "unknown"
      ? `undecided after ${verdict.states} states`
      : `no order explains ${verdict.core.map(describeCall).join("; ")}`;
  const invariant = verdict.kind === "unknown" ? "linearizable, budget" : "linearizable";
  return [{ invariant, message, key }];
}

export function linearize(calls: readonly RegisterCall[], budget: SearchBudget = {}): Verdict {
  const witnessed = withoutUnseen(witnesses(calls));
  const purse = new Purse(budget);
  const found = new Search(witnessed, purse).run();
  if (found === "unknown") return { kind: "unknown", states: purse.states };
  if (found !== "none") return { kind: "linearizable", order: found };
  return { kind: "violation", core: coreOf(witnessed, budget) };
}

/**
 * A call of unknown outcome whose value nobody was ever told, or asked for, explains nothing and need not have happened. That keeps the search small: such
 * calls could come at any later time. A refused swap, however, can be explained by any value but its own.
 */
function withoutUnseen(calls: readonly RegisterCall[]): RegisterCall[] {
  if (calls.some((call) => call.kind === "swap" && !call.hasSwapped)) return [...calls];
  const told = new Set(calls.flatMap(toldBy));
  return calls.filter((call) => call.outcome === "ok" || told.has(madeBy(call)));
}

function toldBy(call: RegisterCall): RegisterValue[] {
  if (call.kind === "read") return [call.result];
  return call.kind === "swap" && call.hasSwapped ? [call.expected] : [];
}

function madeBy(call: RegisterCall): RegisterValue {
  return call.kind === "write" || call.kind === "swap" ? call.arg : undefined;
}

/** Drops one call after the other as long as the rest cannot be explained either: reads as if nobody had asked, writes as if nobody had been told. */
function coreOf(calls: readonly RegisterCall[], budget: SearchBudget): RegisterCall[] {
  const purse = new Purse({ ...budget, statesMax: EXPLAIN_STATES_MAX });
  let core = [...calls];
  for (const call of calls.toSorted((a, b) => b.endMs - a.endMs)) {
    if (call.outcome !== "ok") continue;
    const rest = core.flatMap((other) => (other === call ? relaxed(call) : [other]));
    if (new Search(withoutUnseen(rest), purse).run() === "none") core = rest;
  }
  const told = new Set(core.filter(({ outcome }) => outcome === "ok").flatMap(toldBy));
  const ids = new Set(
    core.filter((call) => call.outcome === "ok" || told.has(madeBy(call))).map(({ id }) => id),
  );
  return calls.filter(({ id }) => ids.has(id)).toSorted((a, b) => a.startMs - b.startMs);
}

function relaxed(call: RegisterCall): RegisterCall[] {
  if (call.kind === "read" || (call.kind === "swap" && !call.hasSwapped)) return [];
  return [{ ...call, outcome: "info", endMs: Infinity }];
}

/** What is left of a budget. */
class Purse {
  states = 0;
  private readonly statesMax: number;
  private readonly hasTimeLeft: () => boolean;

  constructor({ statesMax = STATES_MAX, hasTimeLeft }: SearchBudget) {
    this.statesMax = statesMax;
    this.hasTimeLeft = (): boolean => hasTimeLeft?.() ?? true;
  }

  /** Is there one more state in it? */
  take(): boolean {
    if (this.states >= this.statesMax) return false;
    this.states++;
    return this.states % STATES_BETWEEN_LOOKS !== 0 || this.hasTimeLeft();
  }
}

/** A call as the search sees it, values as numbers. */
interface Move {
  readonly call: RegisterCall;
  /** The state that it needs, or must not find; `ANY` for either. */
  readonly needs: number;
  readonly shuns: number;
  /** The state that it leaves behind; `SAME` for the one it has found. */
  readonly leaves: number;
}

const ANY = -1;
const SAME = -1;
const IMPOSSIBLE = -1;
const NOTHING = 0;

function movesOf(calls: readonly RegisterCall[]): Move[] {
  const numbers = new Map<RegisterValue, number>([[undefined, NOTHING]]);
  const numberOf = (value: RegisterValue): number => {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  };
  return calls.map((call) => {
    const move = { call, needs: ANY, shuns: ANY, leaves: SAME };
    switch (call.kind) {
      case "read":
        return { ...move, needs: numberOf(call.result) };
      case "write":
        return { ...move, leaves: numberOf(call.arg) };
      case "delete":
        return { ...move, leaves: NOTHING };
      case "swap":
        return call.outcome === "ok" && !call.hasSwapped
          ? { ...move, shuns: numberOf(call.expected) }
          : { ...move, needs: numberOf(call.expected), leaves: numberOf(call.arg) };
    }
  });
}

function stepFrom(state: number, { needs, shuns, leaves }: Move): number {
  if ((needs !== ANY && needs !== state) || shuns === state) return IMPOSSIBLE;
  return leaves === SAME ? state : leaves;
}

const BITS = 16;

/** Events are numbered from 1 in the order of time; 0 is the head of their list and its end. */
class Search {
  private readonly moves: readonly Move[];
  private readonly purse: Purse;
  private readonly next: number[] = [0];
  private readonly previous: number[] = [0];
  /** Which move an event belongs to, and whether it starts it. */
  private readonly moveAt: number[] = [0];
  private readonly isStart: boolean[] = [false];
  /** Of each move; 0 for an end that does not come. */
  private readonly startOf: number[] = [];
  private readonly endOf: number[] = [];
  /** Answered calls that are not taken yet. */
  private owed = 0;
  private state = NOTHING;
  private readonly taken: number[];
  private readonly met = new Set<string>();
  /** Moves taken, in their order, each with the state it has found. */
  private readonly path: { readonly move: number; readonly before: number }[] = [];

  constructor(calls: readonly RegisterCall[], purse: Purse) {
    this.moves = movesOf(calls);
    this.purse = purse;
    this.taken = Array.from({ length: Math.ceil(calls.length / BITS) }, () => 0);
    this.layEvents();
  }

  private layEvents(): void {
    const events = this.moves.flatMap(({ call }, move) => {
      const start = { move, atMs: call.startMs, isStart: true };
      this.endOf.push(0);
      if (call.outcome !== "ok") return [start];
      this.owed++;
      return [start, { move, atMs: call.endMs, isStart: false }];
    });
    events.sort((a, b) => a.atMs - b.atMs || Number(b.isStart) - Number(a.isStart));
    for (const { move, isStart } of events) {
      const event = this.moveAt.push(move) - 1;
      this.isStart.push(isStart);
      (isStart ? this.startOf : this.endOf)[move] = event;
      this.previous.push(event - 1);
      this.next[event - 1] = event;
      this.next.push(0);
    }
  }

  /** The order found, or that there is none. */
  run(): readonly RegisterCall[] | "none" | "unknown" {
    let event = this.next[0]!;
    while (this.owed > 0) {
      if (this.isStart[event]!) {
        const tried = this.tryMove(this.moveAt[event]!);
        if (tried === "unknown") return "unknown";
        event = tried === "taken" ? this.next[0]! : this.next[event]!;
        continue;
      }
      const last = this.path.pop();
      if (last === undefined) return "none";
      this.putBack(last.move);
      this.state = last.before;
      event = this.next[this.startOf[last.move]!]!;
    }
    return this.path.map(({ move }) => this.moves[move]!.call);
  }

  private tryMove(move: number): "taken" | "not now" | "unknown" {
    const after = stepFrom(this.state, this.moves[move]!);
    if (after === IMPOSSIBLE) return "not now";
    this.flip(move);
    const key = String.fromCharCode(after >>> BITS, after & 0xffff, ...this.taken);
    if (this.met.has(key)) {
      this.flip(move);
      return "not now";
    }
    if (!this.purse.take()) return "unknown";
    this.met.add(key);
    this.path.push({ move, before: this.state });
    this.state = after;
    this.unlink(this.startOf[move]!);
    if (this.endOf[move]! > 0) {
      this.unlink(this.endOf[move]!);
      this.owed--;
    }
    return "taken";
  }

  /** In the opposite order of taking, so that every event finds its neighbours again. */
  private putBack(move: number): void {
    if (this.endOf[move]! > 0) {
      this.relink(this.endOf[move]!);
      this.owed++;
    }
    this.relink(this.startOf[move]!);
    this.flip(move);
  }

  private unlink(event: number): void {
    this.next[this.previous[event]!] = this.next[event]!;
    this.previous[this.next[event]!] = this.previous[event]!;
  }

  private relink(event: number): void {
    this.next[this.previous[event]!] = event;
    this.previous[this.next[event]!] = event;
  }

  private flip(move: number): void {
    this.taken[Math.floor(move / BITS)]! ^= 1 << (move % BITS);
  }
}
