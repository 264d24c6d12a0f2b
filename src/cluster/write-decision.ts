/**
 * What a write makes of a key's state: section 1 of the rules as one pure function.
 *
 *   before --(drop what the write's context covers, and know it for superseded)--> kept --(append the new dot)--> after
 *
 * The context is (D3, R10, R21):
 *   lww bucket             all that the minter holds; the client's own context only moves the clock
 *   a client context       exactly that, whether the minter holds it or not: its seal says that somebody here has shown it (R13)
 *   a delete without one   all that the minter holds
 *   a put without one      all that the minter holds, or nothing where the bucket says `blindPut: "sibling"`
 */
import type { Actor } from "../causality/actor.ts";
import { boundEntries } from "../causality/bound-entries.ts";
import {
  type CausalContext,
  counterOf,
  EMPTY_CONTEXT,
  covers,
  withDot,
  withVector,
} from "../causality/causal-context.ts";
import type { DecodedContext } from "../causality/context-token.ts";
import { distinctValues, isDead } from "../causality/distinct.ts";
import { maxHlc, newestFirst } from "../causality/lww.ts";
import { type Payload, tombstone } from "../causality/payload.ts";
import type { Record } from "../causality/record.ts";
import { append, clampContext, contextOf, entryOf, supersede } from "../causality/siblings.ts";
import type { BucketProperties, WriteRequest } from "../quorum/operation.ts";

export interface WriteSetting {
  readonly properties: BucketProperties;
  /** The decoded context of the request, or `undefined` for none. */
  readonly context: DecodedContext | undefined;
  readonly actor: Actor;
  /** The new dot's counter; above all that `before` knows of `actor`. */
  readonly counter: number;
  readonly nowMs: number;
}

export interface WriteDecision {
  readonly after: Record;
  /** What the client has seen now: what its context covered plus this write, nothing else. */
  readonly seen: CausalContext;
  readonly seenHlc: number;
  /** Concurrent values that a lww bucket gives up for this write. */
  readonly conflictDropped: number;
}

export function decideWrite(
  before: Record,
  request: WriteRequest,
  setting: WriteSetting,
): WriteDecision {
  const { actor, counter, context } = setting;
  const superseded = supersededBy(before, request, setting);
  const kept = supersede(before, superseded);
  const hlc = Math.max(counter, maxHlc(before) + 1, (context?.hlc ?? 0) + 1);
  const payload = payloadOf(before, superseded, request, setting, hlc);
  const after = boundEntries(append(kept, actor, counter, payload));
  return {
    after,
    seen: seenAfter(clampContext(superseded, kept), before, after, actor, counter),
    seenHlc: hlc,
    conflictDropped: conflictsDropped(before, setting),
  };
}

function supersededBy(
  before: Record,
  request: WriteRequest,
  { properties, context }: WriteSetting,
): CausalContext {
  if (properties.conflicts === "lww") return contextOf(before);
  if (context !== undefined) return context;
  if (request.kind === "delete" || properties.blindPut === "supersede") return contextOf(before);
  return EMPTY_CONTEXT;
}

function payloadOf(
  before: Record,
  superseded: CausalContext,
  request: WriteRequest,
  setting: WriteSetting,
  hlc: number,
): Payload {
  if (request.kind === "delete") return tombstone(hlc);
  return {
    isTombstone: false,
    hlc,
    expiresAtMs: expiresAt(before, superseded, request, setting),
    contentType: request.contentType,
    contentEncoding: request.contentEncoding,
    meta: request.meta,
    value: request.value,
  };
}

/** An absolute instant (R22). */
function expiresAt(
  before: Record,
  superseded: CausalContext,
  { expiry }: WriteRequest,
  { properties, nowMs }: WriteSetting,
): number {
  switch (expiry.kind) {
    case "after":
      return nowMs + expiry.ttlMs;
    case "at":
      return expiry.wallMs;
    case "keep":
      return keptExpiry(before, superseded, nowMs) ?? defaultExpiry(properties, nowMs);
    case "default":
      return defaultExpiry(properties, nowMs);
  }
}

function defaultExpiry(properties: BucketProperties, nowMs: number): number {
  return properties.ttl === 0 ? 0 : nowMs + properties.ttl * 1000;
}

/** The expiry of the newest live value that is being replaced; `undefined` when none is. */
function keptExpiry(before: Record, superseded: CausalContext, nowMs: number): number | undefined {
  const replaced = newestFirst(before).find(
    ({ actor, counter, payload }) => covers(superseded, actor, counter) && !isDead(payload, nowMs),
  );
  return replaced?.payload.expiresAtMs;
}

/** A token has this many single dots at most; with more the vector claims what lies between. */
const SINGLE_DOTS_MAX = 32;

/**
 * Every value of `actor` was minted here. So where the writer had seen all of them the vector goes on; otherwise the new dot stands alone: what lies between
 * may have been replaced by somebody of whom the writer knows nothing, and its next write, on the other side of a partition, must not hide it there
 * (nemesis, seed 13).
 */
function seenAfter(
  seen: CausalContext,
  before: Record,
  after: Record,
  actor: Actor,
  counter: number,
): CausalContext {
  const knownMax = entryOf(before, actor)?.counterMax ?? 0;
  if (counterOf(seen, actor) >= knownMax) return withVector(seen, actor, counter);
  const isAlone = entryOf(after, actor)!.values.length === 1;
  const isFull = seen.dots.length >= SINGLE_DOTS_MAX;
  return isAlone && isFull ? withVector(seen, actor, counter) : withDot(seen, actor, counter);
}

/** In lww: values that the writer had not seen, or, of a blind write, all but the newest. */
function conflictsDropped(before: Record, { properties, context, nowMs }: WriteSetting): number {
  if (properties.conflicts !== "lww") return 0;
  const values = distinctValues(newestFirst(before), nowMs);
  if (context === undefined) return Math.max(0, values.length - 1);
  return values.filter(({ actor, counter }) => !covers(context, actor, counter)).length;
}
