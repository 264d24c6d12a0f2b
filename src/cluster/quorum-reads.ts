/** A client's read that several nodes have a say in: what the session adds to what was asked, and the outcome as an answer. */
import { HutchError } from "../base/errors.ts";
import type { Record } from "../causality/record.ts";
import { hlcOfWallMs } from "../causality/hlc.ts";
import { satisfies, seenOf } from "../causality/session-token.ts";
import type { Consistency } from "../quorum/consistency.ts";
import type { ReadRequest, ReadResult } from "../quorum/operation.ts";
import { quorumOf } from "../quorum/parse-consistency.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import { ReadOperation, type ReadOptions, type ReadOutcome } from "./coordinate-get.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import type { LocalReads } from "./local-reads.ts";

/** Before a read begins anew. */
const AGAIN_MS = 100;

export class QuorumReads {
  private readonly parts: CoordinationParts;
  private readonly answers: LocalReads;

  constructor(parts: CoordinationParts, answers: LocalReads) {
    this.parts = parts;
    this.answers = answers;
  }

  async read(bucket: Bucket, address: KeyAddress, request: ReadRequest): Promise<ReadResult> {
    const { timeoutMs, session } = request;
    const deadlineMonoMs = this.parts.clock.monoMs() + timeoutMs;
    const { trace, waits } = request;
    const options = { deadlineMonoMs, timeoutMs, trace, waits, ...this.needs(address, request) };
    const outcome = await this.outcomeOf(bucket, address, options);
    const answer = this.answers.answerOf(bucket, address, outcome.value);
    answer.replies = outcome.replies;
    answer.readRepair = outcome.readRepair;
    if (session !== "")
      answer.session = this.answers.nextSession(
        this.answers.decode(session),
        address,
        outcome.value,
        this.outlivedHlc(),
      );
    return answer;
  }

  /** While time is left, a read that got too few answers begins anew: by then a silent node may be known to be down, and somebody stands in. */
  private async outcomeOf(
    bucket: Bucket,
    address: KeyAddress,
    options: ReadOptions,
  ): Promise<ReadOutcome> {
    const { clock } = this.parts;
    for (;;) {
      try {
        return await new ReadOperation(this.parts, bucket, address, options).run();
      } catch (thrown) {
        const isTimeout = thrown instanceof HutchError && thrown.code === "read-timeout";
        if (!isTimeout || clock.monoMs() + AGAIN_MS >= options.deadlineMonoMs) throw thrown;
        await clock.sleep(AGAIN_MS);
      }
    }
  }

  /** A key that the session has seen must be seen again; of one that it has forgotten, or that all may have, a quorum of owners has to speak (R7). */
  private needs(
    address: KeyAddress,
    { consistency, session: token }: ReadRequest,
  ): { consistency: Consistency; isSatisfied?: (record: Record) => boolean } {
    if (token === "") return { consistency };
    const session = this.answers.decode(token);
    const seen = seenOf(session, address);
    const outlivedHlc = this.outlivedHlc();
    const isOutlived = seen?.dots.some(({ counter }) => counter < outlivedHlc) === true;
    const isForgotten = seen === undefined && session.floorHlc > 0;
    return {
      consistency: isOutlived || isForgotten ? atQuorum(consistency) : consistency,
      ...(seen && { isSatisfied: (record: Record) => satisfies(record, seen, outlivedHlc) }),
    };
  }

  /** A deletion this old may have been collected: nobody knows of it, and of what it has deleted, any more (R39). */
  private outlivedHlc(): number {
    const { outlivedMs, nowMs } = this.parts;
    return outlivedMs === undefined ? 0 : hlcOfWallMs(nowMs() - outlivedMs);
  }
}

function atQuorum(consistency: Consistency): Consistency {
  const quorum = quorumOf(consistency.n);
  const { r, pr } = consistency;
  return { ...consistency, r: Math.max(r, quorum), pr: Math.max(pr, quorum) };
}
