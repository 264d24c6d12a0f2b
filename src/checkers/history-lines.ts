/**
 * A history as JSON lines, in the form of Jepsen's, so that checkers of others can read it, and back (FAULTS.md 2.7).
 *
 *   {"i":4,"proc":"c1","type":"invoke","op":"put","key":"b/k","arg":{"value":"x",...},"ctx":null,"ret":null,"t":12.5,"id":2}
 *   {"i":7,"proc":"c1","type":"ok",    "op":"put","key":"b/k","arg":{"value":"x",...},"ctx":{...},"ret":{"dot":"...",...},"t":20,"id":2}
 *
 *   i      number of the line           t     milliseconds              type  invoke, then ok, fail or info; an operation that never ended has no second
 *   ctx    what the request's context covered; what the answer's context covers: {"vector":{actor: counter},"dots":[...],"hlc":0}
 *   arg    the request, `arg.value` of a put what it writes; ret  the answer, `ret.versions` of a read what it shows, none for 404
 *   id     number of the operation, for people: reports speak of `#id`
 *
 * A process does one thing at a time, and one of whose operation nobody knows the outcome is gone: what its client does next is done by another,
 * `c1+1`. At equal times a start comes before an end: what only touches counts as concurrent.
 */
import { messageOf } from "../base/errors.ts";
import { type BucketKind, History, type Operation, type Seen, placeOf } from "./history.ts";

type Json = { readonly [name: string]: unknown };

interface Event {
  readonly operation: Operation;
  readonly proc: string;
  readonly type: string;
  readonly t: number;
}

/** One line for each start and each end, in the order of time. */
export function historyToLines(history: History): string[] {
  const byStart = history.operations.toSorted((a, b) => a.startMs - b.startMs);
  const procs = new Procs();
  const events: Event[] = byStart.flatMap((operation) => {
    const proc = procs.take(operation);
    const start = { operation, proc, type: "invoke", t: operation.startMs };
    if (operation.endMs === Infinity) return [start];
    return [start, { operation, proc, type: operation.outcome, t: operation.endMs }];
  });
  const isEnd = ({ type }: Event): number => (type === "invoke" ? 0 : 1);
  events.sort((a, b) => a.t - b.t || isEnd(a) - isEnd(b));
  return events.map((event, i) => JSON.stringify(lineOf(event, i)));
}

/** Hands out processes of clients: the first of a client that is idle, or one more. */
class Procs {
  /** Of each client, until when each of its processes is busy. */
  private readonly busyUntil = new Map<string, number[]>();

  take({ client, startMs, endMs, outcome }: Operation): string {
    const own = this.busyUntil.get(client) ?? [];
    this.busyUntil.set(client, own);
    const idle = own.findIndex((untilMs) => untilMs < startMs);
    const index = idle >= 0 ? idle : own.length;
    own[index] = outcome === "info" ? Infinity : endMs;
    return index === 0 ? client : `${client}+${index}`;
  }
}

function lineOf({ operation, proc, type, t }: Event, i: number): Json {
  const isStart = type === "invoke";
  const { id, kind, given } = operation;
  return {
    i,
    proc,
    type,
    op: kind,
    key: placeOf(operation),
    arg: argOf(operation),
    ctx: isStart ? (given === undefined ? null : seenToJson(given)) : seenToJson(operation.seen),
    ret: isStart ? null : retOf(operation),
    t,
    id,
  };
}

function argOf(operation: Operation): Json {
  const { client, bucket, level, value, isConditional, ttlMs, session } = operation;
  return { value, level, isConditional, ttlMs, session, client, bucket: { ...bucket } };
}

function retOf(operation: Operation): Json {
  const { dot, versions, isTombstone, ok, primary, isRepairIncomplete, attempts } = operation;
  return {
    dot,
    versions: versions.map((version) => ({ dot: version.dot, value: version.value ?? null })),
    isTombstone,
    ok,
    primary,
    isRepairIncomplete,
    attempts: attempts.map((attempt) => ({ ...attempt })),
  };
}

