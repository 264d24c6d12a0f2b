/**
 * What clients did and what they were told: the history that the checkers read (FAULTS.md 2.7).
 *
 * An operation is *ok* (answered), *fail* (surely not applied: 4xx, 503, nobody listened) or *info* (504, the node died, no answer: it may have been
 * applied, or may be later). One that was sent again under its `Idempotency-Key` is one operation with several attempts.
 *
 * Clients cannot look into a causal context, checkers do: the token's format is public in `src/causality/context-token.ts`.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { fromBase64url } from "../base/bytes.ts";
import { dotText, joinActor, nodeOf, readIncarnation, readNode } from "../causality/actor.ts";

/** What a causal context covers. */
export interface Seen {
  /** Of each actor, the greatest counter that the vector covers. */
  readonly vector: ReadonlyMap<string, number>;
  /** Single dots, as text. */
  readonly dots: ReadonlySet<string>;
  /** The greatest timestamp among the values covered. */
  readonly hlc: number;
}

export const NOTHING_SEEN: Seen = { vector: new Map(), dots: new Set(), hlc: 0 };

/** One version that a read showed. */
export interface Version {
  readonly dot: string;
  /** `undefined` for a deletion. */
  readonly value: string | undefined;
}

export type Outcome = "ok" | "fail" | "info";

export interface BucketKind {
  readonly name: string;
  readonly conflicts: "siblings" | "lww";
  readonly blindPut: "supersede" | "sibling";
  readonly strict: boolean;
  /** Copies; 3 where it is left out. */
  readonly n?: number | undefined;
}

/** Copies of a bucket that says nothing else. */
const COPIES = 3;

/** Of the owners of a key. */
export function quorumOf({ n = COPIES }: BucketKind): number {
  return (n >> 1) + 1;
}

export interface Attempt {
  readonly node: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly status: number;
  readonly code: string;
  /** The problem document. */
  readonly detail: string;
}

export interface Operation {
  readonly id: number;
  readonly client: string;
  readonly kind: "put" | "delete" | "get";
  readonly bucket: BucketKind;
  readonly key: string;
  /** Text of `X-Consistency`, "" for the bucket's default. */
  readonly level: string;
  /** Of a put, unique in the run. */
  readonly value: string;
  readonly isConditional: boolean;
  /** 0 for a value that does not expire. */
  readonly ttlMs: number;
  /** What the request's context covered; `undefined` for none. */
  readonly given: Seen | undefined;
  /** Which session it belongs to, "" for none. */
  readonly session: string;
  readonly startMs: number;
  endMs: number;
  outcome: Outcome;
  readonly attempts: Attempt[];
  // Of an answered one:
  /** What the answer's context covers. */
  seen: Seen;
  /** The dot of a write. */
  dot: string;
  /** What a read showed; empty for 404. */
  versions: readonly Version[];
  /** A 404 of a key that was deleted. */
  isTombstone: boolean;
  /** Replicas that answered, and owners among them. */
  ok: number;
  primary: number;
  isRepairIncomplete: boolean;
}

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  readonly key: string;
}

export class History {
  readonly operations: Operation[] = [];

  begin(
    fields: Pick<Operation, "client" | "kind" | "bucket" | "key" | "startMs"> & Partial<Operation>,
  ): Operation {
    const operation: Operation = {
      id: this.operations.length,
      level: "",
      value: "",
      isConditional: false,
      ttlMs: 0,
      given: undefined,
      session: "",
      endMs: Infinity,
      outcome: "info",
      attempts: [],
      seen: NOTHING_SEEN,
      dot: "",
      versions: [],
      isTombstone: false,
      ok: 0,
      primary: 0,
      isRepairIncomplete: false,
      ...fields,
    };
    this.operations.push(operation);
    return operation;
  }

  /** The operations of each key, in the order of their starts. */
  byKey(): ReadonlyMap<string, readonly Operation[]> {
    const keys = new Map<string, Operation[]>();
    for (const operation of this.operations) {
      const name = placeOf(operation);
      if (!keys.has(name)) keys.set(name, []);
      keys.get(name)!.push(operation);
    }
    for (const own of keys.values()) own.sort((a, b) => a.startMs - b.startMs);
    return keys;
  }

