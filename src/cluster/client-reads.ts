/** Which way a client's read goes: to our own copy, without a promise, where one copy is enough and it is here (`local-reads.ts`); else to several (`quorum-reads.ts`). */
import { CorruptionError } from "../base/errors.ts";
import type { ReadRequest, ReadResult } from "../quorum/operation.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Bucket } from "./bucket-properties.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import type { LocalReads } from "./local-reads.ts";
import { QuorumReads } from "./quorum-reads.ts";

export class ClientReads {
  private readonly parts: CoordinationParts;
  private readonly here: LocalReads;
  private readonly several: QuorumReads;

  constructor(parts: CoordinationParts, here: LocalReads) {
    this.parts = parts;
    this.here = here;
    this.several = new QuorumReads(parts, here);
  }

  read(
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
  ): ReadResult | Promise<ReadResult> {
    const view = this.parts.view();
    if (view.nodeCount === 1) return this.here.read(bucket, address, request, true);
    const { consistency, session } = request;
    const isOneEnough = consistency.r === 1 && session === "" && view.isServing(view.self);
    if (isOneEnough && this.isHere(bucket, address, consistency.n))
      return this.readOwn(bucket, address, request);
    return this.several.read(bucket, address, request);
  }

  /** Is this node one of the owners that reads ask, and are they no more than `n`, of which the request was told? */
  private isHere(bucket: Bucket, { partition }: KeyAddress, n: number): boolean {
    const view = this.parts.view();
    const owners = view.owners(partition, view.copiesOf(bucket));
    return owners.length <= n && owners.includes(view.self);
  }

  /** A damaged copy is answered for by the other owners (C13). */
  private readOwn(
    bucket: Bucket,
    address: KeyAddress,
    request: ReadRequest,
  ): ReadResult | Promise<ReadResult> {
    try {
      return this.here.read(bucket, address, request, false);
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError)) throw thrown;
      return this.several.read(bucket, address, request);
    }
  }
}