function seenToJson({ vector, dots, hlc }: Seen): Json {
  return { vector: Object.fromEntries(vector), dots: [...dots], hlc };
}

/** @throws Error that names the line which is none of a history */
export function historyFromLines(lines: readonly string[]): History {
  const history = new History();
  const begun = new Map<number, Operation>();
  const starts: { readonly id: number; readonly line: Line }[] = [];
  const ends: Line[] = [];
  for (const [i, text] of lines.entries()) {
    const line = parseLine(text, i);
    if (line.type === "invoke") starts.push({ id: line.id, line });
    else ends.push(line);
  }
  starts.sort((a, b) => a.id - b.id);
  for (const { id, line } of starts) {
    if (begun.has(id)) throw new Error(`Cannot read the history: #${id} starts twice`);
    begun.set(id, history.begin({ ...startOf(line), id }));
  }
  for (const line of ends) {
    const operation = begun.get(line.id);
    if (operation === undefined || operation.endMs !== Infinity)
      throw new Error(`Cannot read the history: #${line.id} ends without a start`);
    Object.assign(operation, endOf(line));
  }
  return history;
}

interface Line {
  readonly type: "invoke" | "ok" | "fail" | "info";
  readonly op: Operation["kind"];
  readonly key: string;
  readonly t: number;
  readonly id: number;
  readonly ctx: SeenJson | null;
  readonly arg: Pick<
    Operation,
    "client" | "level" | "value" | "isConditional" | "ttlMs" | "session"
  > & { readonly bucket: BucketKind };
  readonly ret: RetJson | null;
}

interface SeenJson {
  readonly vector: { readonly [actor: string]: number };
  readonly dots: readonly string[];
  readonly hlc: number;
}

type RetJson = Pick<
  Operation,
  "dot" | "isTombstone" | "ok" | "primary" | "isRepairIncomplete" | "attempts"
> & { readonly versions: readonly { readonly dot: string; readonly value: string | null }[] };

const TYPES: readonly unknown[] = ["invoke", "ok", "fail", "info"];
const KINDS: readonly unknown[] = ["put", "delete", "get"];

/** What the rest of a line holds is what `historyToLines` wrote: these files are our own, and a line that was cut is no JSON. */
function parseLine(text: string, i: number): Line {
  let line: Line;
  try {
    line = JSON.parse(text) as Line;
  } catch (thrown) {
    throw new Error(`Cannot read line ${i + 1} of the history: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  const { type, op, id, t, ctx, arg, ret } = line;
  const isWhole =
    TYPES.includes(type) &&
    KINDS.includes(op) &&
    Number.isSafeInteger(id) &&
    Number.isFinite(t) &&
    typeof arg?.bucket?.name === "string" &&
    (type === "invoke" || (Array.isArray(ret?.versions) && ctx !== null));
  if (!isWhole) throw new Error(`Cannot read line ${i + 1} of the history: it is no event`);
  return line;
}

function startOf({ op, key, t, ctx, arg }: Line): Parameters<History["begin"]>[0] {
  const start = { ...arg, kind: op, key: key.slice(arg.bucket.name.length + 1), startMs: t };
  return ctx === null ? start : { ...start, given: seenFromJson(ctx) };
}

function endOf({ type, t, ctx, ret }: Line): Partial<Operation> {
  // `parseLine` has seen to it that the line of an end has both, and a type that is an outcome.
  const { versions, ...rest } = ret!;
  return {
    ...rest,
    endMs: t,
    outcome: type as Operation["outcome"],
    versions: versions.map(({ dot, value }) => ({ dot, value: value ?? undefined })),
    seen: seenFromJson(ctx!),
  };
}

function seenFromJson({ vector, dots, hlc }: SeenJson): Seen {
  return { vector: new Map(Object.entries(vector)), dots: new Set(dots), hlc };
}