  /** Everything that happened to one key, for people. */
  describe(key: string): string {
    return (this.byKey().get(key) ?? []).map(describeOperation).join("\n");
  }
}

export function placeOf({ bucket, key }: Operation): string {
  return `${bucket.name}/${key}`;
}

export const isWrite = ({ kind }: Operation): boolean => kind !== "get";

export function covers({ vector, dots }: Seen, dot: string): boolean {
  if (dots.has(dot)) return true;
  const { actor, counter } = parseDot(dot);
  return (vector.get(actor) ?? 0) >= counter;
}

export function parseDot(dot: string): { actor: string; node: string; counter: number } {
  const [actor = "", counter] = dot.split(".");
  return { actor, node: nodeOf(actor as Parameters<typeof nodeOf>[0]), counter: Number(counter) };
}

const SEAL_BYTES = 8;

/** What a token covers; nothing for "". */
export function readToken(token: string): Seen {
  if (token === "") return NOTHING_SEEN;
  const bytes = fromBase64url(token)!;
  const reader = new ByteReader(bytes, 0, bytes.length - SEAL_BYTES);
  reader.u8(); // version
  reader.u32(); // cluster
  reader.u32(); // key
  const hlc = reader.varint();
  const vector = new Map<string, number>();
  for (let groups = reader.varint(); groups > 0; groups--) {
    const node = readNode(reader);
    for (let entries = reader.varint(); entries > 0; entries--)
      vector.set(joinActor(node, readIncarnation(reader)), reader.varint());
  }
  const dots = new Set<string>();
  for (let count = reader.varint(); count > 0; count--)
    dots.add(dotText(joinActor(readNode(reader), readIncarnation(reader)), reader.varint()));
  reader.expectEnd();
  return { vector, dots, hlc };
}

/**
 * The dot of a write, from the context of its answer: the newest that was not in the context of its request. A mint counts above all that the minter
 * holds, and what the answer covers besides the request's own context is what the minter held.
 */
export function ownDot(
  { vector, dots }: Seen,
  given: Seen = NOTHING_SEEN,
  mayBe: (dot: string) => boolean = () => true,
): string {
  let newest = { dot: "", counter: 0 };
  const offer = (dot: string, counter: number): void => {
    if (counter > newest.counter && !covers(given, dot) && mayBe(dot)) newest = { dot, counter };
  };
  for (const [actor, counter] of vector) offer(`${actor}.${counter}`, counter);
  for (const dot of dots) offer(dot, parseDot(dot).counter);
  return newest.dot;
}

function describeOperation(operation: Operation): string {
  const { id, client, kind, level, value, given, startMs, endMs, outcome, attempts } = operation;
  const tried = attempts.map(({ node, status, code }) => `${node}:${status}${code && `/${code}`}`);
  const ttl = operation.ttlMs > 0 ? ` ttl ${operation.ttlMs}` : "";
  const asked = `#${id} ${client} ${kind} ${value} ${level}${operation.isConditional ? " if-none-match" : ""}${ttl}`;
  const shown = operation.versions.map((own) => `${own.value ?? "deleted"}@${own.dot}`);
  return [
    `  ${startMs.toFixed(1)}-${endMs.toFixed(1)} ${asked} ${outcome} [${tried.join(" ")}]`,
    given === undefined ? "" : ` given ${describeSeen(given)}`,
    outcome === "ok"
      ? ` -> ${operation.dot} ${shown.join(" ")} seen ${describeSeen(operation.seen)} ${describeReplies(operation)}`
      : "",
  ].join("");
}

function describeReplies({ ok, primary, isRepairIncomplete }: Operation): string {
  return `${primary} of ${ok} are owners${isRepairIncomplete ? ", repair incomplete" : ""}`;
}

function describeSeen({ vector, dots }: Seen): string {
  const entries = [...vector].map(([actor, counter]) => `${actor}.${counter}`);
  return `{${entries.join(" ")}${dots.size > 0 ? ` + ${[...dots].join(" ")}` : ""}}`;
}
