/** A client's write on its way through the nodes, and what comes back. */
import type { AckCounts, WriteRequest } from "../quorum/operation.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { KeyAnswer } from "./key-state.ts";

/** A write on its way: what the client asked, where it lives, when it must be answered. */
export interface PendingWrite {
  readonly bucket: Bucket;
  readonly key: Uint8Array;
  readonly address: KeyAddress;
  readonly request: WriteRequest;
  /** The client is answered by then. */
  readonly deadlineMonoMs: number;
  /** Nothing is minted from then on: whoever sent it here may have given it to somebody else. */
  readonly mintByMonoMs: number;
}

/** What `CoordinatedReply` says, with the state as this node can show it. */
export interface CoordinatedWrite {
  readonly context: string;
  readonly answer: KeyAnswer;
  readonly record: Uint8Array;
  readonly conflictDropped: number;
  readonly nowMs: number;
  readonly acks: AckCounts;
  readonly session: string;
  readonly isReplay: boolean;
}
