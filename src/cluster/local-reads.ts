/**
 * What this node can say of a key from its own copy, and how any state becomes an answer.
 *
 * An answer is given only when what it tells is durable: nobody sees what a power loss could take back.
 */
import { HutchError } from "../base/errors.ts";
import type { ContextTokens } from "../causality/context-token.ts";
import { decodeSingle } from "../causality/record.ts";
import {
  type Session,
  type SessionTokens,
  remember,
  satisfies,
  seenOf,
} from "../causality/session-token.ts";
import type { Clock } from "../ports/clock.ts";
import type { ReadRequest } from "../quorum/operation.ts";
import { ReadQuorum } from "../quorum/read-quorum.ts";
import type { KeyAddress } from "../ring/partition.ts";
import { readTimeout, unavailable } from "./answers.ts";
import type { Bucket } from "./bucket-properties.ts";
import { sessionUnsatisfied } from "./coordinate-get.ts";
import type { Deadlines } from "./deadlines.ts";
import { type KeyAnswer, answerAbsent, answerRecord, answerSingle } from "./key-state.ts";
import type { Replica } from "./replica.ts";
import { type ReplicaStore, asCorruption, decodeStored } from "./replica-store.ts";
import type { TrustedClock } from "./trusted-clock.ts";
import type { WriteStamps } from "./write-stamps.ts";

export interface LocalReadsOptions {
  readonly store: ReplicaStore;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly trusted: TrustedClock;
  readonly deadlines: Deadlines;
  readonly stamps: WriteStamps;
  readonly tokens: ContextTokens;
  readonly sessions: SessionTokens;
}

export class LocalReads {
  private readonly options: LocalReadsOptions;

  constructor(options: LocalReadsOptions) {
    this.options = options;
  }

  /**
   * One owner's answer, without a promise where nothing has to be waited for.
   *
   * @param isOnly no other node has a say, so the answer holds until the key is written here
   */
  read(
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
    isOnly: boolean,
  ): KeyAnswer | Promise<KeyAnswer> {
    const { replica, store, stamps } = this.options;
    const stored = replica.read(address);
    if (stored === undefined) return this.answer(bucket, address, request, undefined);
    const durable = store.whenDurable(stored.sequence);
    if (durable !== undefined)
      return this.readWhen(durable, bucket, address, request, stored.value.slice(), isOnly);
    const answer = this.answer(bucket, address, request, stored.value);
    if (isOnly && holdsUntilWritten(answer))
      answer.freshness = stamps.freshnessOf(address.fingerprint);
    return answer;
  }

  /** What is waited for is `value`; if the disk refuses it, look again. */
  private async readWhen(
    durable: Promise<void>,
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
    value: Uint8Array,
    isOnly: boolean,
  ): Promise<KeyAnswer> {
    const { clock, deadlines } = this.options;
    const { timeoutMs, waits } = request;
    const startedMs = clock.monoMs();
    const deadline = startedMs + timeoutMs;
    try {
      await deadlines.within(durable, deadline, () => readTimeout(timeoutMs));
    } catch (thrown) {
      if (!(thrown instanceof HutchError) || thrown.code !== "disk-full") throw thrown;
      return this.read(bucket, address, request, isOnly);
    } finally {
      waits?.waited("sync", clock.monoMs() - startedMs, "");
    }
    return this.answer(bucket, address, request, value);
  }

  private answer(
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
    value: Uint8Array | undefined,
  ): KeyAnswer {
    const quorum = new ReadQuorum(request.consistency, 1, 0);
    quorum.reply("primary");
    if (quorum.state !== "reached") throw unavailable("read", 1, request.consistency.r);
    const answer = this.answerOf(bucket, address, value);
    answer.replies = quorum;
    if (request.session !== "")
      answer.session = this.nextSession(this.decode(request.session), address, value);
    return answer;
  }

  answerOf(bucket: Bucket, address: KeyAddress, value: Uint8Array | undefined): KeyAnswer {
    const mode = bucket.properties.conflicts;
    const { tokens, trusted } = this.options;
    const tokenizer = { tokens, fingerprint: address.fingerprint };
    if (value === undefined) return answerAbsent(mode, tokenizer);
    try {
      const single = decodeSingle(value);
      if (single !== undefined) {
        const nowMs = single.payload.expiresAtMs === 0 ? 0 : trusted.nowMs();
        return answerSingle(single, mode, nowMs, tokenizer);
      }
    } catch (thrown) {
      throw asCorruption(thrown);
    }
    return answerRecord(decodeStored(value), mode, trusted.nowMs(), tokenizer);
  }

  decode(token: string): Session {
    return this.options.sessions.decode(token);
  }

  /**
   * Checks what the session has seen against this state (R7), and gives the token with this read added.
   *
   * @param outlivedHlc where a quorum of owners has spoken: what is older need not be known any more
   */
  nextSession(
    session: Session,
    address: KeyAddress,
    value: Uint8Array | undefined,
    outlivedHlc = 0,
  ): string {
    const record = value === undefined ? [] : decodeStored(value);
    const seen = seenOf(session, address);
    if (seen !== undefined && !satisfies(record, seen, outlivedHlc)) throw sessionUnsatisfied();
    return this.options.sessions.encode(remember(session, address, record));
  }
}

/** One live value without an expiry: nothing but a write changes what a read answers. */
function holdsUntilWritten({ siblings, session }: KeyAnswer): boolean {
  const only = siblings.length === 1 ? siblings[0]! : undefined;
  return only !== undefined && !only.isDeleted && only.expiresAtMs === 0 && session === "";
}
