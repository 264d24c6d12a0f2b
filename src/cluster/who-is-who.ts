/**
 * Two processes under one node id (R52): the later one goes on, the other ends. Gossip alone does not decide who is who; a link does, because only a process
 * that is there answers it.
 */
import { HutchError, messageOf } from "../base/errors.ts";
import type { Doubt } from "../gossip/effects.ts";
import { type NodeId, generationOf } from "../gossip/member.ts";
import type { Logger } from "../ports/logger.ts";
import { LinkRefusedError } from "../ports/transport.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { PeerClient } from "./peer-client.ts";
import { EMPTY_KNOCK } from "./peer-knock.ts";
import { readRefusal } from "./peer-refusal.ts";

const DOUBT_TIMEOUT_MS = 1000;

export interface WhoIsWhoOptions {
  readonly peers: Pick<PeerClient, "knock">;
  readonly logger: Logger;
  view(): ClusterView;
  /** First-hand news that this node is alive. */
  markAlive(node: NodeId, incarnation: number): void;
  /** A later process is this node now. */
  onSuperseded(error: HutchError): void;
}

export class WhoIsWho {
  private readonly options: WhoIsWhoOptions;

  constructor(options: WhoIsWhoOptions) {
    this.options = options;
  }

  /** Is another process with this id alive, of a later start? */
  isDuplicate(node: NodeId, incarnation: number): boolean {
    const view = this.options.view();
    if (node === view.self) {
      if (generationOf(incarnation) > generationOf(view.incarnationOf(node))) this.superseded();
      return true;
    }
    const known = view.members.get(node);
    if (known === undefined || known.liveness !== "alive") return false;
    return generationOf(incarnation) < generationOf(known.record.incarnation);
  }

  private superseded(): void {
    this.options.onSuperseded(
      new HutchError(
        "duplicate-node-id",
        "Cannot go on: a later process is this node now; want one process for each data directory",
      ),
    );
  }

  async lookInto({ id, kind, incarnation, address }: Doubt): Promise<void> {
    const { logger, peers, markAlive } = this.options;
    logger.warn("member_doubted", { node: id, kind, address });
    if (kind === "duplicate") return;
    try {
      const { hello } = await peers.knock(address, EMPTY_KNOCK, DOUBT_TIMEOUT_MS);
      if (hello.nodeId !== id || hello.incarnation < incarnation) return;
      if (kind === "superseded") this.superseded();
      else markAlive(id, hello.incarnation);
    } catch (thrown) {
      // A process that goes by our own id takes the knock for a duplicate: that is the confirmation.
      if (kind === "superseded" && isDuplicateRefusal(thrown)) return this.superseded();
      // Nobody there who could confirm it; gossip will doubt again.
      logger.debug("doubt_stays", { node: id, reason: messageOf(thrown) });
    }
  }
}

function isDuplicateRefusal(thrown: unknown): boolean {
  if (!(thrown instanceof LinkRefusedError)) return false;
  return readRefusal(thrown.status, thrown.body).code === "duplicate-node-id";
}
