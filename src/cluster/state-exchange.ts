/**
 * Bucket properties and the layout between two nodes, where gossip has said that they differ (R57): each sends what it has, each keeps what is later.
 *
 *   buckets   u8 1 = answer with yours, 0 = no | entries (`bucket-entry.ts`)
 *   layout    what is known of layouts (`ring/layout-state.ts`)
 */
import { ByteReader } from "../base/byte-reader.ts";
import { concatBytes } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Logger } from "../ports/logger.ts";
import { type BucketEntry, decodeEntries, encodeEntries } from "./bucket-entry.ts";
import type { Buckets } from "./bucket-properties.ts";
import type { ClusterView } from "./cluster-view.ts";
import { errorOfReply } from "./peer-failure.ts";
import type { Peers } from "./peer-messages.ts";

const EXCHANGE_TIMEOUT_MS = 2000;
/** How long a change of properties waits for the others; who is slower learns of it from gossip. */
const SPREAD_TIMEOUT_MS = 500;
const KEEP_YOURS = new Uint8Array([0]);
const SEND_YOURS = new Uint8Array([1]);

export interface StateExchangeOptions {
  readonly peers: Peers;
  readonly buckets: Buckets;
  readonly logger: Logger;
  view(): ClusterView;
  /** What this node knows of layouts. */
  encodedLayouts(): Uint8Array;
  /** What `node` knows of them; settles when it is on disk and in use. */
  learnLayouts(body: Uint8Array, node: NodeId): Promise<void>;
}

export class StateExchange {
  private readonly options: StateExchangeOptions;
  /** `node/topic` with an exchange under way; one for each. */
  private readonly underWay = new Set<string>();

  constructor(options: StateExchangeOptions) {
    this.options = options;
  }

  /** The body of the reply. Throws `DecodeError`, `bad-property`. */
  async answerBuckets(body: Uint8Array): Promise<Uint8Array> {
    const { buckets } = this.options;
    const reader = new ByteReader(body);
    const wantsOurs = reader.u8() === 1;
    await buckets.merge(decodeEntries(reader.raw(reader.remaining)));
    return encodeEntries(wantsOurs ? buckets.all() : []);
  }

  /** Gossip has seen that `node` holds something else. */
  differs(node: NodeId, topic: "layout" | "buckets"): void {
    const name = `${node}/${topic}`;
    if (this.underWay.has(name)) return;
    this.underWay.add(name);
    this.exchange(node, topic)
      .catch((thrown: unknown) =>
        // Gossip says so again for as long as they differ.
        this.options.logger.debug("exchange_failed", { node, topic, reason: messageOf(thrown) }),
      )
      .finally(() => this.underWay.delete(name));
  }

  /** What buckets those know who are up; settles when they have answered, or when that takes too long. */
  async learnFromAll(): Promise<void> {
    const { up } = this.others();
    await Promise.allSettled(up.map((id) => this.exchange(id, "buckets", SPREAD_TIMEOUT_MS)));
  }

  /** What buckets anybody else knows. Rejects where nobody answers. */
  async learnFromOne(): Promise<void> {
    const { all, up } = this.others();
    if (all.length === 0) return;
    let failure: unknown = new HutchError("unavailable", "Cannot learn of buckets: nobody is up");
    for (const node of up)
      try {
        return await this.exchange(node, "buckets");
      } catch (thrown) {
        failure = thrown;
      }
    throw failure;
  }

  private others(): { readonly all: readonly NodeId[]; readonly up: readonly NodeId[] } {
    const view = this.options.view();
    const all = [...view.planned.keys()].filter((id) => id !== view.self);
    return { all, up: all.filter((id) => view.isUp(id)) };
  }

  private async exchange(
    node: NodeId,
    topic: "layout" | "buckets",
    timeoutMs = EXCHANGE_TIMEOUT_MS,
  ): Promise<void> {
    const { peers, buckets, encodedLayouts, learnLayouts } = this.options;
    const body =
      topic === "buckets"
        ? concatBytes(SEND_YOURS, encodeEntries(buckets.all()))
        : encodedLayouts();
    const message = { kind: "exchange", topic, body } as const;
    const reply = await peers.call(node, message, timeoutMs, "client");
    if (reply.kind === "failed") throw errorOfReply(reply);
    if (reply.kind !== "exchange") return;
    if (topic === "buckets") await buckets.merge(decodeEntries(reply.body));
    else await learnLayouts(reply.body, node);
  }

  /** Tells everybody who is up; settles when they have it, or when that takes too long. */
  async spread(entries: readonly BucketEntry[]): Promise<void> {
    const { peers } = this.options;
    const body = concatBytes(KEEP_YOURS, encodeEntries(entries));
    const message = { kind: "exchange", topic: "buckets", body } as const;
    await Promise.allSettled(
      this.others().up.map((id) => peers.call(id, message, SPREAD_TIMEOUT_MS, "client")),
    );
  }
}
