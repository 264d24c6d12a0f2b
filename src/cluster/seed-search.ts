/**
 * How a node with data finds its cluster when nobody is where they were last: all have started at other addresses at once. Gossip knows those of before only;
 * the seeds say where somebody is now.
 *
 *   nobody heard since the start for `silenceMs` --> knock at every seed --> the hello names a member --> greeting to it at that address
 *
 * The hello is believed for nothing but that a greeting may be worth a datagram: gossip does the rest. Rounds end for good with the first word of any member,
 * so they cost nothing where somebody is heard in time; there is no timer, gossip's own ticks ask.
 */
import { equalBytes } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { MemberRecord, NodeId } from "../gossip/member.ts";
import type { Logger } from "../ports/logger.ts";
import type { PeerAddress } from "../ports/transport.ts";
import type { PeerClient } from "./peer-client.ts";
import { EMPTY_KNOCK } from "./peer-knock.ts";

/** Nobody heard for so long, and for so many intervals: who is where it was has been heard by then. */
const SILENCE_MS_MIN = 5000;
const SILENCE_INTERVALS = 10;
const KNOCK_TIMEOUT_MS = 1000;
/** Between the beginnings of two rounds; doubled with each. */
const PAUSE_MS_MIN = 2000;
const PAUSE_MS_MAX = 30_000;

export interface SeedSearchOptions {
  readonly self: Pick<MemberRecord, "id" | "peerAddress">;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** At most 64, as the knob says. */
  readonly seeds: readonly PeerAddress[];
  readonly intervalMs: number;
  /** Monotonic. */
  readonly startedMs: number;
  readonly peers: Pick<PeerClient, "knock">;
  readonly logger: Logger;
  /** `node`, of this cluster as it says, may be met at `address`. */
  greet(node: NodeId, address: PeerAddress): void;
}

export class SeedSearch {
  readonly #options: SeedSearchOptions;
  readonly #seeds: readonly PeerAddress[];
  #nextMs: number;
  #pauseMs = PAUSE_MS_MIN;
  #isAsking = false;

  constructor(options: SeedSearchOptions) {
    const { seeds, self, startedMs, intervalMs } = options;
    this.#options = options;
    this.#seeds = seeds.filter((seed) => seed !== self.peerAddress);
    this.#nextMs = startedMs + Math.max(SILENCE_MS_MIN, SILENCE_INTERVALS * intervalMs);
  }

  /** Nobody has been heard yet; begins a round if one is due. */
  look(nowMs: number): void {
    if (nowMs < this.#nextMs || this.#isAsking || this.#seeds.length === 0) return;
    this.#nextMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MS_MAX);
    void this.#askAll();
  }

  /** All, also when one has answered: two pairs that have found each other would look no further. */
  async #askAll(): Promise<void> {
    this.#isAsking = true;
    const answers = await Promise.all(this.#seeds.map((seed) => this.#ask(seed)));
    this.#isAsking = false;
    const answered = answers.filter((isMember) => isMember).length;
    this.#options.logger.info("looked_for_members", { seeds: answers.length, answered });
  }

  /** Is somebody else of this cluster there? */
  async #ask(address: PeerAddress): Promise<boolean> {
    const { peers, logger, self, clusterId, greet } = this.#options;
    try {
      const { hello } = await peers.knock(address, EMPTY_KNOCK, KNOCK_TIMEOUT_MS);
      // A node without a cluster takes knocks from anybody.
      if (hello.nodeId === self.id || !equalBytes(hello.clusterId, clusterId)) return false;
      greet(hello.nodeId, address);
      return true;
    } catch (thrown) {
      // Nobody there, another cluster, or this very node under another name: the next round may find it changed.
      logger.debug("knock_failed", { address, reason: messageOf(thrown) });
      return false;
    }
  }
}
