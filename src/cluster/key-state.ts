/**
 * What a client is told of a key: the stored record seen at one instant, through the eyes of the bucket's conflict mode.
 *
 *   record -> values, newest first -> in lww only the newest -> equal ones once (R15) -> expired and deleted ones marked (R17, R23)
 *
 * Context and ETag are made when somebody asks for them. Values are views on the record.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import type { Actor } from "../causality/actor.ts";
import { dotText } from "../causality/actor.ts";
import type { ContextTokens } from "../causality/context-token.ts";
import { distinctValues, isDead } from "../causality/distinct.ts";
import { maxHlc, newestFirst } from "../causality/lww.ts";
import type { Payload, PayloadMetadata } from "../causality/payload.ts";
import type { Record, SingleRecord } from "../causality/record.ts";
import { contextOf } from "../causality/siblings.ts";
import { etagOf, etagOfSingle } from "../causality/state-hash.ts";
import type { ReadResult, ReplyCounts, Sibling } from "../quorum/operation.ts";

export type ConflictMode = "siblings" | "lww";

/** Whose token it is, and who makes it. */
export interface Tokenizer {
  readonly tokens: ContextTokens;
  readonly fingerprint: number;
}

export class SiblingView implements Sibling {
  readonly hlc: number;
  readonly isDeleted: boolean;
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly meta: PayloadMetadata;
  readonly expiresAtMs: number;
  private readonly actor: Actor;
  private readonly counter: number;

  constructor(actor: Actor, counter: number, payload: Payload, isDeleted: boolean) {
    this.hlc = payload.hlc;
    this.isDeleted = isDeleted;
    this.value = isDeleted ? EMPTY_BYTES : payload.value;
    this.contentType = payload.contentType;
    this.contentEncoding = payload.contentEncoding;
    this.meta = payload.meta;
    this.expiresAtMs = payload.expiresAtMs;
    this.actor = actor;
    this.counter = counter;
  }

  get dot(): string {
    return dotText(this.actor, this.counter);
  }
}

const NO_REPLIES: ReplyCounts = { n: 0, ok: 0, primary: 0 };
const NO_SIBLINGS: readonly SiblingView[] = [];

/** A `KeyState` that the coordinator completes to a `ReadResult`; one class, so that callers see one shape. */
export class KeyAnswer implements ReadResult {
  readonly siblings: readonly SiblingView[];
  readonly isTombstone: boolean;
  readonly conflictMode: ConflictMode;
  readonly conflictDropped: number;
  replies: ReplyCounts = NO_REPLIES;
  session = "";
  readRepair: "" | "done" | "incomplete" = "";
  freshness = -1;
  private readonly tokenizer: Tokenizer;
  /** A record of one value, or of any; never both, neither for a key never seen. */
  private readonly single: SingleRecord | undefined;
  private readonly record: Record | undefined;
  private madeContext = "";
  private madeEtag = "";

  constructor(
    siblings: readonly SiblingView[],
    mode: ConflictMode,
    dropped: number,
    tokenizer: Tokenizer,
    single: SingleRecord | undefined,
    record: Record | undefined,
  ) {
    this.siblings = siblings;
    this.isTombstone = siblings.length > 0 && siblings.every((sibling) => sibling.isDeleted);
    this.conflictMode = mode;
    this.conflictDropped = dropped;
    this.tokenizer = tokenizer;
    this.single = single;
    this.record = record;
  }

  get context(): string {
    if (this.madeContext === "") this.madeContext = this.makeContext();
    return this.madeContext;
  }

  private makeContext(): string {
    const { tokens, fingerprint } = this.tokenizer;
    const { single, record } = this;
    if (single !== undefined)
      return tokens.encodeSingle(fingerprint, single.actor, single.counter, single.payload.hlc);
    if (record === undefined) return "";
    return tokens.encode(fingerprint, contextOf(record), maxHlc(record));
  }

  get etag(): string {
    if (this.madeEtag === "") this.madeEtag = this.makeEtag();
    return this.madeEtag;
  }

  private makeEtag(): string {
    if (this.single !== undefined) return etagOfSingle(this.single.actor, this.single.counter);
    return this.record === undefined ? "" : etagOf(this.record);
  }

  /** Is a value there that a GET would show? */
  get isLive(): boolean {
    return this.siblings.length > 0 && !this.isTombstone;
  }

  /** The newest value that is not deleted. */
  get newestLive(): SiblingView | undefined {
    return this.siblings.find((sibling) => !sibling.isDeleted);
  }
}

export function answerAbsent(mode: ConflictMode, tokenizer: Tokenizer): KeyAnswer {
  return new KeyAnswer(NO_SIBLINGS, mode, 0, tokenizer, undefined, undefined);
}

export function answerSingle(
  single: SingleRecord,
  mode: ConflictMode,
  nowMs: number,
  tokenizer: Tokenizer,
): KeyAnswer {
  const { actor, counter, payload } = single;
  const sibling = new SiblingView(actor, counter, payload, isDead(payload, nowMs));
  return new KeyAnswer([sibling], mode, 0, tokenizer, single, undefined);
}

export function answerRecord(
  record: Record,
  mode: ConflictMode,
  nowMs: number,
  tokenizer: Tokenizer,
  droppedBefore = 0,
): KeyAnswer {
  if (record.length === 0) return answerAbsent(mode, tokenizer);
  const single = droppedBefore === 0 ? singleOf(record) : undefined;
  if (single !== undefined) return answerSingle(single, mode, nowMs, tokenizer);
  const distinct = distinctValues(newestFirst(record), nowMs);
  const shown = mode === "lww" ? distinct.slice(0, 1) : distinct;
  const siblings = shown.map(
    ({ actor, counter, payload }) =>
      new SiblingView(actor, counter, payload, isDead(payload, nowMs)),
  );
  const dropped = droppedBefore + distinct.length - shown.length;
  return new KeyAnswer(siblings, mode, dropped, tokenizer, undefined, record);
}

/** The commonest state: one entry, one value, nothing superseded behind it. */
function singleOf(record: Record): SingleRecord | undefined {
  const only = record.length === 1 ? record[0]! : undefined;
  const value = only?.values.length === 1 ? only.values[0]! : undefined;
  if (only === undefined || value === undefined || value.counter !== only.counterMax)
    return undefined;
  return { actor: only.actor, counter: value.counter, payload: value.payload };
}
